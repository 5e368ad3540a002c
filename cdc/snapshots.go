package cdc

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// snapshots are those of a session: what is to be read, who reads it, and the chunks that are on their way. Readers ask it what to do; a
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

// restart begins a table again.
func (s *snapshots) restart(t *eventstore.SnapshotTable) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress.restart(t.Schema, t.Table)
	s.announce = true
	s.signal()
	s.attend()
}

// drop forgets a chunk, wherever it has come to.
func (s *snapshots) drop(r *reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	same := func(other *reading) bool { return other == r }
	s.opening, s.open = slices.DeleteFunc(s.opening, same), slices.DeleteFunc(s.open, same)
}
