package projector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/safeguard"
)

// saveEvery is the longest time in which progress stands still in the sink while the log moves without documents to write.
const saveEvery = time.Second

// sweepEvery is how often tombstones are swept.
const sweepEvery = time.Hour

// loop runs one projector: it reads cuts, hands their rows to the engine, and closes windows. All fields but state are its goroutine's.
//
// Invariants: saved.CSN <= written <= max(applied, progress at the start); every change with csn <= written is in the sink; the engine has
// taken every change with csn <= applied, and of the next transaction those up to last.
type loop struct {
	cfg       *Config
	projector Projector
	def       definition
	sink      Sink
	log       *slog.Logger
	state     *state

	engine      engine
	generation  uint64
	published   bool
	replaces    bool // readers saw another generation, or this one, at the start
	headAtStart eventstore.CSN
	headThen    eventstore.Position // executed at headAtStart
	logID       string              // "" until the log's first watermark is seen
	saved       Progress
	savedAt     time.Time

	applied  eventstore.CSN      // the last whole transaction
	last     eventstore.Place    // the last change
	executed eventstore.Position // covers applied
	written  eventstore.CSN
	window   window

	// held: the log does not have all rows of the projector's tables yet, so documents would lack some. Nothing is written.
	held bool
}

// window is what has been read since the last flush.
type window struct {
	opened                time.Time // zero while nothing is pending
	transactions, changes int
	committed             time.Time // of the newest watermark
}

// run runs the projector until ctx ends or it halts, and returns why it halted or could not be drained.
func (l *loop) run(ctx context.Context) error {
	work, stop := drainContext(ctx, l.cfg.DrainTimeout)
	defer stop()
	err := l.live(ctx, work)
	for backoff := minBackoff; errors.Is(err, ErrStateLost) && ctx.Err() == nil; backoff = min(2*backoff, maxBackoff) {
		l.retrying("build the local state anew", 1, backoff, err)
		if removed := l.cfg.States.Remove(ctx, l.def.name); removed != nil {
			err = fmt.Errorf("remove local state: %w", removed)
			break
		}
		if sleep(ctx, backoff) {
			l.state.retrying(nil)
			err = l.live(ctx, work)
		}
	}
	if err == nil {
		l.state.stop(nil)
		return nil
	}
	if cause := context.Cause(work); cause != nil && errors.Is(err, context.Canceled) {
		err = fmt.Errorf("%w (%w)", cause, err)
	}
	err = fmt.Errorf("projector %s: %w", l.def.name, err)
	l.log.Error("projector halted", "csn", l.written, "err", err)
	if p, ok := errors.AsType[*PanicError](err); ok {
		l.log.Error("projector panicked", "stack", string(p.Stack))
	}
	l.state.stop(err)
	if l.cfg.Hooks.OnHalt != nil {
		l.cfg.Hooks.OnHalt(HaltInfo{Projector: l.def.name, CSN: l.written, Err: err})
	}
	return err
}

// live is a life of the projector's engine.
func (l *loop) live(ctx, work context.Context) (err error) {
	l.engine = nil
	defer func() {
		if l.engine != nil {
			err = errors.Join(err, l.engine.close())
		}
	}()
	if err := l.open(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // nothing was in hand yet
		}
		return err
	}
	return l.follow(ctx, work)
}

// errDrain ends a cut at a transaction's end because the runner is told to stop.
var errDrain = errors.New("drain")

