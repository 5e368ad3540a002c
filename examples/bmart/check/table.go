package check

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/millrace-go/millrace/internal/integration/history"
)

// Table is a table's columns in the database's order.
type Table struct {
	Columns []Column
}

// Column is a column of a table.
type Column struct {
	Name     string
	Type     string // as information_schema's data_type
	Unsigned bool
	Key      bool // part of the primary key
}

// ReadTables reads the tables of a schema, by their names.
func ReadTables(ctx context.Context, db *sql.DB, schema string) (map[string]Table, error) {
	rows, err := db.QueryContext(ctx, `SELECT table_name, column_name, data_type, column_type, column_key FROM information_schema.columns
		WHERE table_schema = ? ORDER BY table_name, ordinal_position`, schema)
	if err != nil {
		return nil, fmt.Errorf("read columns: %w", err)
	}
	defer rows.Close()
	tables := map[string]Table{}
	for rows.Next() {
		var table, name, dataType, columnType, key string
		if err := rows.Scan(&table, &name, &dataType, &columnType, &key); err != nil {
			return nil, fmt.Errorf("read columns: %w", err)
		}
		t := tables[table]
		t.Columns = append(t.Columns, Column{Name: name, Type: dataType, Unsigned: strings.Contains(columnType, "unsigned"), Key: key == "PRI"})
		tables[table] = t
	}
	return tables, rows.Err()
}

// object returns an image as a log record should have it: text by column name.
func (t Table) object(image []history.Value) (map[string]history.Value, error) {
	if image == nil {
		return nil, nil
	}
	if len(image) != len(t.Columns) {
		return nil, fmt.Errorf("row has %d columns, the table has %d", len(image), len(t.Columns))
	}
	object := make(map[string]history.Value, len(image))
	for i, c := range t.Columns {
		v := image[i]
		if c.Unsigned && v.Unsigned != "" {
			v.Text = v.Unsigned
		}
		v.Unsigned = ""
		object[c.Name] = v
	}
	return object, nil
}

// key returns the part of an object that is the primary key.
func (t Table) key(object map[string]history.Value) map[string]history.Value {
	key := map[string]history.Value{}
	for _, c := range t.Columns {
		if c.Key {
			key[c.Name] = object[c.Name]
		}
	}
	return key
}

// plain undoes what the log's notation of a type differs in from the binlog's: DATETIME has a T between date and time.
func (t Table) plain(object map[string]history.Value) {
	for _, c := range t.Columns {
		if v, ok := object[c.Name]; ok && c.Type == "datetime" {
			v.Text = strings.Replace(v.Text, "T", " ", 1)
			object[c.Name] = v
		}
	}
}
