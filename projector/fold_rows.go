package projector

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/millrace-go/millrace/eventstore"
)

// FromRows makes all documents, by id, from the rows of the Fold's tables alone, each handed to its documents as if it were just inserted: rows yields the
// images of a table's rows, as they stand in the log. A Fold whose documents say what the rows are must make the same of their whole history: an oracle
// for tests. One whose documents remember what has been, or that follows events, has no such oracle.
func (f Fold[D]) FromRows(rows func(table string) [][]byte) (map[string][]byte, error) {
	d := f.definition()
	if len(d.events) > 0 {
		d.problems = append(d.problems, errors.New("events are not made of rows"))
	}
	if len(d.problems) > 0 {
		return nil, fmt.Errorf("from rows: %w", d.problems[0])
	}
	e := newFoldEngine(f, &loop{def: d}, 0)
	for i, t := range d.tables {
		if slices.Contains(d.tables[:i], t) {
			continue
		}
		for _, image := range slices.SortedFunc(slices.Values(rows(t.String())), bytes.Compare) {
			if err := e.change(&eventstore.RowChange{Schema: t.schema, Table: t.name, Key: image, After: image}); err != nil {
				return nil, fmt.Errorf("from rows: %w", err)
			}
		}
	}
	docs := map[string][]byte{}
	for id, doc := range e.docs {
		body, err := e.marshal(doc)
		if err != nil {
			return nil, fmt.Errorf("from rows: document %q: %w", id, err)
		}
		if body != nil {
			docs[id] = body
		}
	}
	return docs, nil
}
