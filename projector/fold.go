package projector

import (
	"context"
	"errors"

	"github.com/millrace-go/millrace/eventstore"
)

// Fold keeps documents of type D from the log alone: each changed row, and each event, is handed to the documents it belongs to, once, in commit order.
// A document at CSN n is exactly what the handlers make of the log up to n.
//
// The last row of every key and all documents are held in memory. They are built anew from the log at each start, and only
// documents with changes above the recorded progress are written again. A transaction is applied to a document whole or not at all.
//
// D is marshalled by encoding/json and must give a JSON object; marshalling the same D twice must give the same bytes.
type Fold[D any] struct {
	// Name identifies the projector and its progress in the sink. It must not change.
	Name string
	// Version is that of the definition, from 1. Raise it with every change that makes other documents: they are then built anew
	// beside the old ones, and readers switch when they are complete.
	Version int
	// Target is where the documents are kept.
	Target Target
	// Sources are the tables and topics of events to follow. Two sources of one table or topic are called in this order.
	Sources []Source[D]
}

// Doc is a document that a handler may change.
type Doc[D any] struct {
	// ID is the document's id.
	ID string
	// Data is the document, its zero value where there is none yet.
	Data D

	exists, deleted bool
}

// Exists tells whether there was a document before this change. After a handler has returned there is one, unless it called Delete.
func (d *Doc[D]) Exists() bool { return d.exists }

// Delete removes the document when the handler has returned. A later change may make a new one, which begins from D's zero value.
func (d *Doc[D]) Delete() { d.deleted = true }

// handled settles whether there is a document after a handler.
func (d *Doc[D]) handled() {
	d.exists = !d.deleted
	if d.deleted {
		var zero D
		d.Data, d.deleted = zero, false
	}
}

// Source is one source of a [Fold]'s changes, made by [OnRow] or [OnEvent].
type Source[D any] struct {
	table      table
	open       func() foldSource[D]
	topic      string // of events
	openEvents func() foldEvents[D]
	err        error
}

// foldSource is a source at work, with its rows.
type foldSource[D any] interface {
	change(f *foldEngine[D], row *eventstore.RowChange) error
	// addKeys adds the keys of its rows.
	addKeys(keys map[string]bool)
}

// OnRow follows a table, named schema.table as in the database. Rows are decoded by encoding/json into T: only the columns that T
// has fields for are kept. See docs/types.md for how values look.
//
// ids says which documents a row belongs to. apply is called for each document that the row belonged to before the change or belongs
// to after it. old is the last row of that key that this projector has applied, new the row now. Where the row did not belong to the
// document before (an insert, a move) old is nil; where it does not any more (a delete, a move) new is nil; never are both. Rows must not be
// modified. Both functions must depend on nothing but their arguments. Rows with one key, which a table under a key chosen for it may have, count
// as one row that is changed.
//
// An error or panic of either halts the projector.
func OnRow[T, D any](tableName string, ids func(row *T) []string, apply func(d *Doc[D], old, new *T) error) Source[D] {
	t, err := parseTable(tableName)
	if err == nil && (ids == nil || apply == nil) {
		err = errors.New("source of table " + tableName + ": ids or apply is nil")
	}
	return Source[D]{table: t, err: err, open: func() foldSource[D] {
		return &rowSource[T, D]{table: t, ids: ids, apply: apply, rows: map[string]*T{}}
	}}
}

func (f Fold[D]) definition() definition {
	d := definition{name: f.Name, version: f.Version, target: f.Target}
	for _, s := range f.Sources {
		switch {
		case s.err != nil:
			d.problems = append(d.problems, s.err)
		case s.openEvents != nil:
			d.events = append(d.events, s.topic)
		case s.open == nil:
			d.problems = append(d.problems, errors.New("a source was not made by OnRow or OnEvent"))
		default:
			d.tables = append(d.tables, s.table)
		}
	}
	if len(f.Sources) == 0 {
		d.problems = append(d.problems, errors.New("Sources is empty"))
	}
	return d
}

func (f Fold[D]) check(context.Context) error { return nil }

func (f Fold[D]) start(_ context.Context, l *loop, progress eventstore.CSN) (engine, error) { //nolint:unparam // the error is a Join's
	return newFoldEngine(f, l, progress), nil
}

func newFoldEngine[D any](f Fold[D], l *loop, progress eventstore.CSN) *foldEngine[D] {
	e := &foldEngine[D]{loop: l, progress: progress, docs: map[string]*foldDoc[D]{}, sources: map[table][]foldSource[D]{},
		events: map[string][]foldEvents[D]{}}
	for _, s := range f.Sources {
		if s.openEvents != nil {
			e.events[s.topic] = append(e.events[s.topic], s.openEvents())
			continue
		}
		e.sources[s.table] = append(e.sources[s.table], s.open())
	}
	return e
}
