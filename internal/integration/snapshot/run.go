package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// run is one check of one server.
type run struct {
	cfg      Config
	began    time.Time
	outMu    sync.Mutex
	broker   string
	pipeline string
	db       *database
	load     *load
	relay    *supervise.Process
	include  []string        // that the relay captures
	signals  string          // its table of signals
	progress supervise.Pulse // the relay's process has said something

	kills, sessions, tails, retries, peak, chunks, discarded atomic.Int64

	mu       sync.Mutex
	read     map[string]uint64 // rows of the first snapshots, by table
	requests map[string]event  // what was said last of each
	complete bool              // the log had everything once
}

// newRun finds the broker and starts a server.
func newRun(ctx context.Context, cfg Config) (_ *run, err error) {
	cfg, err = cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("snapshot config: %w", err)
	}
	r := &run{cfg: cfg, began: time.Now(), read: map[string]uint64{}, requests: map[string]event{}}
	r.pipeline = fmt.Sprintf("snapshot-%s-%08x", cfg.Kind, rand.Uint32())
	r.say("SEED=%d", cfg.Seed)
	kafka, err := servers.Locate(ctx, servers.Kafka, r.say)
	if err != nil {
		return nil, err
	}
	r.broker = kafka.HostPort()
	if r.db, err = startDatabase(ctx, &r.cfg, r.say); err != nil {
		return nil, err
	}
	r.say("%s, log %s", r.db.server.Version(), r.pipeline)
	return r, nil
}

// close ends the server and deletes the log. It adds its error to err.
func (r *run) close(err *error) {
	*err = errors.Join(*err, history.DeleteLog(r.broker, r.pipeline), r.db.close())
}

// Run fills the tables, purges the binlog, runs the load beside the relay, which is killed, until everything is in the log, and compares.
func Run(ctx context.Context, cfg Config) (report *Report, err error) {
	if cfg.BinlogBytes == 0 {
		cfg.BinlogBytes = 1 << 20
	}
	r, err := newRun(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer r.close(&err)
	ctx, cancel := context.WithTimeoutCause(ctx, r.cfg.Deadline, fmt.Errorf("not done within %v", r.cfg.Deadline))
	defer cancel()
	if err := r.db.fill(ctx, &r.cfg, kinds); err != nil {
		return nil, fmt.Errorf("%s: fill: %w", r.cfg.Kind, err)
	}
	r.say("filled: %d tables of %d rows, %d of %d", large, r.cfg.Rows, len(kinds)-large, r.cfg.Hot)
	if err := r.changes(ctx); err != nil {
		if ctx.Err() != nil {
			err = errors.Join(err, context.Cause(ctx))
		}
		return nil, fmt.Errorf("%s: %w", r.cfg.Kind, err)
	}
	if report, err = r.judge(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", r.cfg.Kind, err)
	}
	return report, report.problems(&r.cfg)
}

func (r *run) say(format string, args ...any) {
	r.outMu.Lock()
	defer r.outMu.Unlock()
	fmt.Fprintf(r.cfg.Out, "%-7s %6.1fs  %s\n", r.cfg.Kind, time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

// changes runs the load and the relay until the log has all of it.
func (r *run) changes(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	r.cfg.Eager = true
	r.load = &load{db: r.db, cfg: &r.cfg, stop: make(chan struct{})}
	stopRelay := r.startRelay(fail, "*")
	defer stopRelay()
	var group sync.WaitGroup
	start := func(f func(context.Context) error) {
		group.Go(func() {
			if err := f(ctx); err != nil {
				fail(err)
			}
		})
	}
	for id := range r.cfg.Clients {
		start(func(ctx context.Context) error { return r.load.work(ctx, id) })
	}
	start(r.load.changeSchemas)
	start(r.load.refill)
	err := r.relay.WaitBegun(ctx)
	if err == nil {
		r.load.xas.Store(true)
		err = r.disturb(ctx)
	}
	if err == nil {
		err = r.load.changed.Await(ctx, r.load.enough)
	}
	close(r.load.stop)
	group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	r.say("load over: %d transactions, %d kills", r.load.transactions.Load(), r.kills.Load())
	if err := r.caughtUp(ctx); err != nil {
		return err
	}
	r.say("caught up")
	stopRelay()
	return context.Cause(ctx)
}

// startRelay starts the relay's process, which captures tables, and returns what ends it in good order. If it ends otherwise it calls fail.
func (r *run) startRelay(fail context.CancelCauseFunc, tables string) (stop func()) {
	r.include = []string{schemaName + "." + tables}
	r.relay = supervise.NewProcess(RelayChild, task{Flavor: string(r.cfg.Kind), Include: r.include, Addr: r.db.addr(), Broker: r.broker, Pipeline: r.pipeline, FlushBytes: r.cfg.FlushBytes,
		Snapshot: cdc.SnapshotConfig{Readers: r.cfg.Readers, Eager: r.cfg.Eager, ChunkRows: r.cfg.ChunkRows, RowsPerSecond: r.cfg.RowsPerSecond, MaxLag: r.cfg.MaxLag, Signals: r.signals}}, r.cfg.Log, r.heard)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := r.relay.Run(); err != nil {
			fail(err)
		}
	}()
	return func() { r.relay.Drain(); <-ended }
}

// heard takes a line of the relay's process.
func (r *run) heard(line []byte) (working bool) {
	var e event
	if json.Unmarshal(line, &e) != nil {
		return false // the torn last line of one that was killed
	}
	switch e.Kind {
	case eventBegan:
		r.sessions.Add(1)
	case eventTail:
		if e.Tail > 0 {
			r.tails.Add(1)
		}
	case eventRetry:
		r.retries.Add(1)
		r.say("relay: %s", e.Text)
	case eventChunk:
		r.chunk(&e)
	case eventEnded:
		r.peak.Store(int64(e.Peak))
	}
	r.progress.Beat()
	return e.Kind == eventBegan
}

// chunk notes the progress of a snapshot.
func (r *run) chunk(e *event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Complete {
		r.complete = true
		return
	}
	if e.Discarded != "" {
		r.discarded.Add(1)
		return
	}
	r.chunks.Add(1)
	if e.Request != "" {
		r.requests[e.Request] = *e
	} else {
		r.read[e.Table] = e.Rows
	}
}

// request is what the relay has said last of a request for a snapshot.
func (r *run) request(id string) event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests[id]
}

// rows is how many rows the first snapshot of a table has read.
func (r *run) rows(table string) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.read[table]
}

