package cdc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/pause"
)

// read is one reader.
func (s *snapshots) read(ctx context.Context) error {
	var chunks ChunkReader
	closed := func() {
		if chunks != nil {
			_ = chunks.Close() // nothing was written over it
		}
		chunks = nil
	}
	defer closed()
	for backoff := minBackoff; ; {
		next, changed, complete := s.take()
		if complete {
			s.logger.Info("snapshot complete")
			s.hooks.snapshot(SnapshotInfo{Complete: true})
		}
		if next == nil {
			closed()
			select {
			case <-ctx.Done():
				return nil
			case <-changed:
			}
			continue
		}
		err := error(nil)
		if chunks == nil {
			chunks, err = s.source.OpenChunks(ctx)
		}
		if err == nil {
			err = s.do(ctx, chunks, next)
		}
		s.giveBack(next)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			backoff = minBackoff
			continue
		case !isUnavailable(err) && next.table != nil && next.table.Request != "":
			s.giveUp(next.table, err)
			continue
		case !isUnavailable(err):
			return fmt.Errorf("snapshot: %w", err)
		}
		s.logger.Warn("snapshot interrupted, trying again", "in", backoff, "err", err)
		closed()
		if !pause.For(ctx, backoff) {
			return nil
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// do does what was taken.
func (s *snapshots) do(ctx context.Context, chunks ChunkReader, t *task) error {
	switch {
	case t.table == nil:
		return s.list(ctx)
	case t.part == nil:
		return s.plan(ctx, chunks, t.table)
	}
	return s.readPart(ctx, chunks, t)
}

// list lists the tables as of a place of the stream.
func (s *snapshots) list(ctx context.Context) error {
	for wait := time.Millisecond; ; wait = min(2*wait, maxPause) {
		r := s.newReading(&task{})
		why, err := s.see(ctx, r, func(Position) (*Chunk, error) {
			tables, err := s.source.Tables(ctx)
			if err != nil {
				return nil, fmt.Errorf("list the tables: %w", err)
			}
			r.tables = tables
			return s.nothing(ctx)
		})
		if err != nil || why == "" {
			return err
		}
		s.logger.Debug("the tables are listed again", "why", string(why))
		if !pause.For(ctx, wait) {
			return ctx.Err()
		}
	}
}

// bigChunks is how many chunks a table must have, by the server's estimate, to be divided.
const bigChunks = 8

// plan divides a table into ranges.
func (s *snapshots) plan(ctx context.Context, chunks ChunkReader, t *eventstore.SnapshotTable) error {
	var ranges []ChunkRange
	if s.Readers > 1 && t.Estimate > uint64(bigChunks*s.ChunkRows) {
		var err error
		ranges, err = chunks.Split(ctx, t.Schema, t.Table, 2*s.Readers)
		if err != nil && !errors.Is(err, ErrNoTable) && !errors.Is(err, ErrChunkStale) {
			return fmt.Errorf("divide %s.%s: %w", t.Schema, t.Table, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress.split(t, ranges)
	s.logger.Info("snapshot of a table begins", "table", t.Schema+"."+t.Table, "request", t.Request, "estimate", t.Estimate, "ranges", len(t.Ranges))
	return nil
}

// maxPause is how long a reader waits at most before it reads a chunk again that came to nothing.
const maxPause = time.Second

// readPart reads one chunk of a range and sees it into the log. What came to nothing it reads again, a smaller one.
func (s *snapshots) readPart(ctx context.Context, chunks ChunkReader, t *task) error {
	wait := time.Millisecond
	for most := s.ChunkRows; ; most = max(most/2, 1) {
		if err := s.yield(ctx); err != nil {
			return err
		}
		release, err := s.await(ctx, t.table)
		if err != nil {
			return err
		}
		r, why, err := s.readScheduled(ctx, chunks, t, most)
		release()
		if err != nil {
			return err
		}
		if why == "" {
			s.report(r)
			return s.pace.wait(ctx, len(r.chunk.Rows))
		}
		s.discarded(t.table, why)
		s.logger.Debug("a chunk is read again", "table", t.table.Schema+"."+t.table.Table, "rows", most, "why", string(why))
		if !s.holds(t) {
			return nil
		}
		if !pause.For(ctx, wait) {
			return ctx.Err()
		}
		wait = min(2*wait, maxPause)
	}
}

// await waits until a chunk of a table may be read: of huge rows only one is in memory, until it is appended.
func (s *snapshots) await(ctx context.Context, t *eventstore.SnapshotTable) (release func(), err error) {
	s.mu.Lock()
	huge := s.huge[t]
	s.mu.Unlock()
	if !huge {
		return func() {}, nil
	}
	select {
	case s.alone <- struct{}{}:
		return func() { <-s.alone }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// holds tells whether a range is still to be read: a statement may have made it meaningless.
func (s *snapshots) holds(t *task) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.progress.Tables, t.table) && slices.Contains(t.table.Ranges, t.part)
}

// readScheduled reads a chunk when the stream lets it, and waits until it is in the queue, or why it will never be; where it yields to the stream, a
// while longer than until it is in the log.
func (s *snapshots) readScheduled(ctx context.Context, chunks ChunkReader, t *task, most int) (*reading, discard, error) {
	rows, yields, err := s.schedule.enter(ctx)
	if err != nil {
		return nil, "", err
	}
	began := time.Now()
	if yields {
		defer s.schedule.leave()
	}
	r, why, err := s.readChunk(ctx, chunks, t, min(rows, most))
	if yields && why == "" && err == nil {
		err = s.schedule.settle(ctx, r.number, began)
	}
	return r, why, err
}

// readChunk reads a chunk and waits until it is in the queue, or why it will never be.
func (s *snapshots) readChunk(ctx context.Context, chunks ChunkReader, t *task, rows int) (*reading, discard, error) {
	r := s.newReading(t)
	s.mu.Lock()
	part := *t.part
	s.mu.Unlock()
	why, err := s.see(ctx, r, func(delivered Position) (*Chunk, error) {
		r.viewed = time.Now()
		chunk, err := chunks.Read(ctx, ChunkRequest{Schema: t.table.Schema, Table: t.table.Table, Range: part, Where: t.table.Where, MaxRows: rows,
			MaxBytes: s.chunkBytes, Delivered: delivered})
		if errors.Is(err, ErrNoTable) { // when the stream comes to here, it has told where the table went, or it was gone before
			r.missing = true
			return s.nothing(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("read a chunk of %s.%s: %w", t.table.Schema, t.table.Table, err)
		}
		return chunk, nil
	})
	if errors.Is(err, ErrChunkBounds) { // no statement may ever say so: another server may have another key, or this program names keys otherwise
		s.restart(t.table)
		return r, otherKey, nil
	}
	if errors.Is(err, ErrChunkStale) {
		return r, tableChanged, nil
	}
	return r, why, err
}

func (s *snapshots) newReading(t *task) *reading {
	r := &reading{table: t.table, part: t.part, opened: make(chan Position, 1), outcome: make(chan discard, 1)}
	if t.table == nil {
		r.window = newWindow("", "", 2*s.chunkBytes)
	} else {
		r.window = newWindow(t.table.Schema, t.table.Table, 2*s.chunkBytes)
	}
	return r
}

// see opens a window, reads, and waits until the stream has taken what was read, or says why it cannot.
func (s *snapshots) see(ctx context.Context, r *reading, read func(delivered Position) (*Chunk, error)) (discard, error) {
	defer s.drop(r)
	s.mu.Lock()
	s.opening = append(s.opening, r)
	s.attend()
	s.mu.Unlock()
	var delivered Position
	select {
	case delivered = <-r.opened:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	chunk, err := read(delivered)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	if r.table != nil && chunk.bytes() > s.hugeBytes {
		s.huge[r.table] = true
	}
	r.window.read(chunk)
	s.attend()
	s.mu.Unlock()
	select {
	case why := <-r.outcome:
		return why, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// nothing is the chunk of a table that does not exist.
func (s *snapshots) nothing(ctx context.Context) (*Chunk, error) {
	now, err := s.source.Executed(ctx)
	if err != nil {
		return nil, fmt.Errorf("executed set: %w", err)
	}
	return &Chunk{Done: true, High: Coordinates{now.Server, now.File, now.Offset}}, nil
}
