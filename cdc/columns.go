package cdc

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/millrace-go/millrace/internal/pattern"
)

// Columns chooses the columns of captured tables, and masks values. Its patterns have the form "schema.table.column", each part with the
// wildcards of [path.Match] ("shop.*.email"); the case of a column's name does not count, as on the servers. The zero value takes every
// column as it is.
//
// A pattern is about the column's name when the row was changed: a renamed column needs both names.
type Columns struct {
	// Include lists what is captured; empty means every column. Once it has a pattern, tables that none matches have no columns.
	Include []string
	// Exclude lists what is left out, also when it is included. Such a column is nowhere: not in the images, not in the [Table].
	Exclude []string
	// Masks hide values. The first that matches a column applies.
	Masks []Mask
}

// Validate reports everything that is wrong, in one error.
func (c Columns) Validate() error {
	var errs []error
	for _, list := range []struct {
		name     string
		patterns []string
	}{{"Include", c.Include}, {"Exclude", c.Exclude}} {
		for _, p := range list.patterns {
			if err := pattern.CheckColumn(p); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", list.name, err))
			}
		}
	}
	for i, m := range c.Masks {
		if err := m.validate(); err != nil {
			errs = append(errs, fmt.Errorf("Masks[%d]: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// Match tells whether the column is captured.
func (c Columns) Match(schema, table, column string) bool {
	matches := func(p string) bool { return pattern.Column(p, schema, table, column) }
	return (len(c.Include) == 0 || slices.ContainsFunc(c.Include, matches)) && !slices.ContainsFunc(c.Exclude, matches)
}

// Concern tells whether columns of the table are left out or masked, as far as the patterns tell without its columns.
func (c Columns) Concern(schema, table string) bool {
	matches := func(p string) bool { return pattern.ColumnOf(p, schema, table) }
	return len(c.Include) > 0 || slices.ContainsFunc(c.Exclude, matches) ||
		slices.ContainsFunc(c.Masks, func(m Mask) bool { return slices.ContainsFunc(m.patterns, matches) })
}

// Mask returns the column's mask, or nil when its values are shown.
func (c Columns) Mask(schema, table, column string) *Mask {
	for i := range c.Masks {
		if c.Masks[i].matches(schema, table, column) {
			return &c.Masks[i]
		}
	}
	return nil
}

// Identify writes to w what decides about columns, for [Source.ConfigID]; of the zero value, nothing. Secrets are not in it, but
// another secret gives another text.
func (c Columns) Identify(w io.Writer) {
	for _, list := range []struct {
		name     string
		patterns []string
	}{{"include", c.Include}, {"exclude", c.Exclude}} {
		if len(list.patterns) > 0 {
			fmt.Fprintf(w, "columns %s %q\n", list.name, slices.Compact(slices.Sorted(slices.Values(list.patterns))))
		}
	}
	for i := range c.Masks {
		c.Masks[i].identify(w)
	}
}

// Keys chooses the columns whose values are the keys of a table's records, instead of the primary key. The first entry that matches
// a table applies; a table that none matches needs a primary key.
type Keys []Key

// Key is the record key of some tables.
type Key struct {
	// Tables is a pattern of the form "schema.table", with the wildcards of [path.Match].
	Tables string
	// Columns are the key's columns in its order; case does not count. A single "*" stands for all captured columns in the table's
	// order, which tells the rows of a table without any key apart as far as that can be done: rows that are equal have one key.
	Columns []string
}

// Validate reports everything that is wrong, in one error.
func (k Keys) Validate() error {
	var errs []error
	for i, key := range k {
		if err := pattern.CheckTable(key.Tables); err != nil {
			errs = append(errs, fmt.Errorf("Keys[%d]: %w", i, err))
		}
		if len(key.Columns) == 0 {
			errs = append(errs, fmt.Errorf("Keys[%d]: Columns is empty, want names of columns, or a single *", i))
		}
		for j, name := range key.Columns {
			if name == "" || name == "*" && len(key.Columns) > 1 {
				errs = append(errs, fmt.Errorf("Keys[%d]: column %q, want a name, or a single *", i, name))
			}
			if slices.ContainsFunc(key.Columns[:j], func(other string) bool { return strings.EqualFold(other, name) }) {
				errs = append(errs, fmt.Errorf("Keys[%d]: column %q occurs twice", i, name))
			}
		}
	}
	return errors.Join(errs...)
}

// Of returns the columns chosen for a table, or nil when its primary key is its key.
func (k Keys) Of(schema, table string) []string {
	for _, key := range k {
		if pattern.Table(key.Tables, schema, table) {
			return key.Columns
		}
	}
	return nil
}

// Identify writes to w what decides about keys, for [Source.ConfigID]; of the zero value, nothing.
func (k Keys) Identify(w io.Writer) {
	for _, key := range k {
		fmt.Fprintf(w, "key %q %q\n", key.Tables, key.Columns)
	}
}
