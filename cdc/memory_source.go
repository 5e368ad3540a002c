package cdc

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/gtid"
)

// memoryUUID is the server uuid of every [MemorySource].
const memoryUUID = "00000000-0000-4000-8000-000000000001"

// MemorySource is a source in memory: what [MemorySource.Commit] is given, its streams deliver. It keeps every transaction until it
// is purged. Its zero value is one of all tables. Safe for concurrent use.
type MemorySource struct {
	filter    Filter
	sliceRows int

	mu           sync.Mutex
	transactions []memoryTransaction // transactions[i] has number i+1
	purged       int                 // transactions[:purged] are gone
	changed      chan struct{}       // closed and replaced at each commit
	open         map[string]bool     // the XIDs that are prepared
	rows         *memoryRows         // of transactions that every chunk shows
	settled      int                 // rows may have so many
	view         *memoryRows         // of the last chunk
	shown        int                 // transactions that a chunk has shown: each later one does
	unsettled    *rand.Rand
}

type memoryTransaction struct {
	changes []Change
	schema  []SchemaChange
	at      time.Time
	// An XA transaction: prepared with these changes, which completed delivers, unless it is a rollback.
	prepared, completed string
	rollback            bool
}

// NewMemorySource returns an empty source whose streams deliver the tables that filter takes, in slices of at most sliceRows changes
// (0: no limit).
func NewMemorySource(filter Filter, sliceRows int) (*MemorySource, error) {
	if err := filter.Validate(); err != nil {
		return nil, fmt.Errorf("memory source: %w", err)
	}
	if sliceRows < 0 {
		return nil, fmt.Errorf("memory source: sliceRows is %d, want 0 or more", sliceRows)
	}
	return &MemorySource{filter: filter, sliceRows: sliceRows}, nil
}

// lock locks mu, and makes what the zero value lacks.
func (s *MemorySource) lock() {
	s.mu.Lock()
	if s.changed == nil {
		s.changed, s.open = make(chan struct{}), map[string]bool{}
		s.rows = &memoryRows{tables: map[tableName]map[string][]byte{}, known: map[tableName]*Table{}, prepared: map[string][]Change{}}
	}
}

// Commit adds a transaction and returns its GTID. The changes' Row fields are set to their order. The source keeps the slices of
// bytes: do not modify them afterwards.
func (s *MemorySource) Commit(changes ...Change) string {
	s.lock()
	defer s.mu.Unlock()
	return s.add(memoryTransaction{changes: changes})
}

// Prepare adds an XA PREPARE of the changes under xid, and returns its GTID. The changes are delivered with its
// [MemorySource.CommitPrepared]. An xid that is prepared already is an error.
func (s *MemorySource) Prepare(xid string, changes ...Change) (string, error) {
	s.lock()
	defer s.mu.Unlock()
	if s.open[xid] {
		return "", fmt.Errorf("memory source: XA transaction %q is prepared already", xid)
	}
	s.open[xid] = true
	return s.add(memoryTransaction{changes: changes, prepared: xid}), nil
}

// CommitPrepared commits what was prepared under xid and returns the commit's GTID.
func (s *MemorySource) CommitPrepared(xid string) (string, error) { return s.complete(xid, false) }

// RollbackPrepared rolls back what was prepared under xid and returns the rollback's GTID.
func (s *MemorySource) RollbackPrepared(xid string) (string, error) { return s.complete(xid, true) }

func (s *MemorySource) complete(xid string, rollback bool) (string, error) {
	s.lock()
	defer s.mu.Unlock()
	if !s.open[xid] {
		return "", fmt.Errorf("memory source: no XA transaction %q is prepared", xid)
	}
	delete(s.open, xid)
	return s.add(memoryTransaction{completed: xid, rollback: rollback}), nil
}

// add is called with mu held.
func (s *MemorySource) add(tx memoryTransaction) string {
	tx.changes, tx.at = append([]Change(nil), tx.changes...), time.Now().Round(time.Microsecond)
	for i := range tx.changes {
		if tx.changes[i].Row = uint64(i); tx.changes[i].Table == nil {
			tx.changes[i].Table = &Table{}
		}
	}
	s.transactions = append(s.transactions, tx)
	close(s.changed)
	s.changed = make(chan struct{})
	return memoryGTID(len(s.transactions))
}

// Purge forgets the oldest n transactions, as a server purges its binlog.
func (s *MemorySource) Purge(n int) {
	s.lock()
	defer s.mu.Unlock()
	s.settled = max(s.settled, min(n, len(s.transactions)))
	s.at(s.settled)
	for s.purged < min(n, len(s.transactions)) {
		s.transactions[s.purged] = memoryTransaction{}
		s.purged++
	}
}

// Check returns nil: there is nothing to set wrong.
func (s *MemorySource) Check(context.Context) error { return nil }

// ConfigID returns an id of the filter.
func (s *MemorySource) ConfigID() string {
	return fmt.Sprintf("memory %q %q", s.filter.Include, s.filter.Exclude)
}

// Oldest returns the position before the first transaction, or [ErrPositionLost] after a purge.
func (s *MemorySource) Oldest(context.Context) (Position, error) {
	s.lock()
	defer s.mu.Unlock()
	if s.purged > 0 {
		return Position{}, fmt.Errorf("%w: %d transactions were purged", ErrPositionLost, s.purged)
	}
	return Position{Flavor: gtid.MySQL, Server: memoryUUID}, nil
}

