package snapshot

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Pace is how a steady stream of commits fared beside snapshots.
type Pace struct {
	Rows        int             // that a snapshot reads
	Quiet, Busy []time.Duration // from commit to log, sorted: without a snapshot, and beside one
	Took        time.Duration   // of all the phases with a snapshot
}

// Ratio is the p99 beside a snapshot as a multiple of that without.
func (p *Pace) Ratio() float64 {
	return float64(quantile(p.Busy, 0.99)) / float64(quantile(p.Quiet, 0.99))
}

// String is the figures in one line.
func (p *Pace) String() string {
	return fmt.Sprintf("commit to log: quiet p50 %.1f ms p99 %.1f ms (%d commits), beside a snapshot of %d rows (%.1f s, %.0f rows/s) p50 %.1f ms p99 %.1f ms (%d commits), p99 ratio %.2f",
		ms(quantile(p.Quiet, 0.5)), ms(quantile(p.Quiet, 0.99)), len(p.Quiet), p.Rows, p.Took.Seconds(), float64(p.Rows)/p.Took.Seconds(),
		ms(quantile(p.Busy, 0.5)), ms(quantile(p.Busy, 0.99)), len(p.Busy), p.Ratio())
}

const (
	paceRate        = 1000 // commits a second
	paceConnections = 4
	paceRounds      = 20 // quiet and busy by turns, so that what else the machine does is in both
	paceBound       = 2  // times the p99
)

// RunPace measures what snapshots do to a steady stream.
func RunPace(ctx context.Context, cfg Config) (_ *Pace, err error) {
	r, err := newRun(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer r.close(&err)
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Deadline)
	defer cancel()
	if err := r.db.exec(ctx, "CREATE DATABASE "+schemaName, "CREATE TABLE "+schemaName+"."+askTable+" (id INT PRIMARY KEY, schema_name VARCHAR(64), table_name VARCHAR(64), row_filter TEXT)"); err != nil {
		return nil, err
	}
	if err := r.createLive(ctx, kinds[:1]); err != nil {
		return nil, err
	}
	r.signals = schemaName + "." + askTable
	p, watch := &Pace{Rows: r.cfg.Rows}, newStopwatch()
	if err := r.steady(ctx, watch, paceRate, func(ctx context.Context) error { return r.rounds(ctx, p, watch) }); err != nil {
		return nil, err
	}
	slices.Sort(p.Quiet)
	slices.Sort(p.Busy)
	if want := paceRate / 2 * int(r.cfg.Quiet.Seconds()); len(p.Quiet) < want {
		return p, fmt.Errorf("%s: only %d commits in the quiet phases, want at least %d", r.cfg.Kind, len(p.Quiet), want)
	}
	if len(p.Busy) < paceRate {
		return p, fmt.Errorf("%s: only %d commits beside snapshots", r.cfg.Kind, len(p.Busy))
	}
	if p.Ratio() >= paceBound {
		return p, fmt.Errorf("%s: beside a snapshot the p99 from commit to log is %.2f times as long, want under %d", r.cfg.Kind, p.Ratio(), paceBound)
	}
	return p, nil
}

// rounds measures the stream by turns without a snapshot and beside one, of a part of the table each time.
func (r *run) rounds(ctx context.Context, p *Pace, watch *stopwatch) error {
	if err := r.snapshotted(ctx); err != nil { // the first one, which is not measured
		return err
	}
	quiet := func() error {
		select {
		case <-time.After(r.cfg.Quiet / paceRounds):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for n := range paceRounds {
		watch.lap()
		if err := quiet(); err != nil {
			return err
		}
		before := watch.lap()
		began := time.Now()
		if err := r.ask(ctx, n, n*r.cfg.Rows/paceRounds*3, (n+1)*r.cfg.Rows/paceRounds*3); err != nil {
			return err
		}
		took := time.Since(began)
		beside := watch.lap()
		r.say("quiet p50 %.1f p99 %.1f ms, beside %.0f rows/s p50 %.1f p99 %.1f ms", ms(quantile(before, 0.5)), ms(quantile(before, 0.99)),
			float64(r.cfg.Rows/paceRounds)/took.Seconds(), ms(quantile(beside, 0.5)), ms(quantile(beside, 0.99)))
		p.Quiet, p.Busy, p.Took = append(p.Quiet, before...), append(p.Busy, beside...), p.Took+took
	}
	return nil
}

// askTable is the table of signals.
const askTable = "asked"

// ask has rows of the first table read once more, by a signal, and waits until they are in the log.
func (r *run) ask(ctx context.Context, n, from, to int) error {
	if err := r.db.exec(ctx, fmt.Sprintf("INSERT INTO %s.%s VALUES (%d, '%s', '%s', 'id >= %d AND id < %d')", schemaName, askTable, n, schemaName, kinds[0].name, from, to)); err != nil {
		return err
	}
	return r.progress.Await(ctx, func() bool { return r.request(fmt.Sprintf("signal %d", n)).Done })
}
