package exactlyonce

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/internal/integration/database"
	"github.com/millrace-go/millrace/internal/integration/faults"
	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// Config says what to run.
type Config struct {
	// Kind is servers.MySQL or servers.MariaDB.
	Kind servers.Kind
	// Seed decides about the load and the faults: what, in which order, at which step. 0: by chance.
	Seed uint64
	// Kills is how often a relay is killed or made a zombie, 5 at least; half as many other faults come in addition.
	Kills int
	// Changes is how many rows the load changes, at least. Default 110,000.
	Changes int
	// Stop is how long a leader is stopped that a standby has replaced. Default 60 s.
	Stop time.Duration
	// Patience is how long the relays may take for anything. Default 3 minutes: two cores may have much to do.
	Patience time.Duration
	// Deadline is for everything but the installation. Default 30 minutes.
	Deadline time.Duration

	Out io.Writer // what happens, line by line
	Log io.Writer // the relays' own log; nil: nowhere
}

func (c Config) withDefaults() (Config, error) {
	var problems []error
	if c.Kind != servers.MySQL && c.Kind != servers.MariaDB {
		problems = append(problems, fmt.Errorf("Kind %q: want %s or %s", c.Kind, servers.MySQL, servers.MariaDB))
	}
	if c.Changes < 0 {
		problems = append(problems, fmt.Errorf("Changes is %d, want a positive number", c.Changes))
	}
	if c.Changes == 0 {
		c.Changes = 110_000
	}
	if c.Seed == 0 {
		c.Seed = rand.Uint64N(1e9) + 1
	}
	if c.Stop == 0 {
		c.Stop = time.Minute
	}
	if c.Patience == 0 {
		c.Patience = 3 * time.Minute
	}
	if c.Deadline == 0 {
		c.Deadline = 30 * time.Minute
	}
	if c.Out == nil {
		c.Out = io.Discard
	}
	if c.Log == nil {
		c.Log = io.Discard
	}
	return c, errors.Join(problems...)
}

// The two relays, and the listeners by which they reach the brokers.
var members = []string{"A", "B"}

// Brokers is a Kafka cluster with a proxy before each of its listeners.
type Brokers struct {
	*servers.Cluster
	proxies map[string][]*faults.Proxy // by listener, and node
}

// StartBrokers starts the cluster that runs use, one after the other. Close it after use.
func StartBrokers(ctx context.Context, logf func(string, ...any)) (*Brokers, error) {
	b := &Brokers{proxies: map[string][]*faults.Proxy{}}
	var err error
	b.Cluster, err = servers.StartCluster(ctx, servers.ClusterOptions{Listeners: members, Logf: logf,
		Advertise: func(listener string, _ int, addr string) (string, error) {
			p, err := faults.NewProxy(addr)
			if err != nil {
				return "", err
			}
			b.proxies[listener] = append(b.proxies[listener], p)
			return p.Addr(), nil
		}})
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// Close ends the cluster and the proxies.
func (b *Brokers) Close() error {
	var errs []error
	for _, list := range b.proxies {
		for _, p := range list {
			errs = append(errs, p.Close())
		}
	}
	if b.Cluster != nil {
		errs = append(errs, b.Cluster.Close())
	}
	return errors.Join(errs...)
}

// run is one check on one database server.
type run struct {
	cfg      Config
	began    time.Time
	brokers  *Brokers
	pipeline string
	db       *database.Database
	load     *load
	relays   []*member
	leader   int // of relays
	changed  supervise.Pulse
	report   Report
	maxBytes int // of the relays; 0: small limits

	outMu sync.Mutex
}

// Run runs the load and the faults on one database server, waits until everything is in the log, and compares. Its error says what is wrong, also
// that too little happened to say anything; the report is there whenever the comparison was made.
func Run(ctx context.Context, brokers *Brokers, cfg Config) (*Report, error) {
	cfg, err := cfg.withDefaults()
	if cfg.Kills < len(probes()) {
		err = errors.Join(err, fmt.Errorf("Kills is %d, want %d at least", cfg.Kills, len(probes())))
	}
	if err != nil {
		return nil, fmt.Errorf("exactly once config: %w", err)
	}
	r := &run{cfg: cfg, brokers: brokers}
	list := plan(cfg.Seed, cfg.Kills)
	return r.check(ctx, func(ctx context.Context) error { return r.faults(ctx, list) })
}

// check starts the database and the relays, has something done to them, and judges. It judges also when a relay ended with an error: the log must
// be right up to there.
func (r *run) check(ctx context.Context, disturb func(context.Context) error) (report *Report, err error) {
	cfg := r.cfg
	r.began = time.Now()
	r.pipeline = fmt.Sprintf("exactly-%s-%08x", cfg.Kind, rand.Uint32())
	if r.db, err = database.Start(ctx, cfg.Kind, schema, definitions(), r.say); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.db.Close()) }()
	r.say("SEED=%d, %s, log %s", cfg.Seed, r.db.Server.Version(), r.pipeline)
	r.load = newLoad(r.db, cfg.Seed)
	limited, cancel := context.WithTimeoutCause(ctx, cfg.Deadline, fmt.Errorf("not done within %v", cfg.Deadline))
	defer cancel()
	halted := r.work(limited, disturb)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for _, list := range r.brokers.proxies {
		for _, p := range list {
			p.Heal()
		}
	}
	if halted != nil {
		r.say("ended early: %v", halted)
		for _, m := range r.relays {
			for _, line := range m.journal.last() {
				r.say("relay %s: %s", m.name, line)
			}
		}
		if err := r.mendServers(ctx); err != nil {
			return nil, errors.Join(halted, err)
		}
	}
	if err := r.judge(ctx); err != nil {
		return nil, errors.Join(halted, fmt.Errorf("%s: %w", cfg.Kind, err))
	}
	return &r.report, errors.Join(halted, r.report.problems(&cfg))
}

