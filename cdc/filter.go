package cdc

import (
	"fmt"
	"path"
	"strings"
)

// Filter chooses tables by patterns of the form "schema.table", each half with the wildcards of [path.Match] ("shop.*"). The zero
// value takes every table but the servers' own (mysql, sys, information_schema, performance_schema).
type Filter struct {
	// Include lists what is captured; empty means everything.
	Include []string
	// Exclude lists what is left out, also when it is included.
	Exclude []string
}

// Validate reports malformed patterns, all at once.
func (f Filter) Validate() error {
	for _, pattern := range append(append([]string(nil), f.Include...), f.Exclude...) {
		schema, table, found := strings.Cut(pattern, ".")
		_, err1 := path.Match(schema, "")
		_, err2 := path.Match(table, "")
		if !found || err1 != nil || err2 != nil {
			return fmt.Errorf("filter pattern %q: want schema.table, with * and ? as wildcards", pattern)
		}
	}
	return nil
}

// Match tells whether the table is captured.
func (f Filter) Match(schema, table string) bool {
	switch schema {
	case "mysql", "sys", "information_schema", "performance_schema":
		return false
	}
	return (len(f.Include) == 0 || matchAny(f.Include, schema, table)) && !matchAny(f.Exclude, schema, table)
}

func matchAny(patterns []string, schema, table string) bool {
	for _, pattern := range patterns {
		s, t, _ := strings.Cut(pattern, ".")
		if ok, _ := path.Match(s, schema); ok {
			if ok, _ := path.Match(t, table); ok {
				return true
			}
		}
	}
	return false
}
