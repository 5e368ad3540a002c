package cdc

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// snapshotStream puts chunks between the transactions of a stream. It stands between the tail and the queue: when Next is called, the
// slice before is in the queue, so that what was returned is what is delivered.
type snapshotStream struct {
	inner     Stream
	held      []*Slice // what the tail has held back comes first
	snapshots *snapshots
	delivered func() Position // of the queue

	holding bool // the slice that was returned last had been held back
	inside  bool // a transaction's slices are left
	// Where the last transaction ended: of those delivered; of those that came from inner, zero while that is not known; and of both when
	// they are the same.
	last, streamed, end Coordinates
	place               Coordinates // how far the stream is: end, or a mark behind it
	// matched is the furthest place that views were shown to cover: one that a chunk named, and where a transaction ended.
	matched   Coordinates
	completed map[string]struct{}  // XA transactions that were completed, and may not be visible
	suspected map[string]time.Time // others that a server listed and the position did not, since when
	foreign   map[string]bool      // those of them that it goes on listing: they were prepared before the log began
	time      time.Time            // of the last transaction
	placed    *reading             // the chunk that Next returned last
	marks     bool
	slice     Slice

	ctx    context.Context // what the inner stream is called with: ends with parent, and when a chunk wants attention
	cancel context.CancelFunc
	parent context.Context

	lag lagClock
}

// newSnapshotStream goes on behind a watermark with what the tail has held back and then with inner.
func newSnapshotStream(inner Stream, held []*Slice, s *snapshots, behind eventstore.Watermark, delivered func() Position) *snapshotStream {
	from := behind.Position
	return &snapshotStream{inner: inner, held: held, snapshots: s, delivered: delivered, completed: map[string]struct{}{},
		suspected: map[string]time.Time{}, foreign: map[string]bool{},
		time: behind.Time, last: Coordinates{from.Server, from.File, from.Offset}}
}

// Close closes the stream behind it.
func (st *snapshotStream) Close() error { return st.inner.Close() }

// Release lets go of the last slice. Whoever has read it as a chunk goes on when Next is called.
func (st *snapshotStream) Release() {
	if st.placed != nil {
		clear(st.placed.chunk.Rows)
		st.slice.Changes = nil
	}
	if r, ok := st.inner.(Releaser); ok {
		r.Release()
	}
}

// Next returns the next slice of the stream, or a chunk that is due.
func (st *snapshotStream) Next(ctx context.Context) (*Slice, error) {
	st.settle()
	for {
		st.attend(ctx)
		if !st.inside {
			if chunk := st.due(); chunk != nil {
				return chunk, nil
			}
		}
		slice, err := st.next()
		switch {
		case err != nil && st.ctx.Err() != nil && ctx.Err() == nil && errors.Is(err, context.Canceled):
			continue // somebody wants attention
		case err != nil:
			return nil, err
		case slice.ID == "":
			st.lag.waiting.Store(0)
			st.place = Coordinates{slice.Server, slice.File, slice.Offset}
			continue
		}
		return st.pass(slice), nil
	}
}

// attend makes a context that ends when a chunk wants attention.
func (st *snapshotStream) attend(ctx context.Context) {
	if st.ctx != nil && st.parent == ctx && st.ctx.Err() == nil {
		return
	}
	if st.cancel != nil {
		st.cancel()
	}
	st.parent = ctx
	st.ctx, st.cancel = context.WithCancel(ctx)
	st.snapshots.attended(st.cancel)
}

func (st *snapshotStream) next() (*Slice, error) {
	if len(st.held) > 0 {
		slice := st.held[0]
		st.held, st.holding = st.held[1:], true
		return slice, nil
	}
	st.holding = false
	reading, pending := st.snapshots.activity()
	if m, ok := st.inner.(MarkedStream); ok && reading != st.marks {
		st.marks = reading
		m.Marks(reading)
	}
	if pending {
		st.lag.waiting.CompareAndSwap(0, time.Now().UnixNano())
	}
	return st.inner.Next(st.ctx)
}

// pass notes a slice that is about to be delivered.
func (st *snapshotStream) pass(slice *Slice) *Slice {
	st.lag.waiting.Store(0)
	st.inside = !slice.Last
	text := st.snapshots.pass(slice)
	if !slice.Last {
		return slice
	}
	st.time = slice.Time
	st.lag.time.Store(slice.Time.UnixNano())
	if slice.Completed != "" {
		st.complete(slice.Completed)
	}
	if slice.Prepared != nil {
		st.known(slice.Prepared.XID)
		delete(st.completed, slice.Prepared.XID)
	}
	st.last = Coordinates{slice.Server, slice.File, slice.Offset}
	if !st.holding {
		st.streamed = st.last
	}
	if len(st.held) == 0 {
		st.end, st.place = st.streamed, st.streamed
	}
	if text != nil {
		st.slice = *slice
		st.slice.Snapshot = text
		return &st.slice
	}
	return slice
}

