package documents

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/supervise"
	"github.com/millrace-go/millrace/projector"
)

// run is one check of one database server, with both sinks.
type run struct {
	cfg    Config
	began  time.Time
	outMu  sync.Mutex
	dir    string // of local states
	server *servers.Server
	pool   *sql.DB
	broker string
	place  place
	stores []store
	log    eventstore.Log
	load   *load

	projector *supervise.Process
	moved     supervise.Pulse // the load has ended a transaction
	windowed  supervise.Pulse // a projector has written documents

	kills, pauses, losses, rivals, anew, written, unchanged, refused, retries atomic.Int64

	mu       sync.Mutex
	verdict  Verdict
	evidence evidence
}

// Run runs the load beside the projector, which is disturbed, compares at the cuts and at the end, and recomputes what was seen on the way.
func Run(ctx context.Context, cfg Config) (report *Report, err error) {
	cfg, err = cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("documents config: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.Deadline, fmt.Errorf("not done within %v", cfg.Deadline))
	defer cancel()
	r := &run{cfg: cfg, began: time.Now(), evidence: evidence{seen: map[sighting]bool{}, differ: map[sighting]bool{}}}
	defer func() {
		if err = errors.Join(err, r.close()); err != nil {
			err = fmt.Errorf("%s: %w", cfg.Kind, err)
		}
	}()
	if err := r.open(ctx); err != nil {
		return nil, err
	}
	err = r.changes(ctx)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(err, context.Cause(ctx))
	}
	if err != nil {
		return nil, err
	}
	r.say("the log is read, and %d documents are made anew", len(r.evidence.seen))
	again := newReplay(&r.verdict, &r.evidence)
	if err := errors.Join(history.MergeLog(ctx, r.broker, r.place.Name, again.take), again.end()); err != nil {
		return nil, err
	}
	for _, example := range r.verdict.Examples {
		r.say("%s", example)
	}
	report = r.report(again.changes)
	return report, report.problems(&r.cfg)
}

func (r *run) say(format string, args ...any) {
	r.outMu.Lock()
	defer r.outMu.Unlock()
	fmt.Fprintf(r.cfg.Out, "%-7s %6.1fs  %s\n", r.cfg.Kind, time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

// open finds Kafka and the sinks, starts a database server and fills it.
func (r *run) open(ctx context.Context) (err error) {
	r.say("SEED=%d", r.cfg.Seed)
	r.place.Name = fmt.Sprintf("documents-%s-%08x", r.cfg.Kind, rand.Uint32())
	for kind, value := range map[servers.Kind]*string{servers.Kafka: &r.broker, servers.Elasticsearch: &r.place.Elastic, servers.MongoDB: &r.place.Mongo} {
		at, err := servers.Locate(ctx, kind, r.say)
		if err != nil {
			return err
		}
		*value = at.Value
	}
	if r.stores, err = r.place.open(); err != nil {
		return err
	}
	if r.dir, err = os.MkdirTemp("", "documents-"); err != nil {
		return err
	}
	args := []string{"--innodb-lock-wait-timeout=1", "--innodb-buffer-pool-size=128M", "--innodb-flush-log-at-trx-commit=2", "--sync-binlog=0",
		"--group-concat-max-len=100000000"}
	if r.server, err = servers.Start(ctx, r.cfg.Kind, servers.Options{Args: args, Logf: r.say}); err != nil {
		return err
	}
	if r.pool, err = sql.Open("mysql", r.server.Address().DSN("")+"?interpolateParams=true"); err != nil {
		return err
	}
	if r.log, err = r.openLog(); err != nil {
		return err
	}
	for _, tables := range [][]string{shopTables, salesTables, treeTables} {
		for _, statement := range tables {
			if _, err := r.pool.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("%.60s: %w", statement, err)
			}
		}
	}
	r.load = &load{cfg: &r.cfg, pool: r.pool, size: sizesOf(r.cfg.Scale), moved: &r.moved}
	r.load.allowed.Store(2 * lookEvery)
	if err := r.load.fill(ctx); err != nil {
		return err
	}
	r.say("%s filled, log %s", r.server.Version(), r.place.Name)
	return nil
}

func (r *run) openLog() (*kafkalog.Log, error) {
	return kafkalog.New(kafkalog.Config{Brokers: []string{r.broker}, Pipeline: r.place.Name})
}

// close ends the server, and removes the documents, the log and the local states.
func (r *run) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var errs []error
	for _, s := range r.stores {
		errs = append(errs, s.remove(ctx), s.close())
	}
	if r.pool != nil {
		errs = append(errs, r.pool.Close())
	}
	if r.server != nil {
		errs = append(errs, r.server.Close())
	}
	if r.broker != "" {
		errs = append(errs, history.DeleteLog(r.broker, r.place.Name))
	}
	if r.dir != "" {
		errs = append(errs, os.RemoveAll(r.dir))
	}
	return errors.Join(errs...)
}

