package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/examples/bmart/freshness"
	"github.com/millrace-go/millrace/examples/bmart/home"
	"github.com/millrace-go/millrace/examples/bmart/load"
	"github.com/millrace-go/millrace/examples/bmart/product"
	"github.com/millrace-go/millrace/examples/bmart/schema"
	"github.com/millrace-go/millrace/examples/snapshotbar"
	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/supervise"
	"github.com/millrace-go/millrace/projector"
)

// supervisor is one run of the demo.
type supervisor struct {
	cfg     Config
	began   time.Time
	outMu   sync.Mutex
	closers []func() error

	db        *database
	brokers   []string
	kafkaName string
	log       *kafkalog.Log
	sink      *openSink
	spec      sinkSpec
	docs      reader
	relay     *supervise.Process
	projector *supervise.Process
	children  sync.WaitGroup
	load      *load.Load
	tracker   *freshness.Tracker
	flow      *flow
	bar       *snapshotbar.Bar

	sampling atomic.Bool // commits are samples of freshness
	tails    atomic.Int64
	written  atomic.Int64 // documents
	retries  atomic.Int64
	flushing supervise.Pulse
	// flushTook is how long the relay's flushes take, in nanoseconds: a moving average.
	flushTook atomic.Int64
	failed    context.CancelCauseFunc
}

// Run runs the demo until ctx ends, which is no error, or until the check is done; its error says what the check found.
func Run(ctx context.Context, cfg Config) (err error) {
	cfg, err = cfg.withDefaults()
	if err != nil {
		return err
	}
	s := &supervisor{cfg: cfg, began: time.Now(), tracker: freshness.NewTracker(), bar: snapshotbar.New(cfg.Out)}
	work, failed := context.WithCancelCause(ctx)
	defer failed(nil)
	s.failed = failed
	defer func() { err = errors.Join(err, s.end()) }()
	if err := s.start(work); err != nil {
		return s.outcome(ctx, work, err)
	}
	if cfg.Check {
		limited, cancel := context.WithTimeoutCause(work, cfg.Deadline, fmt.Errorf("the check was not done within %v", cfg.Deadline))
		defer cancel()
		err = s.check(limited)
		if err != nil && limited.Err() != nil {
			err = errors.Join(err, context.Cause(limited))
		}
	} else {
		err = s.show(work)
	}
	return s.outcome(ctx, work, err)
}

// outcome returns why the run ended: what failed beside, or err. To be interrupted is an error only for a check.
func (s *supervisor) outcome(ctx, work context.Context, err error) error {
	if ctx.Err() != nil {
		if s.cfg.Check {
			return errors.New("interrupted")
		}
		return nil
	}
	if work.Err() != nil {
		return context.Cause(work)
	}
	return err
}

func (s *supervisor) say(format string, args ...any) {
	s.outMu.Lock()
	defer s.outMu.Unlock()
	fmt.Fprintf(s.cfg.Out, "%6.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// logf hears about installations.
func (s *supervisor) logf(format string, args ...any) { s.say(format, args...) }

// atEnd has f called at the end, the last one first.
func (s *supervisor) atEnd(f func() error) { s.closers = append(s.closers, f) }

func (s *supervisor) end() error {
	err := s.drain()
	for _, f := range slices.Backward(s.closers) {
		err = errors.Join(err, f())
	}
	return err
}

// drain lets relay and projectors finish what they have in hand, and waits for their end.
func (s *supervisor) drain() error {
	for _, p := range []*supervise.Process{s.relay, s.projector} {
		if p != nil {
			p.Drain()
		}
	}
	s.children.Wait()
	return nil
}

// start starts everything but the load. The shop of a page has its rows before the relay comes, that of a check gets them later.
func (s *supervisor) start(ctx context.Context) (err error) {
	s.say("SEED=%d", s.cfg.Seed)
	if s.db, err = s.startDatabase(ctx); err != nil {
		return err
	}
	if err := s.startKafka(ctx); err != nil {
		return err
	}
	if s.spec, s.docs, err = s.startSink(ctx); err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(s.cfg.Log, nil)).With("process", "supervisor")
	if s.sink, err = s.spec.open(logger); err != nil {
		return err
	}
	s.atEnd(func() error { s.sink.close(); return nil })
	if s.log, err = openLog(s.brokers, logger); err != nil {
		return err
	}
	s.atEnd(s.log.Close)
	if err := s.startFlow(ctx); err != nil {
		return err
	}
	c := load.Config{DB: s.db.shop, Catalogs: s.cfg.Catalogs, Rate: s.cfg.Rate, Seed: s.cfg.Seed, Committed: s.committed}
	if !s.cfg.Check {
		c.Categories, c.Products = 4, 4 // something to look at
	}
	if s.load, err = load.New(c); err != nil {
		return err
	}
	if !s.cfg.Check {
		if err := s.openShop(ctx); err != nil {
			return err
		}
	}
	stateDir, err := os.MkdirTemp("", "bmart-state-")
	if err != nil {
		return fmt.Errorf("folder of the local state: %w", err)
	}
	s.atEnd(func() error { return os.RemoveAll(stateDir) })
	s.relay = s.startProcess(RelayChild, task{Flavor: s.db.flavor, Addr: s.db.addr, User: s.db.relay.User, Password: s.db.relay.Password,
		Brokers: s.brokers, Break: s.cfg.Break})
	s.projector = s.startProcess(ProjectorChild, task{Brokers: s.brokers, Sink: s.spec, StateDir: stateDir, Break: s.cfg.Break})
	return nil
}

// openShop fills the shop before anybody reads its binlog, and purges that: the log has to begin with a snapshot.
func (s *supervisor) openShop(ctx context.Context) error {
	if err := s.load.Fill(ctx); err != nil {
		return err
	}
	if _, err := s.db.admin.ExecContext(ctx, "FLUSH BINARY LOGS"); err != nil {
		return fmt.Errorf("begin a binlog file: %w", err)
	}
	if err := history.Purge(ctx, s.db.admin); err != nil {
		return err
	}
	s.say("filled: %d catalogs, %d rows, and their binlog is gone", s.cfg.Catalogs, s.load.Rows())
	return nil
}

func (s *supervisor) startKafka(ctx context.Context) error {
	if s.cfg.Kafka == "real" {
		server, err := servers.Start(ctx, servers.Kafka, servers.Options{Logf: s.logf})
		if err != nil {
			return err
		}
		s.atEnd(server.Close)
		s.brokers, s.kafkaName = []string{server.Address().Value}, server.Version()
	} else {
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
		if err != nil {
			return fmt.Errorf("in-process kafka: %w", err)
		}
		s.atEnd(func() error { cluster.Close(); return nil })
		s.brokers, s.kafkaName = cluster.ListenAddrs(), "Kafka in process"
	}
	s.say("log: %s", s.kafkaName)
	return nil
}

func (s *supervisor) startFlow(ctx context.Context) error {
	s.flow = &flow{log: s.log, tracker: s.tracker}
	follow, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.flow.run(follow); err != nil && follow.Err() == nil {
			s.failed(err)
		}
	}()
	s.atEnd(func() error { stop(); <-ended; return nil })
	return nil
}