// Executed returns the position after the last transaction.
func (s *MemorySource) Executed(context.Context) (Position, error) {
	s.lock()
	defer s.mu.Unlock()
	p := Position{Flavor: gtid.MySQL, Server: memoryUUID, File: memoryFile, Offset: uint64(len(s.transactions))}
	switch n := len(s.transactions); n {
	case 0:
	case 1:
		p.GTIDs = memoryGTID(1)
	default:
		p.GTIDs = fmt.Sprintf("%s:1-%d", memoryUUID, n)
	}
	return p, nil
}

const memoryFile = "memory"

func memoryGTID(n int) string { return fmt.Sprintf("%s:%d", memoryUUID, n) }

// Open starts a stream of the transactions that from does not hold, and of the rows that were prepared in it.
func (s *MemorySource) Open(_ context.Context, from Position) (Stream, error) {
	covers, err := from.Contains()
	if err != nil {
		return nil, err
	}
	again := map[string]bool{}
	for _, p := range from.Prepared {
		again[p.GTID] = true
	}
	s.lock()
	defer s.mu.Unlock()
	for n := 1; n <= s.purged; n++ {
		if had, err := covers(memoryGTID(n)); err != nil {
			return nil, err
		} else if !had || again[memoryGTID(n)] {
			return nil, fmt.Errorf("%w: transaction %s was purged", ErrPositionLost, memoryGTID(n))
		}
	}
	return &memoryStream{source: s, covers: covers, again: again, held: map[string][]Change{}, closed: make(chan struct{})}, nil
}

type memoryStream struct {
	source *MemorySource
	covers func(string) (bool, error)
	again  map[string]bool // the prepares that the position holds, by GTID
	held   map[string][]Change
	closed chan struct{}
	once   sync.Once

	number  int      // of the transaction in hand, 0 before the first
	marks   bool     // wanted
	marked  int      // the number that the last mark said
	pending []Change // what is left of it
	schema  []SchemaChange
	open    bool // slices of it are left
	slice   Slice
	// for its last slice
	prepared  *eventstore.Prepare
	completed string
}

// Close makes Next return.
func (st *memoryStream) Close() error {
	st.once.Do(func() { close(st.closed) })
	return nil
}

// Next returns the next slice. It blocks until there is one.
func (st *memoryStream) Next(ctx context.Context) (*Slice, error) {
	first := false
	if !st.open {
		mark, err := st.advance(ctx)
		if err != nil {
			return nil, err
		}
		if mark {
			st.marked = st.number
			st.slice = Slice{Server: memoryUUID, File: memoryFile, Offset: uint64(st.number)}
			return &st.slice, nil
		}
		first = true
	}
	n := len(st.pending)
	if limit := st.source.sliceRows; limit > 0 {
		n = min(n, limit)
	}
	st.slice.First, st.slice.Last, st.slice.Changes = first, n == len(st.pending), st.pending[:n]
	if st.slice.Schema = nil; first {
		st.slice.Schema = st.schema
	}
	st.pending, st.open = st.pending[n:], n < len(st.pending)
	if st.slice.Last {
		st.slice.Server, st.slice.File, st.slice.Offset = memoryUUID, memoryFile, uint64(st.number)
		st.slice.Prepared, st.slice.Completed = st.prepared, st.completed
	}
	return &st.slice, nil
}

// Marks makes Next say where the stream is when it has come to the end.
func (st *memoryStream) Marks(on bool) { st.marks, st.marked = on, -1 }

// advance waits for the next transaction that the position does not hold, or says that the stream is at the end, where that is wanted and was
// not said before.
func (st *memoryStream) advance(ctx context.Context) (mark bool, err error) {
	for {
		select {
		case <-st.closed:
			return false, fmt.Errorf("stream closed: %w", ErrUnavailable)
		case <-ctx.Done():
			return false, ctx.Err()
		default:
		}
		st.source.lock()
		if st.number == len(st.source.transactions) {
			changed := st.source.changed
			st.source.mu.Unlock()
			if st.marks && st.marked != st.number {
				return true, nil
			}
			select {
			case <-changed:
			case <-st.closed:
			case <-ctx.Done():
			}
			continue
		}
		tx, purged := st.source.transactions[st.number], st.number < st.source.purged
		st.source.mu.Unlock()
		st.number++
		id := memoryGTID(st.number)
		had, err := st.covers(id)
		if err != nil {
			return false, err
		}
		if tx.prepared != "" && (!had || st.again[id]) {
			st.held[tx.prepared] = tx.changes
		}
		if had {
			continue
		}
		if purged {
			return false, fmt.Errorf("%w: transaction %s was purged", ErrPositionLost, id)
		}
		return false, st.begin(id, tx)
	}
}

// begin makes tx the transaction in hand.
func (st *memoryStream) begin(id string, tx memoryTransaction) error {
	changes := tx.changes
	st.prepared, st.completed = nil, tx.completed
	switch {
	case tx.prepared != "":
		changes, st.prepared = nil, &eventstore.Prepare{XID: tx.prepared, GTID: id}
	case tx.completed != "":
		held, known := st.held[tx.completed]
		if !known {
			return fmt.Errorf("transaction %s completes XA transaction %q, whose prepare the position does not name", id, tx.completed)
		}
		delete(st.held, tx.completed)
		if changes = held; tx.rollback {
			changes = nil
		}
	}
	st.slice = Slice{ID: id, Time: tx.at}
	st.pending, st.schema = nil, st.source.filter.Captured(tx.schema)
	for _, c := range changes {
		if st.source.filter.Match(c.Table.Schema, c.Table.Name) {
			st.pending = append(st.pending, c)
		}
	}
	return nil
}
