package history

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// wanted is a record that a row of the binlog must have: where in its transaction, and what it says, in one text.
type wanted struct {
	index uint64
	says  string
}

// The records of a row: the low two bits of an index, which counts rows from 1. A changed primary key is a delete, a tombstone and a create.
const (
	changeRecord = iota
	tombstoneRecord
	createRecord
)

func expected(t *Transaction, e *Evidence) []wanted {
	var out []wanted
	for _, s := range t.Statements {
		for _, table := range endsRows(s, e.Schema) {
			if _, ok := e.Tables[table]; ok {
				out = append(out, wanted{uint64(len(out)+1) << 2, says(table, 't', nil, nil, nil)})
			}
		}
	}
	for i, row := range t.Rows {
		table, ok := e.Tables[row.Table]
		if row.Schema != e.Schema || !ok {
			continue
		}
		index := uint64(i+1) << 2
		add := func(kind uint64, op byte, before, after []Value) {
			key := after
			if key == nil {
				key = before
			}
			if kind == tombstoneRecord {
				out = append(out, wanted{index | kind, says(row.Table, '-', key[:table.Key], nil, nil)})
			} else {
				out = append(out, wanted{index | kind, says(row.Table, op, key[:table.Key], before, after)})
			}
		}
		rekeyed := row.Op == 'u' && !slices.Equal(row.Before[:table.Key], row.After[:table.Key])
		switch {
		case row.Op == 'd' || rekeyed:
			add(changeRecord, 'd', row.Before, nil)
			add(tombstoneRecord, 0, row.Before, nil)
			if rekeyed {
				add(createRecord, 'c', nil, row.After)
			}
		default:
			add(changeRecord, row.Op, row.Before, row.After)
		}
	}
	return out
}

// says is a record in one text: the same for what must be there and for what is.
func says(table string, op byte, key, before, after []Value) string {
	text := func(values []Value) string {
		if values == nil {
			return "-"
		}
		var b strings.Builder
		for _, v := range values {
			if v.Null {
				b.WriteString("NULL,")
			} else {
				fmt.Fprintf(&b, "%q,", v.Text)
			}
		}
		return b.String()
	}
	return fmt.Sprintf("%s %c %s %s %s", table, op, text(key), text(before), text(after))
}

// saysRecord is what a record of the log says. Columns are compared by their order.
func saysRecord(r *Record, tables map[string]Table) string {
	table, ok := r.Table, true
	if r.Tombstone {
		_, table, ok = cutLast(r.Topic, ".")
	}
	t, known := tables[table]
	if !ok || !known {
		return "record of an unknown table"
	}
	values := func(image map[string]Value) []Value {
		if image == nil {
			return nil
		}
		out := make([]Value, 0, len(image))
		for _, name := range r.Columns {
			out = append(out, image[name])
		}
		return out
	}
	// A tombstone has no columns, and JSON objects no order: a key's values are those of its columns in the image, or sorted.
	if r.Tombstone {
		return says(table, '-', keyValues(r.Key), nil, nil)
	}
	if r.Op == 't' && len(r.Key) == 0 && r.Before == nil && r.After == nil {
		return says(table, 't', nil, nil, nil)
	}
	image := r.After
	if image == nil {
		image = r.Before
	}
	key := values(image)
	if len(key) < t.Key || !maps.Equal(keyOf(r.Columns[:t.Key], image), r.Key) {
		return "record with another key than its row's"
	}
	return says(table, r.Op, key[:t.Key], values(r.Before), values(r.After))
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func keyOf(columns []string, image map[string]Value) map[string]Value {
	key := map[string]Value{}
	for _, name := range columns {
		key[name] = image[name]
	}
	return key
}

// keyValues returns a key's values by the order of the columns' names: the tables here have keys in alphabetical order.
func keyValues(key map[string]Value) []Value {
	var out []Value
	for _, name := range slices.Sorted(maps.Keys(key)) {
		out = append(out, key[name])
	}
	return out
}

// numbers returns the numbers of transaction and statement in the row that a record has written.
func numbers(r *Record, tables map[string]Table) (transaction, statement uint64, ok bool) {
	t, known := tables[r.Table]
	if r.After == nil || !known || len(r.Columns) <= t.Number+1 {
		return 0, 0, false
	}
	transaction, err1 := strconv.ParseUint(r.After[r.Columns[t.Number]].Text, 10, 64)
	statement, err2 := strconv.ParseUint(r.After[r.Columns[t.Number+1]].Text, 10, 64)
	return transaction, statement, err1 == nil && err2 == nil
}
