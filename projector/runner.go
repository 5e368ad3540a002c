package projector

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// Runner keeps read models up to date. Its methods are safe for concurrent use.
type Runner struct {
	cfg     Config
	loops   []*loop
	running atomic.Bool
}

// NewRunner checks the configuration and returns a runner. All problems are in one error. Nothing is connected yet.
func NewRunner(cfg Config) (*Runner, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Runner{cfg: cfg}
	for _, p := range cfg.Projectors {
		d := p.definition()
		l := &loop{cfg: &r.cfg, projector: p, def: d, state: newState(d), log: cfg.Logger.With("projector", d.name)}
		for _, s := range cfg.Sinks {
			if s.Kind() == d.target.Sink {
				l.sink = s
			}
		}
		r.loops = append(r.loops, l)
	}
	return r, nil
}

// Run checks sinks, databases and log, then follows the log until ctx ends, one independent loop a projector. Then it stops reading, writes
// and records the windows in hand within [Config.DrainTimeout], and returns nil, or what kept it from doing so.
//
// Before anything is written, whatever is wrong is returned at once, an unreachable server too. Afterwards, what may pass is retried for
// ever with backoff. What will not pass halts its projector; the others go on. When all have halted Run returns. Its error joins those
// of all halted projectors: [*DocumentError], [*RowError], [ErrDefinition], [ErrDefinitionChanged], [ErrSpelling], [eventstore.ErrLogMismatch],
// [eventstore.ErrPositionLost].
//
// Run may be called again after it has returned, and goes on from the recorded progress; not twice at once.
func (r *Runner) Run(ctx context.Context) error {
	if !r.running.CompareAndSwap(false, true) {
		return errors.New("projector runner: Run is running already")
	}
	defer r.running.Store(false)
	for _, l := range r.loops {
		l.state.begin()
	}
	if err := r.check(ctx); err != nil {
		if ctx.Err() != nil {
			err = nil
		}
		for _, l := range r.loops {
			l.state.stop(err)
		}
		return err
	}
	errs := make([]error, len(r.loops))
	var group sync.WaitGroup
	for i, l := range r.loops {
		group.Go(func() { errs[i] = l.run(ctx) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// check finds everything that is wrong before anything is written.
func (r *Runner) check(ctx context.Context) error {
	var problems []error
	for _, s := range r.cfg.Sinks {
		if err := s.Check(ctx); err != nil {
			problems = append(problems, fmt.Errorf("check sink %s: %w", s.Kind(), err))
		}
	}
	for _, l := range r.loops {
		if err := l.projector.check(ctx); err != nil {
			problems = append(problems, fmt.Errorf("check projector %s: %w", l.def.name, err))
		}
	}
	if _, _, err := r.cfg.Log.Head(ctx); err != nil {
		problems = append(problems, fmt.Errorf("check log: %w", err))
	}
	return errors.Join(problems...)
}

func (r *Runner) loop(projector string) (*loop, error) {
	for _, l := range r.loops {
		if l.def.name == projector {
			return l, nil
		}
	}
	return nil, fmt.Errorf("wait: no projector is named %q", projector)
}

// WaitFor returns when every document of the projector is at least as new as csn and readers see them by id, or with an error that
// wraps [ErrStopped] when the projector runs no more, or [ErrParked] when all are but some that cannot be made. It closes the projector's window early.
// A search engine finds them after its next refresh.
func (r *Runner) WaitFor(ctx context.Context, projector string, csn eventstore.CSN) error {
	l, err := r.loop(projector)
	if err != nil {
		return err
	}
	if err := l.state.wait(ctx, &waiter{csn: csn, resolved: true}); err != nil {
		return fmt.Errorf("wait for csn %d of projector %s: %w", csn, projector, err)
	}
	return nil
}

// WaitForGTID is WaitFor with the id of a transaction (or a set of them) in the source's own notation, as the client gets it
// from its server at commit.
func (r *Runner) WaitForGTID(ctx context.Context, projector, gtid string) error {
	l, err := r.loop(projector)
	if err != nil {
		return err
	}
	if err := l.state.wait(ctx, &waiter{gtid: gtid}); err != nil {
		return fmt.Errorf("wait for transaction %s of projector %s: %w", gtid, projector, err)
	}
	return nil
}

// Status tells how each projector stands, in the order of [Config.Projectors].
func (r *Runner) Status() []Status {
	all := make([]Status, len(r.loops))
	for i, l := range r.loops {
		l.state.mu.Lock()
		all[i] = l.state.status
		l.state.mu.Unlock()
	}
	return all
}

// drainContext returns a context that ends a while after ctx.
func drainContext(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	timer := make(chan *time.Timer, 1)
	stop := context.AfterFunc(ctx, func() {
		timer <- time.AfterFunc(after, func() { cancel(fmt.Errorf("drain: not done within %v", after)) })
	})
	return work, func() {
		if !stop() {
			(<-timer).Stop()
		}
		cancel(nil)
	}
}
