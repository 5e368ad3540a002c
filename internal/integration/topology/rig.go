package topology

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// Config says what to run.
type Config struct {
	Kind servers.Kind
	Seed uint64
	// Burst is how many transactions each of four clients commits between two events.
	Burst int
	// Broker is a Kafka broker, host:port. The pipeline has a name of its own.
	Broker string
	Logf   func(format string, args ...any)
}

// rig is a cluster, a load, and a relay whose speed can be held.
type rig struct {
	Config
	*cluster
	load     *load
	pipeline string
	log      *kafkalog.Log
	relay    *cdc.Relay
	catchUp  time.Duration
	snapshot cdc.SnapshotConfig
	logger   *slog.Logger // of the relay and its source

	recorded supervise.Pulse // something happened to the relay
	ended    chan error
	stop     context.CancelFunc

	mu     sync.Mutex
	gate   chan struct{}     // closed while the relay may write
	server string            // that is followed
	tail   int               // transactions that the last session found unfinished
	err    error             // why the last session ended
	read   map[string]uint64 // rows of snapshots, by table
}

func newRig(ctx context.Context, cfg Config, nodes int) (r *rig, err error) {
	r = &rig{Config: cfg, catchUp: 10 * time.Second, load: &load{seed: cfg.Seed, workers: 4, acked: map[string]bool{}}, gate: make(chan struct{}), read: map[string]uint64{},
		pipeline: fmt.Sprintf("topology-%s-%d-%x", cfg.Kind, cfg.Seed, rand.Uint32())}
	close(r.gate)
	if r.cluster, err = startCluster(ctx, cfg.Kind, nodes, cfg.Logf); err != nil {
		return nil, err
	}
	if err := r.load.create(ctx, r.primary); err != nil {
		return nil, errors.Join(err, r.close())
	}
	if r.log, err = kafkalog.New(kafkalog.Config{Brokers: []string{cfg.Broker}, Pipeline: r.pipeline}); err != nil {
		return nil, errors.Join(err, r.close())
	}
	if err := r.use(schemaName+".*", r.nodes...); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// use makes a relay that knows some of the nodes, through their proxies, and captures some tables.
func (r *rig) use(tables string, nodes ...*node) error {
	var addrs []string
	for _, n := range nodes {
		addrs = append(addrs, n.proxy.Addr())
	}
	var err error
	r.relay, err = r.newRelay(tables, addrs)
	return err
}

func (r *rig) newRelay(tables string, addrs []string) (*cdc.Relay, error) {
	source, err := binlog.New(binlog.Config{Addr: addrs[0], Addrs: addrs[1:], User: servers.CDCUser, Password: servers.CDCPassword,
		Filter: cdc.Filter{Include: []string{tables}}, MaxSliceBytes: 16 << 10, HeartbeatPeriod: 500 * time.Millisecond, Logger: r.logger})
	if err != nil {
		return nil, err
	}
	return cdc.NewRelay(cdc.Config{Source: source, Log: r.log, FlushBytes: 32 << 10, CatchUp: r.catchUp, WatchPeriod: 2 * time.Second, Snapshot: r.snapshot,
		Logger: r.logger, Hooks: r.hooks()})
}

func (r *rig) hooks() cdc.Hooks {
	return cdc.Hooks{
		Began: func(i cdc.BeginInfo) {
			r.mu.Lock()
			r.server = i.Server
			r.tail = i.Tail
			r.mu.Unlock()
			r.Logf("relay follows %s from csn %d, tail %d", r.nameOf(i.Server), i.CSN, i.Tail)
			r.recorded.Beat()
		},
		Flushing: func(cdc.FlushInfo) {
			r.mu.Lock()
			gate := r.gate
			r.mu.Unlock()
			<-gate
		},
		Flushed: func(cdc.FlushInfo) { r.recorded.Beat() },
		Snapshot: func(i cdc.SnapshotInfo) {
			r.mu.Lock()
			r.read[i.Table] = i.Rows
			r.mu.Unlock()
			r.recorded.Beat()
		},
		Retrying: func(i cdc.RetryInfo) {
			r.Logf("relay begins again: %v", i.Err)
			r.mu.Lock()
			r.err = i.Err
			r.mu.Unlock()
			r.recorded.Beat()
		},
	}
}

// nameOf is the name of the server behind a proxy.
func (r *rig) nameOf(addr string) string {
	for _, n := range r.nodes {
		if n.proxy.Addr() == addr {
			return n.name
		}
	}
	return addr
}

// follows waits until the relay follows a node.
func (r *rig) follows(ctx context.Context, n *node) error {
	return r.await(ctx, "the relay follows "+n.name, func() (bool, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.server == n.proxy.Addr(), nil
	})
}

// torn waits until the relay was cut off in the middle of a transaction, and until the log has a part of it, where the source hands out
// parts: MariaDB's transactions are held until their end, since that may be a ROLLBACK.
func (r *rig) torn(ctx context.Context) error {
	return r.await(ctx, "a session begins in the middle of a transaction", func() (bool, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.tail > 0 || r.kind == servers.MariaDB && r.err != nil, nil
	})
}

// hold lets the relay read, but not write any more.
func (r *rig) hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gate = make(chan struct{})
}

func (r *rig) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.gate:
	default:
		close(r.gate)
	}
}

func (r *rig) start(ctx context.Context) {
	ctx, r.stop = context.WithCancel(ctx)
	relay, ended := r.relay, make(chan error, 1)
	r.ended = ended
	go func() { ended <- relay.Run(ctx) }()
}

// finish stops the relay, which must end well.
func (r *rig) finish() error {
	r.release()
	r.stop()
	return <-r.ended
}

// await waits for the relay to make something true.
func (r *rig) await(ctx context.Context, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		changed := r.recorded.Next()
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-changed:
		case err := <-r.ended:
			r.ended <- err
			return fmt.Errorf("waiting until %s: the relay ended: %w", what, err)
		case <-ctx.Done():
			r.mu.Lock()
			defer r.mu.Unlock()
			return fmt.Errorf("waiting until %s: %w; the last interruption was: %w", what, ctx.Err(), r.err)
		}
	}
}

// arrived waits until the log has everything that the primary has now.
func (r *rig) arrived(ctx context.Context) error {
	set, err := r.executed(ctx, r.primary)
	if err != nil {
		return err
	}
	return r.await(ctx, "the log has "+set, func() (bool, error) {
		head, found, err := r.log.Head(ctx)
		if err != nil || !found {
			return false, err
		}
		return head.Position.Covers(set)
	})
}

// compare reads both histories. Nothing may be written meanwhile.
func (r *rig) compare(ctx context.Context) (*Result, error) {
	binlog, err := r.transactions(ctx, r.primary)
	if err != nil {
		return nil, fmt.Errorf("binlog of %s: %w", r.primary.name, err)
	}
	log, err := history.ReadLog(ctx, []string{r.Broker}, r.pipeline)
	if err != nil {
		return nil, err
	}
	return compare(binlog, log, r.load.acked), nil
}

func (r *rig) close() error {
	var err error
	if r.log != nil {
		err = errors.Join(r.log.Close(), history.DeleteLog(r.Broker, r.pipeline))
	}
	return errors.Join(err, r.cluster.close())
}
