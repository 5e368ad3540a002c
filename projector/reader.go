package projector

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/millrace-go/millrace/eventstore"
)

// reader takes cuts from the log in a goroutine of its own and hands them over one at a time: it stands still until the loop is
// done with a cut, so that the loop reads the cut's records and its own fields are not touched by two.
type reader struct {
	items chan cutOrError
	next  chan bool // false: begin again from the loop's place
	done  sync.WaitGroup
}

type cutOrError struct {
	cut *eventstore.Cut
	err error
}

// readError is an error of a cut's records.
type readError struct{ err error }

func (e *readError) Error() string { return fmt.Sprintf("read the log: %v", e.err) }
func (e *readError) Unwrap() error { return e.err }

// mayResume tells whether a cut's error is one after which the reader begins again.
func mayResume(err error) bool {
	broken, ok := errors.AsType[*readError](err)
	return ok && readMayPass(broken)
}

// startReader starts reading at the loop's place. It ends with ctx.
func (l *loop) startReader(ctx context.Context) *reader {
	r := &reader{items: make(chan cutOrError), next: make(chan bool, 1)}
	r.done.Go(func() {
		backoff := minBackoff
		for attempt := 1; ; attempt++ {
			read, err := l.read(ctx, r)
			if ctx.Err() != nil {
				return
			}
			if read {
				backoff, attempt = minBackoff, 1
			}
			l.retrying("read the log", attempt, backoff, err)
			if !sleep(ctx, backoff) {
				return
			}
			backoff = min(2*backoff, maxBackoff)
		}
	})
	return r
}

func (r *reader) wait() { r.done.Wait() }

// errBroken is what the reader reports when a cut was not read to its end. The loop knows the cause.
var errBroken = errors.New("reading broke off")

// read hands over cuts until one fails, and tells whether any was good.
func (l *loop) read(ctx context.Context, r *reader) (good bool, err error) {
	opts := eventstore.CutOptions{After: l.applied, Topics: l.def.topics(l.cfg.Routes), LogID: l.logID}
	for cut, err := range l.cfg.Log.Cuts(ctx, opts) {
		select {
		case r.items <- cutOrError{cut, err}:
		case <-ctx.Done():
			return good, ctx.Err()
		}
		select {
		case whole := <-r.next:
			if err == nil && !whole {
				err = errBroken
			}
		case <-ctx.Done():
			return good, ctx.Err()
		}
		if err != nil {
			return good, err
		}
		if !good {
			good = true
			l.state.retrying(nil)
		}
	}
	return good, errBroken
}

// startSweeper removes old tombstones now and then, and returns what waits for its end. A sweep that fails is repeated at the next time.
func (l *loop) startSweeper(ctx context.Context) (wait func()) {
	var done sync.WaitGroup
	target, generation := l.def.target, l.generation
	done.Go(func() {
		for sleep(ctx, sweepEvery) {
			n, err := l.sink.Sweep(ctx, target, generation, l.cfg.TombstoneAge)
			switch {
			case err != nil && ctx.Err() == nil:
				l.log.Warn("projector could not sweep tombstones", "err", err)
			case n > 0:
				l.log.Info("projector swept tombstones", "count", n)
			}
		}
	})
	return done.Wait
}
