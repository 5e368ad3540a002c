package snapshot

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Size is how a table fared that is larger than the relay's memory, with a limit on the rows a second and a bound of the stream's lag.
type Size struct {
	Verdict
	Peak      uint64 // most resident memory of the relay's process, bytes
	PeakBound uint64
	Rate      float64 // rows a second that were read
	RateLimit int
	Lag       time.Duration // the longest time from a commit to the log
	LagBound  time.Duration
	Commits   int // beside the snapshot
}

// String is the figures in one line.
func (s *Size) String() string {
	return fmt.Sprintf("rows %d reads %d peak %d MB of %d, %.0f rows/s ratio to the limit %.2f, %d commits beside lag at most %.0f ms of %.0f, %s", s.Rows, s.Reads,
		s.Peak/mb, s.PeakBound/mb, s.Rate, s.Rate/float64(s.RateLimit), s.Commits, ms(s.Lag), ms(s.LagBound), &s.Verdict)
}

const mb = 1_000_000

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// problems is nil when everything holds, and when enough happened to say so.
func (s *Size) problems(cfg *Config) error {
	var problems []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Errorf("%s: %s", cfg.Kind, fmt.Sprintf(format, args...)))
		}
	}
	wrong(!s.OK(), "the log is not the tables: %s", &s.Verdict)
	wrong(s.Reads < cfg.Rows, "only %d rows were read of %d", s.Reads, cfg.Rows)
	wrong(s.Peak == 0 || s.Peak > s.PeakBound, "the relay took %d MB, it may take %d", s.Peak/mb, s.PeakBound/mb)
	wrong(s.Rate > 1.05*float64(s.RateLimit), "%.0f rows/s were read, the limit is %d", s.Rate, s.RateLimit)
	wrong(s.Rate < 0.5*float64(s.RateLimit), "only %.0f rows/s were read: the limit of %d shows nothing", s.Rate, s.RateLimit)
	wrong(s.Commits < 100, "only %d commits beside the snapshot", s.Commits)
	wrong(s.Lag > s.LagBound, "the stream was %v behind, it may be %v", s.Lag, s.LagBound)
	return errors.Join(problems...)
}

// sizeRate is how many commits a second the stream has beside it.
const sizeRate = 200

// RunSize snapshots one table of Config.Rows rows beside a stream.
func RunSize(ctx context.Context, cfg Config) (_ *Size, err error) {
	r, err := newRun(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer r.close(&err)
	ctx, cancel := context.WithTimeoutCause(ctx, r.cfg.Deadline, fmt.Errorf("not done within %v", r.cfg.Deadline))
	defer cancel()
	if err := r.db.exec(ctx, "CREATE DATABASE "+schemaName); err != nil {
		return nil, err
	}
	if err := r.createLive(ctx, kinds[:1]); err != nil {
		return nil, err
	}
	r.say("filled: %d rows", r.cfg.Rows)
	r.cfg.Eager = true // else the limit would not be reached
	s := &Size{PeakBound: r.cfg.PeakBound, RateLimit: r.cfg.RowsPerSecond, LagBound: r.cfg.MaxLag}
	watch := newStopwatch()
	if err := r.steady(ctx, watch, sizeRate, func(ctx context.Context) error {
		began := time.Now()
		err := r.snapshotted(ctx)
		s.Rate = float64(r.cfg.Rows) / time.Since(began).Seconds()
		laps := watch.lap()
		s.Commits, s.Lag = len(laps), quantile(laps, 1)
		return err
	}); err != nil {
		return nil, err
	}
	s.Peak = uint64(r.peak.Load())
	c, err := r.check(ctx)
	if err != nil {
		return nil, err
	}
	s.Verdict = c.Verdict
	return s, s.problems(&r.cfg)
}

// createLive makes tables and that of the steady stream, and purges the binlog.
func (r *run) createLive(ctx context.Context, kinds []*kind) error {
	for _, k := range kinds {
		if err := r.db.create(ctx, k, k.rows(&r.cfg)); err != nil {
			return fmt.Errorf("fill: %w", err)
		}
	}
	if err := r.db.exec(ctx, "CREATE TABLE "+schemaName+"."+liveTable+" (id BIGINT PRIMARY KEY, v VARCHAR(100))"); err != nil {
		return err
	}
	return r.db.purge(ctx)
}

// steady runs do with a relay and a steady stream beside it, and then lets the relay catch up and end.
func (r *run) steady(ctx context.Context, watch *stopwatch, rate int, do func(context.Context) error) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stopRelay := r.startRelay(fail, "*")
	defer stopRelay()
	if err := r.relay.WaitBegun(ctx); err != nil {
		return err
	}
	listening, deaf := context.WithCancel(ctx)
	defer deaf()
	stop := make(chan struct{})
	var working sync.WaitGroup
	start := func(f func() error) {
		working.Go(func() {
			if err := f(); err != nil {
				fail(err)
			}
		})
	}
	start(func() error { return watch.listen(listening, r.broker, r.pipeline) })
	start(func() error { return watch.commit(ctx, r.db.pool, rate, paceConnections, stop) })
	err := do(ctx)
	close(stop)
	deaf()
	working.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil {
		err = r.caughtUp(ctx)
	}
	stopRelay()
	return err
}
