package projector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/safeguard"
)

// ErrStopped is returned to waiters of a projector that runs no more. What it wraps says why.
var ErrStopped = errors.New("projector stopped")

// Status is how a projector stands. Progress and HeadCSN are 0 before it has begun.
type Status struct {
	Projector  string
	Target     Target
	Generation uint64
	// Published tells whether readers see this generation; false while it is built.
	Published bool
	// CSN is what the sink has everything of; HeadCSN the newest watermark that was read.
	CSN, HeadCSN eventstore.CSN
	// Pending is the number of documents that wait for their window's end.
	Pending int
	// Spread is the number of documents that wait for their turn because a change concerned very many, or because all are built. The others do not
	// wait for them; CSN does.
	Spread int
	// Parked is the number of documents that stay as they were because they cannot be made: see [Join]. ParkedWhy is why one of them, with its id.
	Parked    int
	ParkedWhy error
	// Held says that the log does not have all rows of the projector's tables yet, since a snapshot has not read them. Nothing is written before that.
	Held bool
	// Freshness is how long after its commit the newest commit's documents were acknowledged, when last some were. MariaDB's commit
	// times have whole seconds.
	Freshness time.Duration
	// Retrying is what the projector waits for to pass, nil when it flows.
	Retrying error
	// Halted is why the projector has stopped for good, nil while it runs.
	Halted error
}

// state is what others may know of a loop, and how they wait for it.
type state struct {
	mu      sync.Mutex
	status  Status
	mark    eventstore.Watermark // of the last cut that was read to its end
	changed chan struct{}        // closed and replaced when a waiter may go on
	waiters map[*waiter]bool
	nudge   chan struct{} // one element: a waiter wants its window closed
	stopped error
}

// waiter waits for a csn, or for the csn that a gtid turns out to have.
type waiter struct {
	csn      eventstore.CSN
	gtid     string
	resolved bool
}

func newState(d definition) *state {
	return &state{status: Status{Projector: d.name, Target: d.target}, changed: make(chan struct{}), waiters: map[*waiter]bool{}, nudge: make(chan struct{}, 1)}
}

// update changes the status and wakes the waiters.
func (s *state) update(f func(*Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.status)
	s.wake()
}

func (s *state) wake() {
	if len(s.waiters) > 0 {
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

func (s *state) retrying(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Retrying = err
}

func (s *state) headCSN() eventstore.CSN {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status.HeadCSN
}

// read says that a cut was read to its end.
func (s *state) read(w eventstore.Watermark, pending int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mark = w
	s.status.Pending = pending
	s.wake()
}

// begin makes the state that of a new run, stop ends one: err is what waiters get.
func (s *state) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped, s.status.Halted, s.status.Retrying = nil, nil, nil
}

func (s *state) stop(halted error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Halted, s.status.Retrying = halted, nil
	if s.stopped = ErrStopped; halted != nil {
		s.stopped = fmt.Errorf("%w: %w", ErrStopped, halted)
	}
	s.wake()
}

// wanted tells whether somebody waits for what was read up to csn and is not written yet.
func (s *state) wanted(csn eventstore.CSN) bool {
	if !safeguard.WaitersFirst {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(slices.Collect(maps.Keys(s.waiters)), func(w *waiter) bool {
		return w.resolved && w.csn <= csn && w.csn > s.status.CSN
	})
}

// wait returns when the documents are written that w asks for.
func (s *state) wait(ctx context.Context, w *waiter) error {
	s.mu.Lock()
	s.waiters[w] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.waiters, w)
		s.mu.Unlock()
	}()
	for {
		s.mu.Lock()
		done, err := s.reached(w)
		changed := s.changed
		s.mu.Unlock()
		if done || err != nil {
			return err
		}
		select {
		case s.nudge <- struct{}{}:
		default:
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// reached tells whether w may go on. A gtid gets its csn from the first watermark that covers it: counting would be wrong.
func (s *state) reached(w *waiter) (bool, error) {
	if s.stopped != nil {
		return false, s.stopped
	}
	if !w.resolved && !s.mark.Position.IsZero() {
		covered, err := s.mark.Position.Covers(w.gtid)
		if err != nil {
			return false, err
		}
		if covered {
			w.csn, w.resolved = s.mark.CSN, true
		}
	}
	if !w.resolved || !s.status.Published || s.status.CSN < w.csn {
		return false, nil
	}
	if s.status.Parked > 0 && safeguard.ParkedSaid {
		return false, fmt.Errorf("%w: %d of them; one is %w", ErrParked, s.status.Parked, s.status.ParkedWhy)
	}
	return true, nil
}
