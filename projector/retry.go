package projector

import (
	"context"
	"time"
)

const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 10 * time.Second
)

// retry calls f until it succeeds, fails for good or ctx ends. Between attempts it tells about the failure.
func (l *loop) retry(ctx context.Context, step string, passes func(error) bool, f func() error) error {
	backoff := minBackoff
	for attempt := 1; ; attempt++ {
		err := f()
		if err == nil {
			if attempt > 1 {
				l.log.Info("projector goes on", "step", step, "attempts", attempt)
				l.state.retrying(nil)
			}
			return nil
		}
		if ctx.Err() != nil || !passes(err) {
			return err
		}
		l.retrying(step, attempt, backoff, err)
		if !sleep(ctx, backoff) {
			return err
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// sleep waits, and returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// retrying tells about a failure that will be tried again.
func (l *loop) retrying(step string, attempt int, in time.Duration, err error) {
	l.log.Warn("projector waits for what may pass", "step", step, "attempt", attempt, "in", in, "err", err)
	l.state.retrying(err)
	if l.cfg.Hooks.OnRetry != nil {
		l.cfg.Hooks.OnRetry(RetryInfo{Projector: l.def.name, Step: step, Attempt: attempt, In: in, Err: err})
	}
}