// maxCompleted bounds the XA transactions that are remembered: they become visible within milliseconds.
const maxCompleted = 10_000

func (st *snapshotStream) complete(xid string) {
	if len(st.completed) >= maxCompleted {
		if reading, _ := st.snapshots.activity(); !reading {
			clear(st.completed)
		}
	}
	st.known(xid)
	st.completed[xid] = struct{}{}
}

// known notes that an XA transaction is one of the stream's, whatever was before of its name.
func (st *snapshotStream) known(xid string) {
	delete(st.suspected, xid)
	delete(st.foreign, xid)
}

// settle tells the reader of the chunk that Next returned before that it is in the queue.
func (st *snapshotStream) settle() {
	if st.placed != nil {
		st.placed.outcome <- ""
		st.placed = nil
		st.slice = Slice{}
	}
}

// due opens the windows of those who begin to read, and returns the first chunk that can be placed here.
func (st *snapshotStream) due() *Slice {
	s := st.snapshots
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.opening) > 0 {
		at := st.delivered()
		at.Server, at.File, at.Offset = st.last.Server, st.last.File, st.last.Offset
		for _, r := range s.opening {
			r.open(st.end, st.matched, maps.Clone(st.completed), at.Prepared)
			s.open = append(s.open, r)
			r.opened <- at
		}
		s.opening = nil
	}
	for i := 0; i < len(s.open); i++ {
		r := s.open[i]
		if r.chunk == nil {
			continue
		}
		place, why := r.decide(st.place, st.foreign)
		if !place && why == "" {
			continue
		}
		s.open = slices.Delete(s.open, i, i+1)
		i--
		if why == unseenXA {
			st.suspect(r)
		}
		if !place {
			r.outcome <- why
			continue
		}
		st.learn(r)
		if r.table == nil {
			s.progress.list(r.tables)
			r.outcome <- ""
			continue
		}
		st.placed = r
		rows := r.rows()
		st.slice = Slice{ID: s.id(), First: true, Last: true, Changes: rows, Time: st.timeOf(r), Server: st.last.Server, File: st.last.File, Offset: st.last.Offset}
		for i := range rows {
			rows[i].Row = uint64(i)
		}
		s.placed(r)
		text := s.progress.Text()
		st.slice.Snapshot = &text
		return &st.slice
	}
	if s.announce {
		s.announce = false
		text := s.progress.Text()
		st.slice = Slice{ID: s.id(), First: true, Last: true, Time: st.timeOf(nil), Server: st.last.Server, File: st.last.File, Offset: st.last.Offset, Snapshot: &text}
		return &st.slice
	}
	return nil
}

// learn keeps what the chunk's view proves.
func (st *snapshotStream) learn(r *reading) {
	if low := r.chunk.Low; low != nil && r.endsAtLow() && (st.matched.Server != low.Server || st.matched.Compare(*low) < 0) {
		st.matched = *low
	}
	for xid := range r.completed {
		if !slices.Contains(r.chunk.Unseen, xid) {
			delete(st.completed, xid)
		}
	}
}

// foreignAfter is how long a server must list an XA transaction that the position does not for it to be no matter of the log's. One that was
// completed before this session began becomes visible long before.
const foreignAfter = time.Minute

// suspect notes the XA transactions for which a chunk came to nothing, and are not among those completed in this session.
func (st *snapshotStream) suspect(r *reading) {
	for _, xid := range r.chunk.Unseen {
		if _, completed := r.completed[xid]; completed || !r.lacks(xid) {
			continue
		}
		if since, known := st.suspected[xid]; !known {
			st.suspected[xid] = time.Now()
		} else if time.Since(since) > foreignAfter && !st.foreign[xid] {
			st.foreign[xid] = true
			st.snapshots.logger.Warn("the server lists an XA transaction as prepared that the log does not know: it was prepared before the log began", "xid", xid)
		}
	}
}

// timeOf is the time of a chunk: that of its view, unless a transaction before it was committed later.
func (st *snapshotStream) timeOf(r *reading) time.Time {
	at := time.Now()
	if r != nil {
		at = r.viewed
	}
	if st.time.After(at) {
		return st.time
	}
	return at.Round(time.Microsecond)
}
