package cdc

import (
	"fmt"
	"slices"
	"strings"

	"github.com/millrace-go/millrace/internal/pattern"
)

// Filter chooses tables by patterns of the form "schema.table", each half with the wildcards of [path.Match] ("shop.*"). The zero
// value takes every table but the servers' own (mysql, sys, information_schema, performance_schema).
type Filter struct {
	// Include lists what is captured; empty means everything.
	Include []string
	// Exclude lists what is left out, also when it is included.
	Exclude []string
}

// Validate reports the first malformed pattern.
func (f Filter) Validate() error {
	for _, p := range slices.Concat(f.Include, f.Exclude) {
		if err := pattern.CheckTable(p); err != nil {
			return fmt.Errorf("filter %w", err)
		}
	}
	return nil
}

// Match tells whether the table is captured.
func (f Filter) Match(schema, table string) bool {
	return pattern.Chosen(f.Include, f.Exclude, schema, table)
}

// MatchSchema tells whether tables of the schema can be captured.
func (f Filter) MatchSchema(schema string) bool {
	matches := func(p string) bool { return pattern.Schema(p, schema) }
	all := func(p string) bool { return strings.HasSuffix(p, ".*") && matches(p) }
	return !pattern.Servers(schema) && (len(f.Include) == 0 || slices.ContainsFunc(f.Include, matches)) && !slices.ContainsFunc(f.Exclude, all)
}
