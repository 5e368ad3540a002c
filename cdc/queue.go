package cdc

import (
	"context"
	"fmt"
	"sync"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/gtid"
)

// queue stands between the goroutine that reads the stream and the one that appends: one flush is filled while the other is on its
// way. It numbers the transactions. Its memory is bounded by two flushes and a slice; a full one makes the reader wait, and with it
// the server's connection.
type queue struct {
	limit     int
	connector string

	mu        sync.Mutex
	filling   *flush
	spare     *flush // nil while it is on its way
	next      eventstore.CSN
	csn       eventstore.CSN // of the transaction being added
	lastSlice int            // bytes of the slice added last; the reader's own
	// executed is every transaction with csn <= the last complete one in filling, prepared the XA transactions open behind it.
	executed *gtid.Set
	prepared []eventstore.Prepare
	snapshot string // how far the tables are behind it
	err      error  // of the reader; nothing is added after it

	added chan struct{} // holds one token when there may be something to take
	freed chan struct{} // holds one token when there may be room
}

// newQueue returns a queue that numbers on behind last.
func newQueue(limit int, config string, rules *rules, tables *definitions, last eventstore.Watermark) (*queue, error) {
	executed, err := gtid.Parse(last.Position.Flavor, last.Position.GTIDs)
	if err != nil {
		return nil, err
	}
	return &queue{limit: limit, connector: last.Position.Flavor, next: last.CSN + 1, executed: executed, prepared: last.Position.Prepared,
		snapshot: last.Position.Snapshot, filling: newFlush(config, rules, tables), spare: newFlush(config, rules, tables), added: make(chan struct{}, 1), freed: make(chan struct{}, 1)}, nil
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// add numbers slice and renders it, waiting for room. The definition of a chunk's table must be acknowledged before the chunk is sent: a
// successor finishes transactions, and with them their definitions, but not chunks. So it goes before it, as a transaction of its own.
func (q *queue) add(ctx context.Context, slice *Slice) error {
	if table := q.undefined(slice); table != nil {
		own := Slice{ID: slice.ID + "/define", First: true, Last: true, Time: slice.Time, Server: slice.Server, File: slice.File, Offset: slice.Offset, define: table}
		if err := q.add(ctx, &own); err != nil {
			return err
		}
	}
	for {
		done, err := q.tryAdd(slice)
		if done || err != nil {
			return err
		}
		select {
		case <-q.freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// undefined returns the table of a chunk whose definition the log does not have yet.
func (q *queue) undefined(slice *Slice) *Table {
	if !slice.IsChunk() || len(slice.Changes) == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	table := slice.Changes[0].Table
	if d := q.filling.definitions; d.written[d.of(table).id] {
		return nil
	}
	return table
}

// position is what has been added.
func (q *queue) position() Position {
	q.mu.Lock()
	defer q.mu.Unlock()
	return Position{Flavor: q.connector, GTIDs: q.executed.String(), Prepared: q.prepared, Snapshot: q.snapshot}
}

func (q *queue) tryAdd(slice *Slice) (done bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.filling.accepts(slice, q.limit) {
		return false, nil
	}
	if err := q.filling.judge(slice); err != nil {
		return false, err
	}
	if slice.First {
		q.csn, q.next = q.next, q.next+1
	}
	if slice.First || q.filling.empty() {
		q.filling.Stamp.Add(q.csn, slice.ID)
	}
	before := q.filling.bytes
	q.filling.add(slice, q.csn, q.connector, nil)
	q.lastSlice = q.filling.bytes - before
	if slice.Snapshot != nil {
		q.snapshot = *slice.Snapshot
	}
	if slice.Last && !slice.IsChunk() {
		if err := q.executed.Add(slice.ID); err != nil {
			return false, fmt.Errorf("position after %s: %w", slice.ID, err)
		}
		if q.prepared, err = advancePrepared(q.prepared, slice); err != nil {
			return false, err
		}
	}
	signal(q.added)
	return true, nil
}

// hugeFlushes is how many flushes a slice must be larger than to be huge. A slice is bounded like a flush, but for a single row.
const hugeFlushes = 2

// drained waits until everything added has been appended.
func (q *queue) drained(ctx context.Context) error {
	for {
		q.mu.Lock()
		drained := q.filling.empty() && q.spare != nil
		q.mu.Unlock()
		if drained {
			return nil
		}
		select {
		case <-q.freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fail ends the queue: take returns err once everything added before is taken.
func (q *queue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.err = err
	signal(q.added)
}

// take returns what has been collected, with the position at its end when that is a transaction's end, or nil when there is nothing;
// then err tells whether there will be more.
func (q *queue) take() (f *flush, end Position, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.filling.empty() {
		return nil, Position{}, q.err
	}
	f, q.filling, q.spare = q.filling, q.spare, nil
	signal(q.freed)
	if f.complete {
		end = Position{Flavor: q.connector, GTIDs: q.executed.String(), Server: f.server, File: f.file, Offset: f.offset, Prepared: q.prepared,
			Snapshot: q.snapshot}
	}
	return f, end, nil
}

// release takes back what take returned.
func (q *queue) release(f *flush) {
	f.reset()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spare = f
	signal(q.freed)
}