func (s *supervisor) startProcess(name string, t task) *supervise.Process {
	p := supervise.NewProcess(name, t, s.cfg.Log, s.reported)
	s.children.Go(func() {
		if err := p.Run(); err != nil {
			s.failed(err)
		}
	})
	return p
}

// reported takes a line of a child, a report, and tells whether it has begun its work.
func (s *supervisor) reported(line []byte) (working bool) {
	var m report
	if json.Unmarshal(line, &m) != nil {
		return false
	}
	switch m.Event {
	case eventTail:
		if m.Tail > 0 {
			s.tails.Add(1)
		}
	case eventFlushing:
		s.flushing.Beat()
	case eventFlushed:
		s.flushTook.Store((3*s.flushTook.Load() + int64(m.Took)) / 4) // reports come one at a time
	case eventSnapshot:
		s.bar.Show(m.Snapshot)
	case eventRetry:
		s.retries.Add(1)
	case eventHalt:
		s.failed(fmt.Errorf("%s halted at csn %d: %s", m.Kind, m.CSN, m.Text))
	case eventProgress:
		s.tracker.Complete(m.Kind, m.CSN)
	case eventWritten:
		s.written.Add(int64(len(m.Written)))
		for _, w := range m.Written {
			s.tracker.Written(freshness.Document{Kind: m.Kind, ID: w.ID}, w.CSN, m.At)
		}
	}
	return m.Event == eventBegan || m.Event == eventProgress
}

// committed takes the load's commits.
func (s *supervisor) committed(c load.Commit) {
	if c.Product != 0 && s.sampling.Load() {
		s.tracker.Committed(c.Product, c.UpdatedAt, c.At,
			freshness.Document{Kind: home.Name, ID: strconv.FormatUint(c.Catalog, 10)},
			freshness.Document{Kind: product.Name, ID: strconv.FormatUint(c.Product, 10)})
	}
}

// caughtUp waits until the log, and then the documents, have everything that the database has executed now.
func (s *supervisor) caughtUp(ctx context.Context) error {
	want, err := s.db.executed(ctx)
	if err != nil {
		return err
	}
	tick, patience := time.NewTicker(20*time.Millisecond), time.NewTicker(10*time.Second)
	defer tick.Stop()
	defer patience.Stop()
	for {
		head, found, err := s.log.Head(ctx)
		if err != nil {
			return fmt.Errorf("read the log's head: %w", err)
		}
		covers := false
		if found {
			if covers, err = head.Position.Covers(want); err != nil {
				return err
			}
			snapshots, err := eventstore.ParseSnapshot(head.Position.Snapshot)
			if err != nil {
				return err
			}
			for _, table := range schema.Tables {
				covers = covers && snapshots.Complete(schema.Database, table)
			}
		}
		state := fmt.Sprintf("log at csn %d, everything in it: %v", head.CSN, covers)
		for _, name := range []string{home.Name, product.Name} {
			progress, found, err := s.sink.Progress(ctx, name)
			if errors.Is(err, projector.ErrUnavailable) { // a new index, say, whose shard is not there yet
				covers, state = false, state+", "+err.Error()
				continue
			}
			if err != nil {
				return fmt.Errorf("read the progress of %s: %w", name, err)
			}
			covers = covers && found && progress.CSN >= head.CSN
			state += fmt.Sprintf(", %s at csn %d", name, progress.CSN)
		}
		if covers {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for relay and projectors (%s): %w", state, context.Cause(ctx))
		case <-patience.C:
			s.say("still waiting: %s", state)
		case <-tick.C:
		}
	}
}
