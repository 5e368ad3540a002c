package cdc

import (
	"context"
	"sync"
	"time"

	"github.com/millrace-go/millrace/internal/pause"
)

// schedule says when chunks are read and how large they are. While the stream has work they yield to it: one at a time is on its way, from
// its SELECT to the log's acknowledgement, then none for as long again; and it is so small that a flush with it takes hardly longer than twice one
// without. While the stream is idle every reader reads as much as it may. Safe for concurrent use.
type schedule struct {
	eager bool
	most  int // rows of a chunk
	lag   *lagClock
	slot  chan struct{} // holds one token while a chunk that yields is on its way

	mu      sync.Mutex
	rows    int           // of a chunk that yields
	alone   time.Duration // that a flush without chunks takes, smoothed; 0 when not known
	written uint64        // chunks that the log has acknowledged
	changed chan struct{} // closed and replaced when written rises
}

// A chunk that yields has between these shares of the rows that others may have.
const (
	leastShare = 16
	mostShare  = 8
)

// maxRest is how long nothing is read at most between two chunks that yield.
const maxRest = time.Second

func newSchedule(cfg *SnapshotConfig) schedule {
	return schedule{eager: cfg.Eager, most: cfg.ChunkRows, slot: make(chan struct{}, 1), rows: max(cfg.ChunkRows/leastShare, 1), changed: make(chan struct{})}
}

// enter waits until a chunk may be read, and returns how many rows it may have, and whether it yields: then leave must be called.
func (s *schedule) enter(ctx context.Context) (rows int, yields bool, err error) {
	if s.eager || !s.lag.busy(time.Now()) {
		return s.most, false, nil
	}
	select {
	case s.slot <- struct{}{}:
	case <-ctx.Done():
		return 0, false, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows, true, nil
}

// leave lets the next chunk that yields be read.
func (s *schedule) leave() { <-s.slot }

// settle waits until the log has so many chunks, and then for as long as that has taken since began.
func (s *schedule) settle(ctx context.Context, chunks uint64, began time.Time) error {
	if err := s.acknowledged(ctx, chunks); err != nil {
		return err
	}
	if !pause.For(ctx, min(time.Since(began), maxRest)) {
		return ctx.Err()
	}
	return nil
}

// acknowledged waits until the log has so many chunks.
func (s *schedule) acknowledged(ctx context.Context, chunks uint64) error {
	for {
		s.mu.Lock()
		written, changed := s.written, s.changed
		s.mu.Unlock()
		if written >= chunks {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// flushed notes how long a flush took, and how many chunks it had.
func (s *schedule) flushed(chunks int, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case chunks == 0 && s.alone == 0:
		s.alone = took
	case chunks == 0:
		s.alone += (took - s.alone) / 16
	case s.alone == 0:
	case took > 2*s.alone:
		s.rows = max(s.rows*7/8, s.most/leastShare, 1)
	default:
		s.rows = max(min(s.rows*9/8+1, s.most/mostShare), 1)
	}
	if chunks > 0 {
		s.written += uint64(chunks)
		close(s.changed)
		s.changed = make(chan struct{})
	}
}