// mendServers makes sure that all servers run.
func (r *run) mendServers(ctx context.Context) error {
	_ = r.db.Server.Continue() // it may not be stopped, nor run
	if err := r.db.Server.Restart(ctx); err != nil {
		return err
	}
	for _, s := range r.brokers.Nodes {
		_ = s.Continue()
		select {
		case <-s.Ended():
			if err := s.Restart(ctx); err != nil {
				return err
			}
		default:
		}
	}
	return r.brokers.Await(ctx, len(r.brokers.Nodes))
}

func (r *run) say(format string, args ...any) {
	r.outMu.Lock()
	defer r.outMu.Unlock()
	fmt.Fprintf(r.cfg.Out, "%-7s %6.1fs  %s\n", r.cfg.Kind, time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

// clients is how many connections work at once.
const clients = 6

// work runs the relays and the load until the log has everything.
func (r *run) work(ctx context.Context, disturb func(context.Context) error) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	for _, name := range members {
		proxy, err := faults.NewProxy(r.db.Addr())
		if err != nil {
			return err
		}
		defer proxy.Close()
		t := task{Flavor: string(r.cfg.Kind), Addr: proxy.Addr(), Brokers: r.brokers.By(name), Pipeline: r.pipeline, MaxBytes: r.maxBytes}
		m := newMember(name, t, r.cfg.Log, &r.changed)
		m.kafka, m.database = r.brokers.proxies[name], proxy
		r.relays = append(r.relays, m)
		go func() {
			defer close(m.ended)
			if err := m.process.Run(); err != nil {
				fail(fmt.Errorf("relay %s: %w", name, err))
			}
			r.changed.Beat()
		}()
		defer func() {
			_ = m.process.Continue()
			m.process.Drain()
			<-m.ended
		}()
		if err := m.process.WaitBegun(ctx); err != nil {
			return err
		}
	}
	if err := r.lead(ctx, 0); err != nil {
		return err
	}
	var group sync.WaitGroup
	for n := range clients {
		group.Go(func() {
			if err := r.load.work(ctx, n); err != nil {
				fail(err)
			}
		})
	}
	err := disturb(ctx)
	if err != nil {
		fail(err)
	}
	if err == nil {
		err = r.rest(ctx)
	}
	r.load.end()
	group.Wait()
	if err == nil {
		err = r.caughtUp(ctx)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// rest lets the load come to its number of rows.
func (r *run) rest(ctx context.Context) error {
	for int(r.load.rows.Load()) < r.cfg.Changes {
		begun := r.load.ledger.Started()
		r.load.allow(100)
		if err := await(ctx, r.cfg.Patience, &r.load.changed, "the load goes on", nil, func() bool { return r.load.ledger.Started() >= begun+50 }); err != nil {
			return err
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
	log, err := kafkalog.New(kafkalog.Config{Brokers: r.brokers.Brokers(), Pipeline: r.pipeline})
	if err != nil {
		return err
	}
	defer log.Close()
	last := ""
	err = await(ctx, r.cfg.Patience, &r.changed, "everything is in the log", nil, func() bool {
		var head, found, failed = log.Head(ctx)
		if err = failed; err != nil || !found {
			return err != nil
		}
		last = head.Position.String()
		covers, failed := head.Position.Covers(want)
		err = failed
		return covers || err != nil
	})
	if err != nil {
		return fmt.Errorf("the log has %s, want %s: %w", last, want, err)
	}
	r.say("caught up")
	return nil
}

// judge reads what there is to compare, and compares.
func (r *run) judge(ctx context.Context) error {
	e := &history.Evidence{Schema: schema, Tables: r.load.tables, Ledger: r.load.ledger.Entries()}
	var err error
	if e.Binlog, err = r.db.History(ctx); err != nil {
		return err
	}
	if e.Log, err = history.ReadLog(ctx, r.brokers.Brokers(), r.pipeline); err != nil {
		return err
	}
	if e.Marks, err = history.ReadMarks(ctx, r.brokers.Brokers(), r.pipeline); err != nil {
		return err
	}
	if e.State, err = r.db.State(ctx, r.load.tables); err != nil {
		return err
	}
	r.report.Verdict = *history.Judge(e)
	r.report.Watermarks = len(e.Marks)
	for _, m := range r.relays {
		m.mu.Lock()
		r.report.Tails += m.tails
		r.report.Fenced += m.fenced
		r.report.Peak = max(r.report.Peak, m.peak)
		m.mu.Unlock()
	}
	for _, example := range r.report.Examples {
		r.say("%s", example)
	}
	return nil
}
