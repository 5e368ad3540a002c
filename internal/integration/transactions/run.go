package transactions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/internal/integration/database"
	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// clients is how many connections work at once.
const clients = 8

// run is one check of one server.
type run struct {
	cfg      Config
	began    time.Time
	open     []eventstore.Prepare // of the last watermark
	outMu    sync.Mutex
	broker   string
	pipeline string
	db       *database.Database
	relay    *supervise.Process
	ledger   *history.Ledger
	branches *branches
	progress supervise.Pulse // a transaction has ended
	flushing supervise.Pulse // the relay is about to append
	disturb  atomic.Int32    // kills and restarts that are still to come

	flushTook atomic.Int64 // nanoseconds, a moving average
	kills     atomic.Int32
	restarts  atomic.Int32
	report    struct{ tails, retries, overServer, overRelay, again atomic.Int32 }

	onePhase, plain, ddl, interrupted, forgotten atomic.Int32
}

// Run runs the load on one server, waits until everything is in the log, and compares. Its error says what is wrong, also that too little happened
// to say anything; the report is there whenever the comparison was made.
func Run(ctx context.Context, cfg Config) (report *Report, err error) {
	cfg, err = cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("transactions config: %w", err)
	}
	r := &run{cfg: cfg, began: time.Now(), ledger: history.NewLedger(), branches: newBranches()}
	r.pipeline = fmt.Sprintf("transactions-%s-%08x", cfg.Kind, rand.Uint32())
	r.say("SEED=%d", cfg.Seed)
	kafka, err := servers.Locate(ctx, servers.Kafka, r.say)
	if err != nil {
		return nil, err
	}
	r.broker = kafka.HostPort()
	defer func() { err = errors.Join(err, history.DeleteLog(r.broker, r.pipeline)) }()
	if r.db, err = database.Start(ctx, cfg.Kind, schema, definitions(), r.say); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.db.Close()) }()
	r.say("%s, log %s", r.db.Server.Version(), r.pipeline)
	limited, cancel := context.WithTimeoutCause(ctx, cfg.Deadline, fmt.Errorf("not done within %v", cfg.Deadline))
	defer cancel()
	if err := r.load(limited); err != nil {
		if limited.Err() != nil {
			err = errors.Join(err, context.Cause(limited))
		}
		return nil, fmt.Errorf("%s: %w", cfg.Kind, err)
	}
	report, err = r.judge(limited)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Kind, err)
	}
	return report, report.problems(&cfg)
}

