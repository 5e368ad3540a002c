package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/examples/bmart/freshness"
	"github.com/millrace-go/millrace/examples/bmart/page"
	"github.com/millrace-go/millrace/examples/bmart/schema"
)

// flow follows the log: for the figures and the changes on the page, and to learn the csn of the load's commits.
type flow struct {
	log     eventstore.Log
	tracker *freshness.Tracker

	mu      sync.Mutex
	csn     eventstore.CSN // of the last watermark
	rows    int
	changes []page.Change // the last ones, the newest first
}

const keepChanges = 24

// run follows the log until ctx ends.
func (f *flow) run(ctx context.Context) error {
	for cut, err := range f.log.Cuts(ctx, eventstore.CutOptions{}) {
		if err != nil {
			return fmt.Errorf("follow the log: %w", err)
		}
		for record, err := range cut.Records() {
			if err != nil {
				return fmt.Errorf("follow the log: %w", err)
			}
			if record.Topic == eventstore.SchemaTopic {
				continue
			}
			var row eventstore.RowChange
			if err := eventstore.ParseRow(record, &row); errors.Is(err, eventstore.ErrTombstone) {
				continue
			} else if err != nil {
				return fmt.Errorf("follow the log: %w", err)
			}
			f.see(&row)
		}
		f.mu.Lock()
		f.csn = cut.CSN
		f.mu.Unlock()
	}
	return nil
}

func (f *flow) see(row *eventstore.RowChange) {
	before, after := fields(row.Before), fields(row.After)
	if row.Table == schema.Product && after != nil {
		var id uint64
		var updatedAt string
		if json.Unmarshal(after["id"], &id) == nil && json.Unmarshal(after["updated_at"], &updatedAt) == nil {
			f.tracker.Logged(id, strings.Replace(updatedAt, "T", " ", 1), row.CSN)
		}
	}
	c := page.Change{CSN: uint64(row.CSN), Index: row.Index, Op: string(row.Op), Table: row.Table, Key: key(row.Key), What: what(before, after)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rows++
	if len(f.changes) >= keepChanges {
		f.changes = f.changes[:keepChanges-1]
	}
	f.changes = slices.Insert(f.changes, 0, c)
}

func fields(image []byte) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	_ = json.Unmarshal(image, &m) // nil where there is no image
	return m
}

// key returns the values of a key.
func key(object []byte) string {
	var values []string
	for _, v := range fields(object) {
		values = append(values, string(v))
	}
	return strings.Join(values, "/")
}

// what says in words how a row changed.
func what(before, after map[string]json.RawMessage) string {
	if before == nil || after == nil {
		for _, name := range []string{"name", "title"} {
			for _, m := range []map[string]json.RawMessage{after, before} {
				if text, ok := m[name]; ok {
					return plainText(text)
				}
			}
		}
		return ""
	}
	var changed []string
	for name, v := range after {
		if name != "updated_at" && !bytes.Equal(v, before[name]) {
			changed = append(changed, fmt.Sprintf("%s %s → %s", strings.TrimSuffix(name, "_id"), plainText(before[name]), plainText(v)))
		}
	}
	slices.Sort(changed)
	return strings.Join(changed, ", ")
}

func plainText(v json.RawMessage) string {
	var s string
	if json.Unmarshal(v, &s) == nil && len(v) > 0 && v[0] == '"' {
		return s
	}
	return string(v)
}

// figures returns the last watermark's csn, the rows seen, and the last changes.
func (f *flow) figures() (eventstore.CSN, int, []page.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.csn, f.rows, slices.Clone(f.changes)
}