// share is how much of the tables was read, from 0 to 1.
func (r *run) share() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.complete {
		return 1
	}
	read, all := uint64(0), large*r.cfg.Rows+(len(kinds)-large)*r.cfg.Hot
	for _, rows := range r.read {
		read += rows
	}
	return float64(read) / float64(all)
}

// disturb kills the relay at moments that are spread over the first snapshot, and returns when the log has everything and the hot table was read
// some more times.
func (r *run) disturb(ctx context.Context) error {
	rnd := rand.New(rand.NewPCG(r.cfg.Seed, 1<<32))
	for n := range r.cfg.Kills {
		at := (float64(n) + 0.1 + 0.8*rnd.Float64()) / float64(r.cfg.Kills) * 0.95
		if err := r.progress.Await(ctx, func() bool { return r.share() >= at }); err != nil {
			return err
		}
		select { // a moment between two chunks, or in one
		case <-time.After(time.Duration(rnd.IntN(100)) * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		r.kills.Add(1)
		r.relay.Kill()
		r.say("kill %d of %d: %.1f %% read", n+1, r.cfg.Kills, 100*r.share())
		if err := r.relay.WaitBegun(ctx); err != nil {
			return err
		}
	}
	if err := r.snapshotted(ctx); err != nil {
		return err
	}
	r.say("the log has everything: %d chunks", r.chunks.Load())
	for range r.cfg.Again {
		if err := r.again(ctx, "hot"); err != nil {
			return err
		}
	}
	return nil
}

// snapshotted waits until the log has everything of the tables that the relay captures.
func (r *run) snapshotted(ctx context.Context) error {
	return r.headHas(ctx, func(p eventstore.Position) (bool, error) {
		progress, err := eventstore.ParseSnapshot(p.Snapshot)
		return err == nil && len(progress.Tables) == 0 && len(progress.Filters) == 1 && progress.Filters[0].Done && slices.Equal(progress.Filters[0].Include, r.include), err
	})
}

// again has a table read once more, while it changes: it leaves the captured tables, and comes back with rows that the log has not seen.
func (r *run) again(ctx context.Context, table string) error {
	const outside = schemaName + "_outside"
	for _, statement := range []string{
		"CREATE DATABASE IF NOT EXISTS " + outside,
		fmt.Sprintf("RENAME TABLE %s.%s TO %s.%[2]s", schemaName, table, outside),
		fmt.Sprintf("RENAME TABLE %s.%s TO %s.%[2]s", outside, table, schemaName),
	} {
		err := r.db.exec(ctx, statement)
		for refused(err) {
			err = r.db.exec(ctx, statement)
		}
		if err != nil {
			return err
		}
	}
	if err := r.caughtUp(ctx); err != nil { // else the log may not say yet that something is missing
		return err
	}
	return r.snapshotted(ctx)
}

// caughtUp waits until the log has everything that the server has executed.
func (r *run) caughtUp(ctx context.Context) error {
	want, err := r.db.executed(ctx)
	if err != nil {
		return err
	}
	return r.headHas(ctx, func(p eventstore.Position) (bool, error) { return p.Covers(want) })
}

// headHas waits until the log's last watermark has a position.
func (r *run) headHas(ctx context.Context, ok func(eventstore.Position) (bool, error)) error {
	log, err := kafkalog.New(kafkalog.Config{Brokers: []string{r.broker}, Pipeline: r.pipeline})
	if err != nil {
		return err
	}
	defer log.Close()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		head, found, err := log.Head(ctx)
		if err == nil && found {
			var done bool
			if done, err = ok(head.Position); done {
				return err
			}
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the log has %s: %w", head.Position, context.Cause(ctx))
		case <-again.C:
		}
	}
}

// check reads the log, and compares it with the tables.
func (r *run) check(ctx context.Context) (*Checker, error) {
	c := NewChecker(schemaName, keys())
	if err := history.MergeLog(ctx, r.broker, r.pipeline, c.Add); err != nil {
		return nil, err
	}
	r.say("log: %d changes, %d of them read by chunks", c.Changes, c.Reads)
	if err := r.db.compare(ctx, c); err != nil {
		return nil, err
	}
	for _, example := range c.Examples {
		r.say("%s", example)
	}
	return c, nil
}

// judge says what happened and what was found.
func (r *run) judge(ctx context.Context) (*Report, error) {
	c, err := r.check(ctx)
	if err != nil {
		return nil, err
	}
	return &Report{Verdict: c.Verdict, Transactions: int(r.load.transactions.Load()), XA: int(r.load.xa.Load()), RolledBack: int(r.load.rolledBack.Load()),
		KeyChanges: int(r.load.keyChanges.Load()), DDL: int(r.load.ddl.Load()), Files: int(r.load.files.Load()), Chunks: int(r.chunks.Load()),
		Discarded: int(r.discarded.Load()), Kills: int(r.kills.Load()), Tails: int(r.tails.Load())}, nil
}
