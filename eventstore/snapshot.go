package eventstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace-go/millrace/internal/pattern"
)

// SnapshotProgress is how far the tables of a source are in the log: which of them the log holds whole, because it has their changes
// from the beginning or because a snapshot has read their rows. [Position].Snapshot has it as text.
//
// Its zero value says that everything is whole. It names no table but those that are being read, so that it stays small with
// fifty thousand of them.
type SnapshotProgress struct {
	// Filters are the choices of tables since the last one for which the log was whole, oldest first. A table is whole if it was whole
	// under one of them, and all later ones have it, too: else changes of it are missing.
	Filters []SnapshotFilter `json:"filters,omitempty"`
	// Tables are those being read or still to be read besides those that the last filter names.
	Tables []*SnapshotTable `json:"tables,omitempty"`
	// Requests counts the snapshots that were asked for by name.
	Requests uint64 `json:"requests,omitempty"`
}

// SnapshotFilter is a choice of tables by patterns, and how far it is read, by schema and name (bytes).
type SnapshotFilter struct {
	Include []string `json:"include,omitempty"`
	Exclude []string `json:"exclude,omitempty"`
	// Done: all its tables are whole.
	Done bool `json:"done,omitempty"`
	// Schema and Table, where set, name the last table of those that were begun.
	Schema string `json:"db,omitempty"`
	Table  string `json:"table,omitempty"`
}

// SnapshotTable is a table being read.
type SnapshotTable struct {
	Schema string `json:"db"`
	Table  string `json:"table"`
	// Request is the id of who asked for it by name; empty where the table is not whole without it.
	Request string `json:"request,omitempty"`
	// Where is a condition in SQL on the rows to read.
	Where string `json:"where,omitempty"`
	// Ranges are what is left of it; nil before it was begun.
	Ranges []*SnapshotRange `json:"ranges,omitempty"`
	// Rows were read so far, of about Estimate.
	Rows     uint64 `json:"rows,omitempty"`
	Estimate uint64 `json:"estimate,omitempty"`
}

// SnapshotRange is a part of a table in the order of its primary key: the rows behind After, up to and with Until. The bounds are in the
// source's own notation, and compare as the columns' collations do; an empty one is no bound.
type SnapshotRange struct {
	After string `json:"after,omitempty"`
	Until string `json:"until,omitempty"`
}

// ParseSnapshot reads the text of [Position].Snapshot.
func ParseSnapshot(text string) (SnapshotProgress, error) {
	var p SnapshotProgress
	if text == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return p, fmt.Errorf("snapshot progress of the watermark: %w", err)
	}
	for _, t := range p.Tables {
		if t == nil || slices.Contains(t.Ranges, nil) {
			return SnapshotProgress{}, errors.New("snapshot progress of the watermark: null for a table, or for a range of one")
		}
	}
	return p, nil
}

// Text returns what [ParseSnapshot] reads.
func (p SnapshotProgress) Text() string {
	if len(p.Filters) == 0 && len(p.Tables) == 0 && p.Requests == 0 {
		return ""
	}
	text, err := json.Marshal(p)
	if err != nil {
		return "" // strings, numbers and lists of them: never
	}
	return string(text)
}

// Complete tells whether the log holds all rows that the table has: a state built from the log is the table.
func (p SnapshotProgress) Complete(schema, table string) bool {
	for _, t := range p.Tables {
		if t != nil && t.Request == "" && t.Schema == schema && t.Table == table {
			return false
		}
	}
	for _, f := range slices.Backward(p.Filters) {
		if !f.Match(schema, table) {
			return false
		}
		if f.Done || f.reached(schema, table) {
			return true
		}
	}
	return len(p.Filters) == 0
}

// reached tells whether the table is one of those that were begun.
func (f *SnapshotFilter) reached(schema, table string) bool {
	return f.Table != "" && compareTables(schema, table, f.Schema, f.Table) <= 0
}

func compareTables(schema1, table1, schema2, table2 string) int {
	if c := strings.Compare(schema1, schema2); c != 0 {
		return c
	}
	return strings.Compare(table1, table2)
}

// Match tells whether the patterns choose the table. Without Include they choose all but the servers' own.
func (f *SnapshotFilter) Match(schema, table string) bool {
	return pattern.Chosen(f.Include, f.Exclude, schema, table)
}