// relay carries the binlog into the log until ctx ends.
func (r *run) relay(ctx context.Context) error {
	source, err := binlog.New(binlog.Config{Addr: r.server.Address().HostPort(), User: servers.CDCUser, Password: servers.CDCPassword, Flavor: string(r.cfg.Kind),
		Filter: cdc.Filter{Include: []string{"shop.*", "sales.*", "tree.*"}}})
	if err != nil {
		return err
	}
	log, err := r.openLog()
	if err != nil {
		return err
	}
	defer log.Close()
	relay, err := cdc.NewRelay(cdc.Config{Source: source, Log: log, Heartbeat: 500 * time.Millisecond})
	if err != nil {
		return err
	}
	return relay.Run(ctx)
}

// child prepares a projector's process with a local state of its own.
func (r *run) child(states string) *supervise.Process {
	return supervise.NewProcess(ProjectorChild, task{Kind: r.cfg.Kind, DSN: r.server.Address().CDC(""), Broker: r.broker, Pipeline: r.place.Name,
		States: states, Place: r.place, Break: r.cfg.Break}, r.cfg.Log, r.heard)
}

// heard takes a line of a projector's process.
func (r *run) heard(line []byte) (working bool) {
	var e event
	if json.Unmarshal(line, &e) != nil {
		return false // the torn last line of one that was killed
	}
	switch e.Kind {
	case eventWindow:
		r.windowed.Beat()
		r.written.Add(int64(e.Documents))
		r.unchanged.Add(int64(e.Unchanged))
		r.refused.Add(int64(e.Refused))
	case eventAnew:
		r.anew.Add(1)
		r.say("a local state is built anew: %.150s", e.Text)
	case eventRetry:
		if r.retries.Add(1) <= 20 {
			r.say("%s", e.Text)
		}
	}
	return e.Kind == eventBegan
}