// follow is the projector's life. ctx ends the reading, work what is done with what was read.
func (l *loop) follow(ctx, work context.Context) error {
	reading, cancel := context.WithCancel(work)
	r := l.startReader(reading)
	swept := l.startSweeper(reading)
	defer func() {
		cancel()
		r.wait()
		swept()
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	l.savedAt, l.window = time.Now(), window{}
	for readFirst := true; ; {
		timer.Stop()
		if at := l.deadline(); !at.IsZero() {
			timer.Reset(time.Until(at))
		}
		var err error
		take := func(item cutOrError) {
			err = l.take(ctx, work, item)
			r.next <- err == nil && item.err == nil
			if mayResume(err) {
				err = nil
			}
			readFirst = false
		}
		select {
		case <-ctx.Done():
			return l.drain(work)
		case item := <-r.items:
			take(item)
		case <-timer.C:
			if readFirst && l.mustSpread() { // reading and what is spread take turns
				select {
				case item := <-r.items:
					take(item)
				default:
					err = l.flush(work)
				}
				break
			}
			if readFirst = true; l.windowOver() || l.mustSpread() {
				err = l.flush(work)
			} else if l.pending() == 0 && !l.inTransaction() {
				err = l.rest(work)
			}
		case <-l.state.nudge:
			if l.pending() > 0 && !l.inTransaction() && !l.held && l.state.wanted(l.applied) {
				err = l.flush(work)
			}
		}
		if errors.Is(err, errDrain) {
			return l.drain(work)
		}
		if err != nil {
			return err
		}
	}
}

// inTransaction tells whether reading broke off inside a transaction. Nothing is written until it is whole.
func (l *loop) inTransaction() bool { return l.last.CSN > l.applied && safeguard.WholeTransactions }

func (l *loop) pending() int { return l.engine.pending() }

// catchingUp is true while the log's end at the start is not reached: windows then close by count alone, to coalesce the most.
func (l *loop) catchingUp() bool { return l.applied < l.headAtStart && safeguard.ReplayToHead }

// deadline is when the loop has something to do by itself.
func (l *loop) deadline() time.Time {
	switch {
	case l.inTransaction() || l.held:
	case l.mustSpread():
		return time.Now()
	case l.pending() > 0 && !l.catchingUp():
		return l.window.opened.Add(l.cfg.Window)
	case l.pending() == 0 && l.written > l.saved.CSN && l.logID != "" && safeguard.IdleProgress:
		return l.savedAt.Add(saveEvery)
	}
	return time.Time{}
}

// mustSpread tells whether documents wait to be written between the windows.
func (l *loop) mustSpread() bool {
	return !l.inTransaction() && !l.held && l.engine.spreading() > 0
}

func (l *loop) windowOver() bool {
	return l.pending() > 0 && !l.inTransaction() && !l.held &&
		(l.pending() >= l.cfg.WindowTargets || !l.catchingUp() && time.Since(l.window.opened) >= l.cfg.Window)
}

// take reads one cut.
func (l *loop) take(ctx, work context.Context, item cutOrError) error {
	if item.err != nil {
		if !readMayPass(item.err) {
			return fmt.Errorf("read the log after csn %d: %w", l.applied, item.err)
		}
		return nil // the reader begins again by itself
	}
	cut := item.cut
	if l.logID == "" {
		if err := l.adopt(work, cut.Watermark); err != nil {
			return err
		}
	}
	l.executed, l.window.committed = cut.Watermark.Position, cut.Watermark.Time
	l.state.update(func(s *Status) { s.HeadCSN = max(s.HeadCSN, cut.CSN) })
	missing, err := l.incomplete(cut.Watermark)
	if err != nil {
		return err
	}
	l.held = l.held || missing // the cut may have the first rows of a snapshot
	for rec, err := range cut.Records() {
		if err != nil {
			return &readError{err}
		}
		if rec.Place.Compare(l.last) <= 0 && safeguard.Once {
			continue // seen before reading broke off
		}
		if rec.CSN > l.last.CSN && l.inTransaction() {
			if err := l.transactionEnd(ctx, work, l.last.CSN); err != nil {
				return err
			}
		}
		if err := l.change(rec); err != nil {
			return err
		}
	}
	if work.Err() != nil {
		return &readError{context.Cause(work)} // the sequence may have ended early
	}
	if cut.CSN < l.last.CSN {
		return nil // a repeated watermark, while the transaction that reading broke off in is still to come
	}
	if l.inTransaction() {
		l.window.transactions++
	}
	l.applied = cut.CSN
	l.last = eventstore.Place{CSN: cut.CSN, Index: ^uint64(0)}
	l.state.read(cut.Watermark, l.pending())
	l.held = missing
	l.state.update(func(s *Status) { s.Held = l.held })
	if l.held {
		return nil
	}
	if l.pending() == 0 {
		return l.wrote(work)
	}
	if l.windowOver() || l.state.wanted(l.applied) {
		return l.flush(work)
	}
	return nil
}

// incomplete tells whether the log up to a watermark lacks rows that the projector's tables have, because a snapshot has not read them yet.
func (l *loop) incomplete(w eventstore.Watermark) (bool, error) {
	if w.Position.Snapshot == "" || !safeguard.WholeSnapshots {
		return false, nil
	}
	snapshot, err := eventstore.ParseSnapshot(w.Position.Snapshot)
	if err != nil {
		return false, fmt.Errorf("read the log at csn %d: %w", w.CSN, err)
	}
	return slices.ContainsFunc(l.def.tables, func(t table) bool { return !snapshot.Complete(t.schema, t.name) }), nil
}

// transactionEnd is called between two transactions of a cut.
func (l *loop) transactionEnd(ctx, work context.Context, csn eventstore.CSN) error {
	l.applied = csn
	l.window.transactions++
	if ctx.Err() != nil {
		return errDrain
	}
	if l.windowOver() {
		return l.flush(work)
	}
	return nil
}

// change hands one record to the engine.
func (l *loop) change(rec *eventstore.Record) error {
	if rec.Topic == eventstore.SchemaTopic {
		if err := l.schemaChange(rec); err != nil {
			return err
		}
		l.taken(rec)
		return nil
	}
	if slices.Contains(l.def.events, rec.Topic) {
		if err := l.engine.(eventEngine).event(rec); err != nil {
			return err
		}
		l.window.changes++
		l.taken(rec)
		return nil
	}
	var row eventstore.RowChange
	err := eventstore.ParseRow(rec, &row)
	switch {
	case errors.Is(err, eventstore.ErrTombstone):
	case err != nil:
		return &RowError{Projector: l.def.name, Table: rec.Topic, Place: rec.Place, Err: err}
	case !slices.Contains(l.def.tables, table{row.Schema, row.Table}): // a topic may be shared: see eventstore.Routes
	case row.Op == 't':
		if err := l.truncated(table{row.Schema, row.Table}, eventstore.SchemaTruncate, &row); err != nil {
			return err
		}
		l.window.changes++
	case row.Absent != nil:
		return &RowError{Projector: l.def.name, Table: row.Schema + "." + row.Table, Place: rec.Place, Err: absentError(row.Absent)}
	default:
		if err := l.engine.change(&row); err != nil {
			return err
		}
		l.window.changes++
	}
	l.taken(rec)
	return nil
}

// taken says that the engine has taken a record.
func (l *loop) taken(rec *eventstore.Record) {
	if l.window.opened.IsZero() && l.pending() > 0 {
		l.window.opened = time.Now()
	}
	l.last = rec.Place
}

// flush writes what is pending, up to the last whole transaction.
func (l *loop) flush(ctx context.Context) error {
	began := time.Now()
	w := &writer{loop: l, info: WindowInfo{Projector: l.def.name, CSN: l.applied, Transactions: l.window.transactions,
		Changes: l.window.changes, Committed: l.window.committed}}
	if err := l.engine.flush(ctx, point{csn: l.applied, executed: l.executed, waited: l.state.wanted(l.applied)}, w); err != nil {
		return err
	}
	w.info.Duration = time.Since(began)
	l.window = window{committed: l.window.committed}
	if l.pending() > 0 {
		l.window.opened = time.Now()
	}
	l.state.update(func(s *Status) {
		if s.Pending = l.pending(); !w.info.Committed.IsZero() {
			s.Freshness = time.Since(w.info.Committed)
		}
	})
	if l.cfg.Hooks.OnWindow != nil {
		l.cfg.Hooks.OnWindow(w.info)
	}
	if err := l.wrote(ctx); err != nil {
		return err
	}
	return l.rest(ctx)
}

// wrote says that everything up to applied is in the sink, but for what the engine has left out.
func (l *loop) wrote(ctx context.Context) error {
	l.reach()
	parked, _, why := l.engine.standing()
	l.state.update(func(s *Status) {
		s.CSN, s.Pending, s.Spread, s.Parked, s.ParkedWhy = l.written, l.pending(), l.engine.spreading(), parked, why
	})
	return l.publish(ctx)
}

// reach moves written up to the oldest change that is not in the sink.
func (l *loop) reach() {
	reached := l.applied
	if oldest := l.engine.oldestPending(); oldest > 0 && safeguard.OldestPending {
		reached = min(reached, oldest-1)
	}
	l.written = max(l.written, reached)
}

// rest records what is written.
func (l *loop) rest(ctx context.Context) error {
	l.savedAt = time.Now()
	if err := l.engine.settle(l.applied); err != nil {
		return err
	}
	p, reached := l.saved, l.written
	if parked, since, _ := l.engine.standing(); parked > 0 {
		reached = min(reached, since-1) // should the local state be lost, they are found again
	}
	p.CSN = max(p.CSN, reached)
	return l.save(ctx, p)
}

// drain writes and records what is in hand.
func (l *loop) drain(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if l.pending() > 0 && !l.inTransaction() && !l.held {
		if err := l.flush(ctx); err != nil {
			return err
		}
	}
	if l.logID == "" {
		return nil
	}
	return l.rest(ctx)
}
