package cdc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// ErrNotLeading says that a relay cannot take a request now, because it is not the one that writes, or its source has no snapshots.
var ErrNotLeading = errors.New("the relay does not read tables now")

// ErrTooManyRequests says that the snapshots that were asked for and are not done are as many as the watermarks take.
var ErrTooManyRequests = errors.New("too much is asked for: wait until some of it is done")

// maxProgress bounds what watermarks say of snapshots by requests, in bytes: it stands in every one of them.
const maxProgress = 128 << 10

// SnapshotRequest asks for rows of a captured table once more, although the log has them.
type SnapshotRequest struct {
	Schema, Table string
	// Where is a condition in SQL on the rows to read, as in a SELECT; empty for all. It is given to the server as it is: never let it
	// come from somebody who may not read the table.
	Where string
}

// Snapshot has rows read once more, beside the stream, and returns when the log has noted the request: from then on it is done
// whatever happens to the relay. The id is that of [SnapshotInfo].Request. It is for the relay that writes; others answer [ErrNotLeading].
// What is asked for and not done stands in every watermark, so [ErrTooManyRequests] bounds it. After another error the log may have noted
// the request all the same. Safe for concurrent use.
func (r *Relay) Snapshot(ctx context.Context, req SnapshotRequest) (id string, err error) {
	s := r.asked.Load()
	if s == nil || s.snapshots == nil || s.Snapshot.Mode == SnapshotNever {
		return "", fmt.Errorf("snapshot of %s.%s: %w", req.Schema, req.Table, ErrNotLeading)
	}
	number, err := s.snapshots.ask(req)
	if err != nil {
		return "", fmt.Errorf("snapshot of %s.%s: %w", req.Schema, req.Table, err)
	}
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		over := r.asked.Load() != s // nothing is noted behind that
		if noted, err := eventstore.ParseSnapshot(s.reached.Load().Snapshot); err != nil || noted.Requests >= number {
			return fmt.Sprint(number), err
		}
		if over {
			return "", fmt.Errorf("snapshot of %s.%s: %w: it stopped before the log had the request", req.Schema, req.Table, ErrNotLeading)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// asked is the session that takes requests.
type asked = atomic.Pointer[session]

// ask adds a request, and has a record of its own say so.
func (s *snapshots) ask(req SnapshotRequest) (number uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.progress.last().Match(req.Schema, req.Table) {
		return 0, errors.New("the table is not captured: it is not among those of the filter")
	}
	if err := s.progress.roomFor(req.Where); err != nil {
		return 0, err
	}
	s.progress.Requests++
	s.progress.ask(fmt.Sprint(s.progress.Requests), req.Schema, req.Table, req.Where)
	s.announce = true
	s.signal()
	s.attend()
	return s.progress.Requests, nil
}

// signals tells whether a table is the one of signals.
func (s *snapshots) signals(t *Table) bool {
	schema, table, _ := strings.Cut(s.Signals, ".")
	return t.Name == table && t.Schema == schema
}

// signalled takes the requests among the rows of the table of signals. Called with mu held.
func (s *snapshots) signalled(changes []Change) {
	for i := range changes {
		c := &changes[i]
		if c.Op != Create || !s.signals(c.Table) {
			continue
		}
		var row struct {
			ID     json.RawMessage `json:"id"`
			Schema string          `json:"schema_name"`
			Table  string          `json:"table_name"`
			Where  string          `json:"row_filter"`
		}
		if err := json.Unmarshal(c.After, &row); err != nil || len(row.ID) == 0 || !s.progress.last().Match(row.Schema, row.Table) {
			s.logger.Warn("a signal is passed over: want the columns id, schema_name, table_name and row_filter, and a table that is captured", "signals", s.Signals, "key", string(c.Key))
			continue
		}
		if err := s.progress.roomFor(row.Where); err != nil {
			s.logger.Error("a signal is passed over", "signals", s.Signals, "key", string(c.Key), "err", err)
			continue
		}
		s.progress.ask("signal "+string(row.ID), row.Schema, row.Table, row.Where)
		s.dirty = true
		s.signal()
	}
}

// giveUp drops a request that cannot be done, e.g. one whose condition the server does not understand: nothing is missing without it.
func (s *snapshots) giveUp(t *eventstore.SnapshotTable, err error) {
	s.mu.Lock()
	s.progress.remove(t)
	s.announce = true
	s.attend()
	s.mu.Unlock()
	s.logger.Error("a snapshot that was asked for cannot be done", "table", t.Schema+"."+t.Table, "request", t.Request, "err", err)
	s.hooks.snapshot(SnapshotInfo{Schema: t.Schema, Table: t.Table, Request: t.Request, Done: true, Err: err})
}
