package projector

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/safeguard"
)

// resolveKeys is the largest number of keys in a call of a [Resolver].
const resolveKeys = 1_000

// queryEngine is a [Query] at work: the ids, and the keys that lead to ids, of the window.
type queryEngine struct {
	stateless
	loop     *loop
	query    Query
	progress eventstore.CSN
	seen     map[table]bool // had rows in this run
	ids      keySet
	via      []keySet  // by index of query.Tables
	asked    time.Time // when the database may be asked again
}

// keySet is a set of strings in the order in which they came.
type keySet struct {
	list []string
	has  map[string]bool
}

func newKeySet() keySet { return keySet{has: map[string]bool{}} }

func (s *keySet) add(key string) {
	if s.has == nil {
		s.has = map[string]bool{}
	}
	if !s.has[key] {
		s.has[key] = true
		s.list = append(s.list, key)
	}
}

func (s *keySet) clear() {
	clear(s.list)
	clear(s.has)
	s.list = s.list[:0]
}

func (e *queryEngine) after() eventstore.CSN { return e.progress }

func (e *queryEngine) pending() int {
	n := len(e.ids.list)
	for i := range e.via {
		n += len(e.via[i].list)
	}
	return n
}

func (e *queryEngine) change(row *eventstore.RowChange) error {
	at := table{row.Schema, row.Table}
	e.seen[at] = true
	for i, t := range e.query.Tables {
		if t.events != nil || t.table != at {
			continue
		}
		keys, err := t.keys(row)
		if err != nil {
			return &RowError{Projector: e.query.Name, Table: at.String(), Place: row.Place, Err: err}
		}
		for _, key := range keys {
			if t.resolve != nil {
				e.via[i].add(key)
				continue
			}
			if err := CheckID(key); err != nil {
				return &RowError{Projector: e.query.Name, Table: at.String(), Place: row.Place, Err: err}
			}
			e.ids.add(key)
		}
	}
	return nil
}

func (e *queryEngine) event(rec *eventstore.Record) error {
	for _, t := range e.query.Tables {
		if t.events == nil || t.topic != rec.Topic {
			continue
		}
		ids, err := t.events(rec)
		for _, id := range ids {
			if err == nil {
				err = CheckID(id)
			}
			e.ids.add(id)
		}
		if err != nil {
			return &RowError{Projector: e.query.Name, Topic: rec.Topic, Place: rec.Place, Err: err}
		}
	}
	return nil
}

func (e *queryEngine) flush(ctx context.Context, at point, w *writer) error {
	if at.csn < e.loop.saved.Begun {
		at.executed = e.loop.headThen // what is emptied on the way is empty in each snapshot: see truncate
	}
	if err := e.resolve(ctx, at); err != nil {
		return err
	}
	version, err := NewVersion(e.loop.generation, at.csn)
	if err != nil {
		return err
	}
	for ids := range slices.Chunk(e.ids.list, e.query.LoadDocuments) {
		if err := e.load(ctx, at, version, ids, w); err != nil {
			return err
		}
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	e.ids.clear()
	for i := range e.via {
		e.via[i].clear()
	}
	return nil
}

// snapshot reads in one consistent snapshot that shows at least everything up to the point.
func (e *queryEngine) snapshot(ctx context.Context, step string, at point, read func(ctx context.Context, tx *sql.Tx) error) error {
	if !safeguard.ExecutedWait {
		at.executed = eventstore.Position{}
	}
	return e.loop.retry(ctx, step, mayPass, func() error {
		if err := e.await(ctx); err != nil {
			return err
		}
		return e.query.Database.Snapshot(ctx, at.executed, func(ctx context.Context, tx *sql.Tx) error {
			return guard(func() error { return read(ctx, tx) })
		})
	})
}

// await waits until the database may be asked again.
func (e *queryEngine) await(ctx context.Context) error {
	if e.query.LoadsPerSecond == 0 {
		return nil
	}
	if wait := time.Until(e.asked); wait > 0 && !sleep(ctx, wait) {
		return ctx.Err()
	}
	e.asked = time.Now().Add(time.Duration(float64(time.Second) / e.query.LoadsPerSecond))
	return nil
}

// resolve turns keys into ids.
func (e *queryEngine) resolve(ctx context.Context, at point) error {
	if !slices.ContainsFunc(e.via, func(s keySet) bool { return len(s.list) > 0 }) {
		return nil
	}
	return e.snapshot(ctx, "resolve keys", at, func(ctx context.Context, tx *sql.Tx) error {
		for i, t := range e.query.Tables {
			for keys := range slices.Chunk(e.via[i].list, resolveKeys) {
				ids, err := t.resolve(ctx, tx, slices.Clone(keys))
				if err != nil {
					return fmt.Errorf("resolve keys of table %s at csn %d: %w", t.table, at.csn, err)
				}
				for _, id := range ids {
					if err := CheckID(id); err != nil {
						return fmt.Errorf("resolve keys of table %s at csn %d: %w", t.table, at.csn, err)
					}
					e.ids.add(id)
				}
			}
		}
		return nil
	})
}

// load makes and writes the documents of ids. When that fails for good it halves the ids until it knows which document is to blame.
func (e *queryEngine) load(ctx context.Context, at point, version Version, ids []string, w *writer) error {
	var writes []Write
	err := e.snapshot(ctx, "load documents", at, func(ctx context.Context, tx *sql.Tx) error {
		docs, err := e.query.Load(ctx, tx, slices.Clone(ids))
		if err != nil {
			return err
		}
		writes, err = marshalLoaded(docs, ids, version)
		return err
	})
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return fmt.Errorf("load documents at csn %d: %w", at.csn, err)
	case len(ids) == 1:
		return &DocumentError{Projector: e.query.Name, ID: ids[0], CSN: at.csn, Err: fmt.Errorf("load: %w", err)}
	default:
		half := len(ids) / 2
		if err := e.load(ctx, at, version, ids[:half], w); err != nil {
			return err
		}
		if err := e.load(ctx, at, version, ids[half:], w); err != nil {
			return err
		}
		return fmt.Errorf("load %d documents at csn %d: %w (each half of them alone was loaded)", len(ids), at.csn, err)
	}
	for _, write := range writes {
		if err := w.put(ctx, write); err != nil {
			return err
		}
	}
	return nil
}

// marshalLoaded turns a loader's result into writes: of every id, a tombstone where there is no document.
func marshalLoaded(docs map[string]any, ids []string, version Version) ([]Write, error) {
	writes, found := make([]Write, len(ids)), 0
	for i, id := range ids {
		writes[i] = Write{ID: id, Version: version}
		value, ok := docs[id]
		if !ok {
			continue
		}
		found++
		body, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("marshal: %w", err)
		}
		if bytes.Equal(body, []byte("null")) {
			continue
		}
		if !isObject(body) {
			return nil, errors.New("marshal: the document is not a JSON object")
		}
		writes[i].Body = body
	}
	if found != len(docs) {
		return nil, fmt.Errorf("%d documents were returned that were not asked for", len(docs)-found)
	}
	return writes, nil
}
