package projector

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/safeguard"
)

// foldEngine is a [Fold] at work. All its state is in memory and comes from the log, so it reads from the beginning.
type foldEngine[D any] struct {
	stateless
	loop     *loop
	progress eventstore.CSN // the sink has everything up to it
	sources  map[table][]foldSource[D]
	events   map[string][]foldEvents[D] // by topic
	docs     map[string]*foldDoc[D]
	dirty    []*foldDoc[D] // to be written, in the order of their first change
}

// foldDoc is a document with what is known of its writes.
type foldDoc[D any] struct {
	Doc[D]
	mark  eventstore.CSN // the last transaction applied to it: the version of its next write
	dirty bool
	// several says that more than one transaction since the last write has changed it.
	several bool
	// sum is of the bytes that the sink holds; unknown until this process has written them.
	sum    [sha256.Size]byte
	summed bool
}

func (e *foldEngine[D]) after() eventstore.CSN { return 0 }

func (e *foldEngine[D]) pending() int { return len(e.dirty) }

func (e *foldEngine[D]) change(row *eventstore.RowChange) error {
	for _, s := range e.sources[table{row.Schema, row.Table}] {
		if err := s.change(e, row); err != nil {
			return err
		}
	}
	return nil
}

func (e *foldEngine[D]) event(rec *eventstore.Record) error {
	for _, s := range e.events[rec.Topic] {
		if err := s.event(e, rec); err != nil {
			return err
		}
	}
	return nil
}

// apply applies a change of a table, or an event of a topic, to one document.
func (e *foldEngine[D]) apply(id, table, topic string, csn eventstore.CSN, handle func(*Doc[D]) error) error {
	fail := func(err error) error {
		return &DocumentError{Projector: e.loop.def.name, ID: id, Table: table, Topic: topic, CSN: csn, Err: err}
	}
	if err := CheckID(id); err != nil {
		return fail(err)
	}
	d := e.touch(id, csn)
	if err := guard(func() error { return handle(&d.Doc) }); err != nil {
		return fail(err)
	}
	d.handled()
	e.forget(d)
	return nil
}

// touch returns the document of an id, marked as changed by transaction csn.
func (e *foldEngine[D]) touch(id string, csn eventstore.CSN) *foldDoc[D] {
	d := e.docs[id]
	if d == nil {
		d = &foldDoc[D]{Doc: Doc[D]{ID: id}}
		e.docs[id] = d
	}
	if d.dirty && d.mark != csn {
		d.several = true
	}
	d.mark = csn
	if csn > e.progress && !d.dirty {
		d.dirty = true
		e.dirty = append(e.dirty, d)
	}
	return d
}

// forget drops a document that does not exist and that nothing has to be written of.
func (e *foldEngine[D]) forget(d *foldDoc[D]) {
	if !d.exists && !d.dirty {
		delete(e.docs, d.ID)
	}
}

func (e *foldEngine[D]) flush(ctx context.Context, _ point, w *writer) error {
	w.done = func(write Write, outcome Outcome) { e.docs[write.ID].summed = outcome == Applied }
	for _, d := range e.dirty {
		version, err := NewVersion(e.loop.generation, d.mark)
		if err != nil {
			return err
		}
		body, err := e.marshal(d)
		if err != nil {
			return &DocumentError{Projector: e.loop.def.name, ID: d.ID, CSN: d.mark, Err: err}
		}
		sum := sha256.Sum256(body)
		// Same bytes: left out only if one transaction made them. With several, a state between them may be on its way from a paused
		// process, and nothing but a newer version keeps it out.
		if d.summed && d.sum == sum && (!d.several || !safeguard.Suppression) {
			w.info.Unchanged++
			continue
		}
		d.sum, d.summed = sum, false // until it is acknowledged
		if err := w.put(ctx, Write{ID: d.ID, Version: version, Body: body}); err != nil {
			return err
		}
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	for _, d := range e.dirty {
		d.dirty, d.several = false, false
		e.forget(d)
	}
	clear(e.dirty)
	e.dirty = e.dirty[:0]
	return nil
}

// marshal returns the document's bytes, nil where there is none.
func (e *foldEngine[D]) marshal(d *foldDoc[D]) (body []byte, err error) {
	if !d.exists {
		return nil, nil
	}
	err = guard(func() error {
		body, err = json.Marshal(&d.Data)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("marshal: %w", err)
	}
	if !isObject(body) {
		return nil, errors.New("marshal: the document is not a JSON object")
	}
	return body, nil
}

// rowSource follows one table: the last row of each key, decoded.
type rowSource[T, D any] struct {
	table table
	ids   func(*T) []string
	apply func(d *Doc[D], old, new *T) error
	rows  map[string]*T
}

func (s *rowSource[T, D]) change(f *foldEngine[D], row *eventstore.RowChange) error {
	fail := func(err error) error {
		return &RowError{Projector: f.loop.def.name, Table: s.table.String(), Place: row.Place, Err: err}
	}
	was := s.rows[string(row.Key)]
	if !safeguard.OwnRows {
		var err error
		if was, _, err = images[T](row); err != nil {
			return fail(err)
		}
	}
	var now *T
	if row.After != nil {
		now = new(T)
		if err := decode(row.After, now); err != nil {
			return fail(fmt.Errorf("after image: %w", err))
		}
		s.rows[string(row.Key)] = now
	} else {
		delete(s.rows, string(row.Key))
	}
	apply := func(id string, was, now *T) error {
		return f.apply(id, s.table.String(), "", row.CSN, func(d *Doc[D]) error { return s.apply(d, was, now) })
	}
	left, err := callIDs(s.ids, was)
	if err != nil {
		return fail(fmt.Errorf("ids: %w", err))
	}
	entered, err := callIDs(s.ids, now)
	if err != nil {
		return fail(fmt.Errorf("ids: %w", err))
	}
	for i, id := range left {
		if slices.Contains(left[:i], id) {
			continue
		}
		after := now
		if !slices.Contains(entered, id) {
			after = nil
		}
		if err := apply(id, was, after); err != nil {
			return err
		}
	}
	for i, id := range entered {
		if slices.Contains(left, id) || slices.Contains(entered[:i], id) {
			continue
		}
		if err := apply(id, nil, now); err != nil {
			return err
		}
	}
	return nil
}
