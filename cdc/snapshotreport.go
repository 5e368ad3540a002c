package cdc

import (
	"fmt"
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// report tells of a chunk that is in the queue.
func (s *snapshots) report(r *reading) {
	n := len(r.chunk.Rows)
	s.mu.Lock()
	begin, known := s.begun[r.table]
	if !known {
		begin = tableBegin{r.viewed, r.table.Rows - uint64(n)}
		s.begun[r.table] = begin
	}
	if r.done {
		delete(s.begun, r.table)
		delete(s.huge, r.table)
	}
	info := SnapshotInfo{Chunk: n, Left: begin.left(r.table, time.Now()), Schema: r.schema, Table: r.table.Table, Request: r.table.Request, Rows: r.table.Rows, Estimate: r.table.Estimate, Done: r.done}
	s.mu.Unlock()
	if r.missing && info.Request != "" {
		info.Err = fmt.Errorf("snapshot of %s.%s: %w", info.Schema, info.Table, ErrNoTable)
		s.logger.Error("a snapshot that was asked for cannot be done", "request", info.Request, "err", info.Err)
	} else if info.Done {
		s.logger.Info("snapshot of a table done", "table", info.Schema+"."+info.Table, "request", info.Request, "rows", info.Rows)
	}
	s.hooks.snapshot(info)
}

// discarded tells of a chunk that came to nothing.
func (s *snapshots) discarded(t *eventstore.SnapshotTable, why discard) {
	s.mu.Lock()
	info := SnapshotInfo{Schema: t.Schema, Table: t.Table, Request: t.Request, Rows: t.Rows, Estimate: t.Estimate, Discarded: string(why)}
	s.mu.Unlock()
	s.hooks.snapshot(info)
}

// tableBegin is when this session began to read a table, and how many rows had been read before.
type tableBegin struct {
	at   time.Time
	rows uint64
}

// left is how long the rest of the table takes at the pace since then.
func (b tableBegin) left(t *eventstore.SnapshotTable, now time.Time) time.Duration {
	if t.Rows <= b.rows || t.Estimate <= t.Rows {
		return 0
	}
	return time.Duration(float64(now.Sub(b.at)) * float64(t.Estimate-t.Rows) / float64(t.Rows-b.rows))
}
