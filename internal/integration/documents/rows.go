package documents

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace-go/millrace/internal/integration/history"
)

// object is a JSON object.
type object = map[string]any

// row is a row as the log has it.
type row map[string]history.Value

func (r row) text(column string) string { return r[column].Text }

// number is a column as a JSON number.
func (r row) number(column string) number { return number(r[column].Text) }

// integer is 0 where the column is none.
func (r row) integer(column string) int64 {
	n, _ := strconv.ParseInt(r[column].Text, 10, 64)
	return n
}

// value is a text that may be NULL.
func (r row) value(column string) any {
	if r[column].Null {
		return nil
	}
	return r[column].Text
}

// number is written into JSON as it is.
type number string

func (n number) MarshalJSON() ([]byte, error) { return []byte(n), nil }

// rows are the tables at some place of the log, as plain maps: what they say has nothing to do with the engine that is checked.
type rows struct {
	tables map[string]map[string]row // by table and key
	groups map[[2]string]map[string][]row
}

// rowKeys are the tables' keys.
var rowKeys = map[string][]string{
	"catalog": {"id"}, "category": {"id"}, "product": {"id"}, "stock": {"product_id"},
	"customer": {"name"}, "orders": {"id"}, "item": {"order_id", "line"}, "article": {"sku"}, "tagged": {"sku", "tag"}, "tag": {"id"},
	"node": {"id"},
}

func newRows() *rows {
	r := &rows{tables: map[string]map[string]row{}, groups: map[[2]string]map[string][]row{}}
	for table := range rowKeys {
		r.tables[table] = map[string]row{}
	}
	return r
}

// apply takes the next record of the log, and tells whether it is of one of the tables.
func (r *rows) apply(rec *history.Record) bool {
	columns, known := rowKeys[rec.Table]
	if rec.Tombstone || rec.Statement != "" || !known {
		return false
	}
	key := func(image row) string {
		parts := make([]string, len(columns))
		for i, c := range columns {
			parts[i] = image.text(c)
		}
		return strings.Join(parts, "\x00")
	}
	if rec.After != nil {
		r.tables[rec.Table][key(rec.After)] = rec.After
	} else {
		delete(r.tables[rec.Table], key(rec.Before))
	}
	for by := range r.groups {
		if by[0] == rec.Table {
			delete(r.groups, by)
		}
	}
	return true
}

// get returns the row with a key of one column, nil where there is none.
func (r *rows) get(table, key string) row { return r.tables[table][key] }

// where returns the rows of a table with a value in a column, in the order of their keys.
func (r *rows) where(table, column, value string) []row {
	by := [2]string{table, column}
	groups, known := r.groups[by]
	if !known {
		groups = map[string][]row{}
		for _, row := range r.tables[table] {
			if !row[column].Null {
				groups[row.text(column)] = append(groups[row.text(column)], row)
			}
		}
		for _, g := range groups {
			slices.SortFunc(g, byNumbers(rowKeys[table]))
		}
		r.groups[by] = groups
	}
	return groups[value]
}

// keys returns the keys of a table of one key column.
func (r *rows) keys(table string) []string {
	ids := make([]string, 0, len(r.tables[table]))
	for id := range r.tables[table] {
		ids = append(ids, id)
	}
	return ids
}

// sum makes a document.
func (r *rows) sum(m *readModel, id string) (sum, error) {
	doc := m.recompute(r, id)
	if doc == nil {
		return absent, nil
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return absent, err
	}
	return sumOf(text)
}
