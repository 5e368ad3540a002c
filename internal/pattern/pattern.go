// Package pattern matches the names of tables and columns: "shop.*", "*.customer.email". Each part has the wildcards of [path.Match],
// of which * stands for any text here, also one with a slash.
package pattern

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// CheckTable reports a malformed pattern of tables.
func CheckTable(pattern string) error {
	if schema, table, _ := strings.Cut(pattern, "."); !valid(schema) || !valid(table) {
		return fmt.Errorf("pattern %q: want schema.table, with * and ? as wildcards", pattern)
	}
	return nil
}

// Table tells whether a pattern matches a table. The first dot ends the schema. Case counts.
func Table(pattern, schema, table string) bool {
	s, t, found := strings.Cut(pattern, ".")
	return found && match(s, schema) && match(t, table)
}

// Schema tells whether a pattern of tables can match a table of the schema.
func Schema(pattern, schema string) bool {
	s, _, found := strings.Cut(pattern, ".")
	return found && match(s, schema)
}

// Chosen tells whether a choice of tables has the table: one of include matches it, or there is none and it is not one of the servers'
// own, and none of exclude does.
func Chosen(include, exclude []string, schema, table string) bool {
	matches := func(p string) bool { return Table(p, schema, table) }
	return !Servers(schema) && (len(include) == 0 || slices.ContainsFunc(include, matches)) && !slices.ContainsFunc(exclude, matches)
}

// Servers tells the schemas that are the servers' own.
func Servers(schema string) bool {
	switch schema {
	case "mysql", "sys", "information_schema", "performance_schema":
		return true
	}
	return false
}

// CheckColumn reports a malformed pattern of columns.
func CheckColumn(pattern string) error {
	table, column := cutColumn(pattern)
	if CheckTable(table) != nil || !valid(column) {
		return fmt.Errorf("pattern %q: want schema.table.column, with * and ? as wildcards", pattern)
	}
	return nil
}

// Column tells whether a pattern matches a column. The first dot ends the schema, the last one begins the column, in whose name case
// does not count, as on the servers.
func Column(pattern, schema, table, column string) bool {
	t, c := cutColumn(pattern)
	return Table(t, schema, table) && match(strings.ToLower(c), strings.ToLower(column))
}

// ColumnOf tells whether a pattern of columns can match a column of the table.
func ColumnOf(pattern, schema, table string) bool {
	t, _ := cutColumn(pattern)
	return Table(t, schema, table)
}

func cutColumn(pattern string) (table, column string) {
	at := strings.LastIndexByte(pattern, '.')
	if at < 0 {
		return "", ""
	}
	return pattern[:at], pattern[at+1:]
}

func valid(pattern string) bool {
	_, err := path.Match(pattern, "")
	return pattern != "" && err == nil
}

func match(pattern, name string) bool {
	ok, _ := path.Match(strings.ReplaceAll(pattern, "/", "\x00"), strings.ReplaceAll(name, "/", "\x00"))
	return ok
}
