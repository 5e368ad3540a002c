package cdc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// snapshots are those of a session: what is to be read, who reads it, and the chunks that are on their way. The readers are here; a
// [snapshotStream] places what they read.
type snapshots struct {
	SnapshotConfig
	source     SnapshotSource // of the server that is followed
	chunkBytes int
	hugeBytes  int           // a chunk of more, which is one row, is alone in memory
	alone      chan struct{} // has a token while somebody reads a table of such rows
	logger     *slog.Logger
	hooks      Hooks
	prefix     string // of the ids of its chunks
	pace       pace
	schedule   schedule

	mu       sync.Mutex
	progress *progress
	chunks   uint64        // placed so far
	changed  chan struct{} // closed and replaced when there may be something else to do
	dirty    bool          // the transaction under way has changed progress
	announce bool          // progress has changed, and no transaction or chunk says so
	busy     map[*ChunkRange]bool
	planning map[*eventstore.SnapshotTable]bool
	begun    map[*eventstore.SnapshotTable]tableBegin
	huge     map[*eventstore.SnapshotTable]bool // had such a row
	listing  bool
	opening  []*reading // want a window
	open     []*reading // have one
	wake     context.CancelFunc
}

// reading is a chunk that is being read, or a list of the tables.
type reading struct {
	*window
	tables  []TableSize // the list
	table   *eventstore.SnapshotTable
	part    *ChunkRange
	viewed  time.Time     // before the view was taken
	opened  chan Position // what had been delivered when the window was opened
	outcome chan discard  // empty: the chunk is in the queue
	done    bool          // with this chunk the table is
	missing bool          // there is no such table
	number  uint64        // among the chunks that were placed, from 1
}

// newSnapshots goes on from the text of a position.
func newSnapshots(cfg *Config, source SnapshotSource, text string) (*snapshots, error) {
	p, err := newProgress(text, source.Filter())
	if err != nil {
		return nil, err
	}
	return &snapshots{SnapshotConfig: cfg.Snapshot, source: source, chunkBytes: max(cfg.MaxBytes/32/cfg.Snapshot.Readers, 1), logger: cfg.Logger, hooks: cfg.Hooks,
		prefix: ChunkPrefix + rand.Text() + "-", pace: pace{perSecond: cfg.Snapshot.RowsPerSecond}, schedule: newSchedule(&cfg.Snapshot), progress: p, changed: make(chan struct{}),
		busy: map[*ChunkRange]bool{}, planning: map[*eventstore.SnapshotTable]bool{}, begun: map[*eventstore.SnapshotTable]tableBegin{},
		hugeBytes: hugeFlushes * cfg.FlushBytes, alone: make(chan struct{}, 1), huge: map[*eventstore.SnapshotTable]bool{}}, nil
}

// text is what positions say.
func (s *snapshots) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.progress.Text()
}

// pass notes a slice of the stream. On the last one of a transaction that changed what is to be read it returns what positions say from
// there on.
func (s *snapshots) pass(slice *Slice) (text *string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(slice.Schema) > 0 && s.progress.statements(slice.Schema) {
		s.dirty = true
		s.signal()
	}
	if s.Signals != "" {
		s.signalled(slice.Changes)
	}
	for _, r := range s.open {
		r.pass(slice)
	}
	if !slice.Last || !s.dirty {
		return nil
	}
	s.dirty = false
	now := s.progress.Text()
	return &now
}

// signal lets the readers look again for something to do. Called with mu held.
func (s *snapshots) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// attended takes what wakes the stream from now on.
func (s *snapshots) attended(wake context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake = wake
}

// attend makes the stream look at what is open. Called with mu held.
func (s *snapshots) attend() {
	if s.wake != nil {
		s.wake()
	}
}

// activity tells whether chunks are on their way, and whether any will be, as far as is known.
func (s *snapshots) activity() (reading, pending bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.opening)+len(s.open) > 0, s.progress.pending()
}

// id returns the id of the next chunk. Called with mu held.
func (s *snapshots) id() string {
	s.chunks++
	return fmt.Sprint(s.prefix, s.chunks)
}

// placed notes that a chunk is in the stream. Called with mu held.
func (s *snapshots) placed(r *reading) {
	r.number = s.chunks
	r.done = s.progress.read(r.table, r.part, r.chunk, len(r.chunk.Rows))
	s.signal()
}

// run reads what there is to read, until ctx ends or something cannot be read.
func (s *snapshots) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, s.Readers)
	for range s.Readers {
		go func() { failed <- s.read(ctx) }()
	}
	var first error
	for range s.Readers {
		if err := <-failed; err != nil && first == nil {
			first = err
			stop()
		}
	}
	return first
}

// task is what a reader does next: list the tables, divide one into ranges, or read a range.
type task struct {
	table *eventstore.SnapshotTable
	part  *ChunkRange
}

// take returns what to do next, or nil and when to ask again; and whether the log has just become whole.
func (s *snapshots) take() (next *task, changed <-chan struct{}, complete bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.progress
	for _, t := range p.Tables {
		if t.Ranges == nil && !s.planning[t] {
			s.planning[t] = true
			return &task{table: t}, nil, false
		}
		for _, part := range t.Ranges {
			if !s.busy[part] {
				s.busy[part] = true
				return &task{table: t, part: part}, nil, false
			}
		}
	}
	if t := p.begin(); t != nil {
		s.planning[t] = true
		return &task{table: t}, nil, false
	}
	if !p.last().Done && !p.listed && !s.listing {
		s.listing = true
		return &task{}, nil, false
	}
	if complete = p.finish(); complete {
		s.announce = true
		s.attend()
	}
	return nil, s.changed, complete
}

// giveBack undoes a take.
func (s *snapshots) giveBack(t *task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case t.part != nil:
		delete(s.busy, t.part)
	case t.table != nil:
		delete(s.planning, t.table)
	default:
		s.listing = false
	}
	s.signal()
}

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
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff):
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
	for pause := time.Millisecond; ; pause = min(2*pause, maxPause) {
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
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
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
	pause := time.Millisecond
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
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
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

// restart begins a table again.
func (s *snapshots) restart(t *eventstore.SnapshotTable) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress.restart(t.Schema, t.Table)
	s.announce = true
	s.signal()
	s.attend()
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

// drop forgets a chunk, wherever it has come to.
func (s *snapshots) drop(r *reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	same := func(other *reading) bool { return other == r }
	s.opening, s.open = slices.DeleteFunc(s.opening, same), slices.DeleteFunc(s.open, same)
}

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