// changes runs load, relay and projector until all is compared.
func (r *run) changes(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var background sync.WaitGroup
	defer background.Wait()
	relaying, endRelay := context.WithCancel(ctx)
	defer endRelay()
	background.Go(func() {
		if err := r.relay(relaying); err != nil {
			fail(fmt.Errorf("relay: %w", err))
		}
	})
	r.projector = r.child(r.dir + "/states")
	background.Go(func() {
		if err := r.projector.Run(); err != nil {
			fail(err)
		}
	})
	defer r.projector.Drain()
	if err := r.awaitAll(ctx, 1); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	r.say("all documents are there")
	var clients, others sync.WaitGroup
	start := func(group *sync.WaitGroup, f func(context.Context) error) {
		group.Go(func() {
			if err := f(ctx); err != nil {
				fail(err)
			}
		})
	}
	working, rest := context.WithCancel(ctx)
	defer rest()
	for id := range r.cfg.Clients {
		start(&clients, func(ctx context.Context) error { return r.load.work(ctx, id) })
	}
	start(&others, func(context.Context) error { return r.look(working) })
	start(&others, r.disturb)
	start(&others, r.rival)
	err := r.cutOnTheWay(ctx)
	clients.Wait()
	rest()
	others.Wait()
	if err == nil && ctx.Err() == nil {
		r.say("load over: %d transactions", r.load.committed.Load())
		err = r.cut(ctx)
	}
	r.projector.Drain()
	endRelay()
	background.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// reached waits until the load has begun a share of its transactions.
func (r *run) reached(ctx context.Context, share float64) error {
	at := int64(share * float64(r.cfg.Transactions))
	return r.load.moved.Await(ctx, func() bool { return r.load.begun.Load() >= at })
}

// cutOnTheWay makes the cuts that are not at the end.
func (r *run) cutOnTheWay(ctx context.Context) error {
	for n := range r.cfg.Cuts {
		if err := r.reached(ctx, float64(n+1)/float64(r.cfg.Cuts+1)); err != nil {
			return err
		}
		if err := r.cut(ctx); err != nil {
			return err
		}
	}
	return nil
}

// cut lets the writers stand still, asks the database what the documents have to be, and compares them when the sinks say that they have everything.
func (r *run) cut(ctx context.Context) error {
	r.load.gate.Lock()
	defer r.load.gate.Unlock()
	began := time.Now()
	if err := r.disturbCut(ctx); err != nil {
		return err
	}
	c := cut{want: map[docKey]sum{}}
	for _, m := range readModels() {
		if err := r.ask(ctx, m, c.want); err != nil {
			return fmt.Errorf("oracle of %s: %w", m.name, err)
		}
	}
	asked := time.Since(began)
	var err error
	if c.csn, err = r.logged(ctx); err != nil {
		return err
	}
	if err := r.awaitAll(ctx, c.csn); err != nil {
		return err
	}
	arrived := time.Since(began)
	differ := 0
	for _, s := range r.stores {
		for _, m := range readModels() {
			n, err := r.compare(ctx, &c, s, m)
			if err != nil {
				return fmt.Errorf("read %s from %s: %w", m.name, s.kind(), err)
			}
			differ += n
		}
	}
	r.evidence.cuts = append(r.evidence.cuts, c)
	r.say("cut at csn %d: %d documents in each sink, %d differ (SQL %.1fs, until written %.1fs, read %.1fs)", c.csn, len(c.want), differ,
		asked.Seconds(), (arrived - asked).Seconds(), (time.Since(began) - arrived).Seconds())
	return nil
}

// ask runs the SQL of a read model.
func (r *run) ask(ctx context.Context, m *readModel, want map[docKey]sum) error {
	return each(ctx, r.pool, m.oracle, nil, func(rows *sql.Rows) error {
		var id string
		var doc []byte
		if err := rows.Scan(&id, &doc); err != nil {
			return err
		}
		s, err := sumOf(doc)
		if err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		want[docKey{m.name, id}] = s
		return nil
	})
}

// askAgain is how often something is asked that is waited for.
const askAgain = 50 * time.Millisecond

// until asks again and again until something is so.
func until(ctx context.Context, what string, ok func() (bool, error)) error {
	ticker := time.NewTicker(askAgain)
	defer ticker.Stop()
	for {
		done, err := ok()
		if done || err != nil && !errors.Is(err, projector.ErrUnavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// logged waits until the log has everything that is committed, and returns its csn.
func (r *run) logged(ctx context.Context) (csn uint64, err error) {
	query := "SELECT @@global.gtid_executed"
	if r.cfg.Kind == servers.MariaDB {
		query = "SELECT @@global.gtid_binlog_pos"
	}
	var gtids string
	if err := r.pool.QueryRowContext(ctx, query).Scan(&gtids); err != nil {
		return 0, err
	}
	return csn, until(ctx, "the log", func() (bool, error) {
		head, found, err := r.log.Head(ctx)
		if err != nil || !found {
			return false, err
		}
		csn = uint64(head.CSN)
		return head.Position.Covers(gtids)
	})
}

// awaitAll waits until the progress of all projectors says that they have everything up to csn.
func (r *run) awaitAll(ctx context.Context, csn uint64) error {
	for _, s := range r.stores {
		for _, m := range readModels() {
			if err := r.awaitWritten(ctx, s, m, csn); err != nil {
				return err
			}
		}
	}
	return nil
}

// awaitWritten waits until the progress in a sink says that it has everything up to csn, and readers see it.
func (r *run) awaitWritten(ctx context.Context, s store, m *readModel, csn uint64) error {
	name := projectorName(m, s)
	return until(ctx, fmt.Sprintf("projector %s to have csn %d", name, csn), func() (bool, error) {
		p, found, err := s.sink().Progress(ctx, name)
		if err != nil || !found || uint64(p.CSN) < csn {
			return false, err
		}
		generation, live, err := s.sink().Published(ctx, s.target(m.name))
		return live && generation == p.Generation, err
	})
}

// compare compares the documents that readers see.
func (r *run) compare(ctx context.Context, c *cut, s store, m *readModel) (differ int, err error) {
	got := map[string]sum{}
	err = s.public(ctx, m.name, func(id string, body []byte) error {
		if _, twice := got[id]; twice {
			return fmt.Errorf("%s was found twice", id)
		}
		var err error
		got[id], err = sumOf(body)
		return err
	})
	if err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	unequal := r.verdict.Documents - r.verdict.Equal
	ids := r.verdict.compare(c, s.kind(), m.name, got)
	return r.verdict.Documents - r.verdict.Equal - unequal, r.explain(ctx, c, s, m, ids)
}
