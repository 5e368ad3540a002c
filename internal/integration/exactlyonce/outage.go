package exactlyonce

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// outageBound is what the relay's process may take with the default of its one option, 64 MiB.
	outageBound = 150_000_000
	// outageMaxBytes is that default.
	outageMaxBytes = 64 << 20
)

// Outage says how long Kafka is down: until both are over.
type Outage struct {
	For  time.Duration
	Rows int // of 3,500 bytes, which the clients commit meanwhile
}

// RunOutage kills all brokers while the load goes on, starts them again, and checks that the relay's memory stayed under its bound and that
// everything has arrived. Config.Kills does not count.
func RunOutage(ctx context.Context, brokers *Brokers, cfg Config, outage Outage) (*Report, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("exactly once config: %w", err)
	}
	cfg.Kills, cfg.Changes = 0, max(outage.Rows, 1)
	r := &run{cfg: cfg, brokers: brokers, maxBytes: outageMaxBytes}
	report, err := r.check(ctx, func(ctx context.Context) error { return r.outage(ctx, outage) })
	if report == nil {
		return nil, err
	}
	switch {
	case report.Peak == 0:
		err = errors.Join(err, fmt.Errorf("%s: the relay's memory was not measured", cfg.Kind))
	case report.Peak > outageBound:
		err = errors.Join(err, fmt.Errorf("%s: the relay took %d MB while Kafka was down, want at most %d", cfg.Kind, report.Peak/1e6, outageBound/1_000_000))
	}
	return report, err
}

func (r *run) outage(ctx context.Context, outage Outage) error {
	r.load.allow(50)
	if err := r.goesOn(ctx); err != nil {
		return err
	}
	r.load.wide.Store(true)
	if err := r.busy(ctx); err != nil {
		return err
	}
	r.report.Faults++
	for _, s := range r.brokers.Nodes {
		if err := s.Kill(); err != nil {
			return err
		}
	}
	began, before := time.Now(), int(r.load.rows.Load())
	r.say("kafka is down")
	over := time.NewTimer(outage.For)
	defer over.Stop()
	for timeOver := false; ; {
		next := r.load.changed.Next()
		r.report.Meanwhile = int(r.load.rows.Load()) - before
		if timeOver && r.report.Meanwhile >= outage.Rows {
			break
		}
		if r.report.Meanwhile < outage.Rows && r.load.ledger.Started()+clients > r.load.allowed.Load() {
			r.load.allow(clients)
		}
		select {
		case <-next:
		case <-over.C:
			timeOver = true
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	r.load.wide.Store(false)
	r.report.Outage = time.Since(began)
	r.say("kafka is started again, %d rows were committed meanwhile", r.report.Meanwhile)
	restarted := make(chan error, len(r.brokers.Nodes))
	for _, s := range r.brokers.Nodes {
		go func() { restarted <- s.Restart(ctx) }()
	}
	var err error
	for range r.brokers.Nodes {
		err = errors.Join(err, <-restarted)
	}
	if err == nil {
		err = r.brokers.Await(ctx, len(r.brokers.Nodes))
	}
	if err != nil {
		return err
	}
	return r.goesOn(ctx)
}
