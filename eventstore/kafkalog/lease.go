package kafkalog

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	defaultLease = time.Hour
	minLease     = time.Second
	maxLease     = 24 * time.Hour
	// formerLease is what writers relied on that did not state their lease in the watermarks.
	formerLease = 12 * time.Hour
	// keepAlives is how often a lease is renewed in its own time.
	keepAlives = 6
	// expirations is how many leases a broker must remember a producer for: steps 8 and 17.
	expirations = 2
)

// stated is the lease that every writer may rely on that has found h, or no watermark, and that a successor waits for whom its fence does not reach.
func stated(h *head) time.Duration {
	switch {
	case h == nil:
		return defaultLease
	case h.mark.Lease == 0:
		return formerLease
	}
	return time.Duration(h.mark.Lease) * time.Second
}

// lease is how long a writer may rely on its fence. Brokers forget a producer that is silent for long, and with it which epochs are fenced
// off; so the writer speaks up in time, and writes nothing when it has not: a successor that the fence does not protect waits for that.
type lease struct {
	length  time.Duration // not longer than the last watermark states
	uptime  func() time.Duration
	renewed time.Duration // when the request began that the brokers took last
}

func (l *lease) age() time.Duration { return l.uptime() - l.renewed }

// due tells that it is time to renew.
func (l *lease) due() bool { return l.age() >= l.length/keepAlives }

// over returns an error when the writer must write nothing more.
func (l *lease) over() error {
	if age := l.age(); age >= l.length {
		return fmt.Errorf("%w: the fence was renewed %v ago, the lease is %v: the process or the machine was stopped meanwhile, or Kafka did not answer",
			errBeginAgain, age.Round(time.Millisecond), l.length)
	}
	return nil
}

// renew is the keep-alive of step 17: an empty abort over everything that is listed, while no batch is on its way.
func (w *writer) renew(ctx context.Context) error {
	began := w.lease.uptime()
	ctx, cancel := context.WithTimeoutCause(ctx, w.log.cfg.RetryTimeout, errNoAnswer)
	defer cancel()
	if err := w.log.fence(ctx, w.producer, w.fenced()); err != nil {
		return fmt.Errorf("keep-alive: %w", err)
	}
	w.lease.renewed = began
	return nil
}

// boot counts the time since its making by clocks that go on while the machine sleeps, and that nobody sets back.
type boot struct {
	mu    sync.Mutex
	last  time.Time
	total time.Duration
}

// uptime is the later of what the monotonic clock says, which may stand still during suspend, and what the wall clock says, which may be
// set: each step counts by whichever moved further.
func (b *boot) uptime() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.last.IsZero() {
		b.last = now
	}
	b.total += max(now.Sub(b.last), now.Round(0).Sub(b.last.Round(0)))
	b.last = now
	return b.total
}