func (r *run) say(format string, args ...any) {
	r.outMu.Lock()
	defer r.outMu.Unlock()
	fmt.Fprintf(r.cfg.Out, "%-7s %6.1fs  %s\n", r.cfg.Kind, time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

// enough tells whether the load may end.
func (r *run) enough() bool {
	return r.ledger.Started() >= uint64(r.cfg.Transactions) && r.disturb.Load() == 0
}

// load runs the relay and everything that happens to it, until the log has all of it and the relay has ended.
func (r *run) load(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	r.relay = supervise.NewProcess(RelayChild, task{Flavor: string(r.cfg.Kind), Addr: r.db.Addr(), Broker: r.broker, Pipeline: r.pipeline, Break: r.cfg.Break},
		r.cfg.Log, r.heard)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := r.relay.Run(); err != nil {
			fail(err)
		}
	}()
	defer func() { r.relay.Drain(); <-ended }()
	if err := r.relay.WaitBegun(ctx); err != nil {
		return err
	}
	var group sync.WaitGroup
	start := func(f func(context.Context) error) {
		group.Go(func() {
			if err := f(ctx); err != nil {
				fail(err)
			}
			r.progress.Beat()
		})
	}
	r.disturb.Store(2)
	for _, f := range []func(context.Context) error{r.killRelay, r.restartServer} {
		start(func(ctx context.Context) error { defer r.disturb.Add(-1); return f(ctx) })
	}
	for n := range clients {
		w := &worker{run: r, id: n, rnd: rand.New(rand.NewPCG(r.cfg.Seed, uint64(n)))}
		start(w.work)
	}
	start(r.changeSchemas)
	group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	r.say("load over: %d transactions begun, %d kills, %d tails finished, %d restarts", r.ledger.Started(), r.kills.Load(), r.report.tails.Load(), r.restarts.Load())
	if err := r.caughtUp(ctx); err != nil {
		return err
	}
	r.say("caught up")
	r.relay.Drain()
	<-ended
	return context.Cause(ctx)
}

// heard takes a line of the relay's process.
func (r *run) heard(line []byte) (working bool) {
	var e event
	if json.Unmarshal(line, &e) != nil {
		return false // the torn last line of one that was killed
	}
	switch e.Kind {
	case eventTail:
		if e.Tail > 0 {
			r.report.tails.Add(1)
		}
	case eventFlushing:
		r.flushing.Beat()
	case eventFlushed:
		r.flushTook.Store((3*r.flushTook.Load() + int64(e.Took)) / 4)
	case eventRetry:
		r.report.retries.Add(1)
	}
	return e.Kind == eventBegan
}

// completed counts an XA transaction that has come to its end.
func (r *run) completed(x *branch) {
	if int(r.restarts.Load()) > x.server {
		r.report.overServer.Add(1)
	}
	if int(r.kills.Load()) > x.relay {
		r.report.overRelay.Add(1)
	}
}

// settle completes the XA transactions that wait.
func (r *run) settle(ctx context.Context) error {
	w := &worker{run: r, id: clients, rnd: rand.New(rand.NewPCG(r.cfg.Seed, clients))}
	defer w.hangUp()
	again := time.NewTicker(20 * time.Millisecond) // the servers take a moment to let go of connections
	defer again.Stop()
	for tries := 0; r.branches.count() > 0; tries++ {
		if err := w.connect(ctx); err != nil {
			return err
		}
		if tries > 500 {
			listed, err := prepared(ctx, w.conn)
			return errors.Join(fmt.Errorf("XA transactions that no client can complete: %s; the server lists %v", r.branches, listed), err)
		}
		if err := w.completeXA(ctx); err != nil {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("%d XA transactions still wait: %w", r.branches.count(), context.Cause(ctx))
		}
	}
	if err := w.connect(ctx); err != nil {
		return err
	}
	waiting, err := prepared(ctx, w.conn)
	if err != nil {
		return err
	}
	// An XA PREPARE can come to its end after its client, whose connection was cut, has seen that nothing is prepared. Nobody will commit it.
	for x := range waiting {
		r.say("nobody knows of %s, which is prepared: rolled back", x.sql())
		if err := w.stepXA(ctx, "XA ROLLBACK "+x.sql()); err != nil {
			return fmt.Errorf("XA transaction %s, of which no client knows: %w", x.sql(), err)
		}
	}
	return nil
}

// caughtUp waits until the log has everything that the server has executed.
func (r *run) caughtUp(ctx context.Context) error {
	want, err := r.db.Executed(ctx)
	if err != nil {
		return err
	}
	log, err := kafkalog.New(kafkalog.Config{Brokers: []string{r.broker}, Pipeline: r.pipeline})
	if err != nil {
		return err
	}
	defer log.Close()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		head, found, err := log.Head(ctx)
		covers := false
		if err == nil && found {
			covers, err = head.Position.Covers(want)
		}
		if err != nil {
			return err
		}
		if covers {
			r.open = head.Position.Prepared
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the log has %s, want %s: %w", head.Position, want, context.Cause(ctx))
		case <-again.C:
		}
	}
}

// judge reads what there is to compare, and compares.
func (r *run) judge(ctx context.Context) (*Report, error) {
	e := &history.Evidence{Schema: schema, Tables: tables, Ledger: r.ledger.Entries()}
	var err error
	if e.Binlog, err = r.db.History(ctx); err != nil {
		return nil, err
	}
	if e.Log, err = history.ReadLog(ctx, []string{r.broker}, r.pipeline); err != nil {
		return nil, err
	}
	if e.State, err = r.db.State(ctx, tables); err != nil {
		return nil, err
	}
	r.say("binlog: %d transactions, log: %d records", len(e.Binlog), len(e.Log))
	report := &Report{
		Verdict: *history.Judge(e), Begun: int(r.ledger.Started()), OnePhase: int(r.onePhase.Load()), Plain: int(r.plain.Load()), DDL: int(r.ddl.Load()),
		OverServer: int(r.report.overServer.Load()), OverRelay: int(r.report.overRelay.Load()), Kills: int(r.kills.Load()),
		Tails: int(r.report.tails.Load()), Restarts: int(r.restarts.Load()), Interrupted: int(r.interrupted.Load()), Forgotten: len(r.open), Again: int(r.report.again.Load()), RelayRetries: int(r.report.retries.Load()),
	}
	open := map[string]string{} // what was prepared and not completed: the server has lost it
	for _, t := range e.Binlog {
		switch t.Kind {
		case history.Prepare:
			open[t.XID] = t.GTID
		case history.XACommit:
			report.XACommits++
			delete(open, t.XID)
		case history.XARollback:
			report.XARollbacks++
			delete(open, t.XID)
		}
		if t.TookBack {
			report.TookBack++
		}
	}
	for _, p := range r.open {
		if open[p.XID] != p.GTID {
			report.unknown = append(report.unknown, fmt.Sprintf("%s of %s, which is not prepared", p.XID, p.GTID))
		}
		delete(open, p.XID)
	}
	for id, gtid := range open {
		report.unknown = append(report.unknown, fmt.Sprintf("not %s of %s, which is prepared", id, gtid))
	}
	for _, example := range report.Examples {
		r.say("%s", example)
	}
	return report, nil
}
