package shop

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
)

// A Follower is a projector at work, with a clock.
type Follower struct {
	name   string
	runner *projector.Runner
	stop   context.CancelFunc
	ended  chan struct{}
	err    error // when ended

	mu   sync.Mutex
	sums Figures
}

// Figures are what a stretch of following has cost.
type Figures struct {
	Elapsed time.Duration
	CPU     time.Duration // of the process, collector included
	// Documents were written, Bytes in all; Unchanged were left out.
	Documents, Bytes, Unchanged int
}

// Follow starts the one projector of a configuration. Its hook OnWindow is taken.
func Follow(ctx context.Context, cfg projector.Config) (*Follower, error) {
	f := &Follower{ended: make(chan struct{})}
	cfg.Hooks.OnWindow = func(w projector.WindowInfo) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.sums.Documents += w.Documents
		f.sums.Bytes += w.Bytes
		f.sums.Unchanged += w.Unchanged
	}
	runner, err := projector.NewRunner(cfg)
	if err != nil {
		return nil, err
	}
	f.runner, f.name = runner, runner.Status()[0].Projector
	ctx, f.stop = context.WithCancel(ctx)
	go func() {
		defer close(f.ended)
		f.err = runner.Run(ctx)
	}()
	return f, nil
}

// Wait returns when all documents are at least as new as csn.
func (f *Follower) Wait(ctx context.Context, csn eventstore.CSN) error {
	return f.runner.WaitFor(ctx, f.name, csn)
}

// Measure does something, and says what it has cost until it returns.
func (f *Follower) Measure(do func() error) (Figures, error) {
	cpu, err := processorTime()
	if err != nil {
		return Figures{}, err
	}
	f.mu.Lock()
	before := f.sums
	f.mu.Unlock()
	began := time.Now()
	if err := do(); err != nil {
		return Figures{}, err
	}
	elapsed := time.Since(began)
	f.mu.Lock()
	after := f.sums
	f.mu.Unlock()
	used, err := processorTime()
	return Figures{Elapsed: elapsed, CPU: used - cpu, Documents: after.Documents - before.Documents, Bytes: after.Bytes - before.Bytes,
		Unchanged: after.Unchanged - before.Unchanged}, err
}

// Close ends the projector.
func (f *Follower) Close() error {
	f.stop()
	<-f.ended
	if f.err != nil {
		return fmt.Errorf("follow %s: %w", f.name, f.err)
	}
	return nil
}

// Backlog measures how a projector that has the whole shop follows changes that it finds in the log, in transactions of ten.
func Backlog(ctx context.Context, s *Shop, changes int, cfg projector.Config) (_ Figures, err error) {
	if err := s.Open(ctx, 10); err != nil {
		return Figures{}, err
	}
	f, err := Follow(ctx, cfg)
	if err != nil {
		return Figures{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Wait(ctx, s.CSN()); err != nil {
		return Figures{}, err
	}
	if err := s.Trade(ctx, changes, 10); err != nil {
		return Figures{}, err
	}
	return f.Measure(func() error {
		if err := s.Show(ctx); err != nil { // now the changes can be read
			return err
		}
		return f.Wait(ctx, s.CSN())
	})
}

// Sales measures n changes of stock, one after the other, each until its document is acknowledged, and returns how long each took.
func (f *Follower) Sales(ctx context.Context, s *Shop, n int) (Figures, []time.Duration, error) {
	times := make([]time.Duration, n)
	figures, err := f.Measure(func() error {
		for i := range times {
			began := time.Now()
			if err := s.Sell(ctx); err != nil {
				return err
			}
			if err := f.Wait(ctx, s.CSN()); err != nil {
				return err
			}
			times[i] = time.Since(began)
		}
		return nil
	})
	return figures, times, err
}

// processorTime is what the process has used.
func processorTime() (time.Duration, error) {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return 0, err
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano()), nil
}
