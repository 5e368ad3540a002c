package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/shop"
	"github.com/millrace-go/millrace/projector"
)

const (
	latencyProducts = 10_000
	latencyCatalogs = 100
	latencyRate     = 1000 // changes a second
	latencyEach     = 10   // changes a transaction
)

// latency measures how long a commit takes to be in its documents, with real servers all the way.
func (b *bench) latency(ctx context.Context) (err error) {
	seconds := min(max(int(b.rows/200_000), 3), 5)
	broker, err := b.server(ctx, servers.Kafka)
	if err != nil {
		return err
	}
	source, err := servers.Start(ctx, servers.MariaDB, servers.Options{Logf: b.logf})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	db, err := sql.Open("mysql", source.Address().DSN(""))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if err := openShop(ctx, db); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	j := job{DB: source.Address().HostPort(), Kafka: broker.HostPort(), Pipeline: "bench-latency"}
	relayed, err := j.startRelay(ctx)
	if err != nil {
		return err
	}
	defer func() { cancel(); err = errors.Join(err, <-relayed) }()
	fmt.Printf("latency: %d changes of stock a second for %d s, in transactions of %d, some products much more often than others; %d products, %d catalogs; commit sent to document acknowledged\n",
		latencyRate, seconds, latencyEach, latencyProducts, latencyCatalogs)
	load := &load{db: db, rand: rand.New(rand.NewPCG(1, 1)), sent: []time.Time{{}}}
	for _, kind := range []servers.Kind{"", servers.Elasticsearch, servers.MongoDB} {
		if j.Kind = string(kind); kind != "" {
			server, err := b.server(ctx, kind)
			if err != nil {
				return err
			}
			j.Sink = server.Value
		}
		for _, step := range []string{"products", "catalogs"} {
			for _, window := range []time.Duration{200 * time.Millisecond, 20 * time.Millisecond} {
				j.Step = step
				if err := j.latency(ctx, load, window, seconds); err != nil {
					return fmt.Errorf("%s %s: %w", kind, step, err)
				}
			}
		}
	}
	return nil
}

// startRelay starts a relay, whose end the channel gives.
func (j job) startRelay(ctx context.Context) (<-chan error, error) {
	source, err := binlog.New(binlog.Config{Addr: j.DB, User: servers.CDCUser, Password: servers.CDCPassword, Filter: cdc.Filter{Include: []string{"shop.*"}}})
	if err != nil {
		return nil, err
	}
	log, err := j.log()
	if err != nil {
		return nil, err
	}
	relay, err := cdc.NewRelay(cdc.Config{Source: source, Log: log})
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(ctx) }()
	return ended, nil
}

// latency follows the load with one read model.
func (j job) latency(ctx context.Context, load *load, window time.Duration, seconds int) (err error) {
	log, err := kafkalog.New(kafkalog.Config{Brokers: []string{j.Kafka}, Pipeline: j.Pipeline})
	if err != nil {
		return err
	}
	sink, target, err := j.sink("latency-" + j.Step)
	if err != nil {
		return err
	}
	if c, ok := sink.(interface{ Close() error }); ok {
		defer func() { err = errors.Join(err, c.Close()) }()
	}
	models := new(shop.Models)
	model := models.Products(target, 1)
	if j.Step == "catalogs" {
		model = models.Catalogs(target, 1)
	}
	watch := &watch{load: load, models: models}
	runner, err := projector.NewRunner(projector.Config{Log: log, Sinks: []projector.Sink{sink}, Projectors: []projector.Projector{model}, Window: window,
		Hooks: projector.Hooks{OnWindow: watch.window}})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(running) }()
	defer func() { stop(); err = errors.Join(err, <-ended) }()
	reached := func() error {
		gtid, err := load.position(ctx)
		if err != nil {
			return err
		}
		return runner.WaitForGTID(ctx, j.Step, gtid)
	}
	if err := errors.Join(load.run(ctx, time.Second), reached()); err != nil { // everything is built and warm
		return err
	}
	before, err := load.selects(ctx)
	if err != nil {
		return err
	}
	watch.begin()
	if err := load.run(ctx, time.Duration(seconds)*time.Second); err != nil {
		return err
	}
	changes := seconds * latencyRate
	if err := watch.until(ctx, load.last()); err != nil {
		return err
	}
	after, err := load.selects(ctx)
	if err != nil {
		return err
	}
	l := watch.latencies
	slices.Sort(l)
	name := map[servers.Kind]string{"": "memory", servers.Elasticsearch: "Elasticsearch", servers.MongoDB: "MongoDB"}[servers.Kind(j.Kind)]
	fmt.Printf("  %-13s %-8s window %5v  p50 %6.1f ms  p99 %6.1f ms  %6d documents for %6d changes: %4.1f %% of the writes saved  SELECTs on the database by all: %d\n",
		name, j.Step, window, ms(l[len(l)/2]), ms(l[len(l)*99/100]), watch.documents, changes, 100-100*float64(watch.documents)/float64(changes), after-before)
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// openShop makes the tables and their rows.
func openShop(ctx context.Context, db *sql.DB) error {
	statements := []string{
		"CREATE DATABASE shop",
		"CREATE TABLE shop.catalog (id BIGINT PRIMARY KEY, title VARCHAR(100) NOT NULL)",
		"CREATE TABLE shop.product (id BIGINT PRIMARY KEY, catalog_id BIGINT NOT NULL, name VARCHAR(100) NOT NULL, price DECIMAL(10,2) NOT NULL, KEY (catalog_id))",
		"CREATE TABLE shop.stock (product_id BIGINT PRIMARY KEY, qty BIGINT NOT NULL)",
		"INSERT INTO shop.catalog SELECT seq, CONCAT('catalog ', seq) FROM shop.seq_1_to_" + fmt.Sprint(latencyCatalogs),
		fmt.Sprintf("INSERT INTO shop.product SELECT seq, 1 + seq MOD %d, CONCAT('product number ', seq, ' of the whole shop'), seq MOD 1000 + 0.5 FROM shop.seq_1_to_%d", latencyCatalogs, latencyProducts),
		"INSERT INTO shop.stock SELECT seq, 0 FROM shop.seq_1_to_" + fmt.Sprint(latencyProducts),
	}
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// load changes stocks over one connection: each gets a quantity one higher than the change before.
type load struct {
	db   *sql.DB
	rand *rand.Rand

	mu   sync.Mutex
	sent []time.Time // by quantity
}

// run commits at a steady rate.
func (l *load) run(ctx context.Context, long time.Duration) error {
	const every = time.Second * latencyEach / latencyRate
	tick := time.NewTicker(every)
	defer tick.Stop()
	some := rand.NewZipf(l.rand, 1.1, 20, latencyProducts-1)
	for range int(long / every) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		ids := map[uint64]bool{}
		for len(ids) < latencyEach {
			ids[some.Uint64()+1] = true
		}
		var text strings.Builder
		text.WriteString("INSERT INTO shop.stock VALUES ")
		l.mu.Lock()
		began, separator := time.Now(), ""
		for id := range ids {
			fmt.Fprintf(&text, "%s(%d,%d)", separator, id, len(l.sent))
			l.sent, separator = append(l.sent, began), ","
		}
		l.mu.Unlock()
		text.WriteString(" ON DUPLICATE KEY UPDATE qty = VALUES(qty)")
		if _, err := l.db.ExecContext(ctx, text.String()); err != nil {
			return err
		}
	}
	return nil
}

// last is the quantity of the last change.
func (l *load) last() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sent) - 1
}

func (l *load) position(ctx context.Context) (gtid string, err error) {
	return gtid, l.db.QueryRowContext(ctx, "SHOW GLOBAL VARIABLES LIKE 'gtid_binlog_pos'").Scan(new(string), &gtid)
}

// selects counts the SELECT statements that the database has had.
func (l *load) selects(ctx context.Context) (n int, err error) {
	return n, l.db.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Com_select'").Scan(new(string), &n)
}

// watch notes for each change when its document was acknowledged: every change up to the newest that a document of the window shows.
type watch struct {
	load   *load
	models *shop.Models

	mu        sync.Mutex
	seen      int
	latencies []time.Duration
	documents int
	moved     chan struct{}
}

func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen, w.latencies, w.documents, w.moved = w.load.last(), nil, 0, make(chan struct{}, 1)
}

// window is a hook of the projector.
func (w *watch) window(i projector.WindowInfo) {
	now, newest := time.Now(), int(w.models.Newest.Load())
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.moved == nil {
		return
	}
	w.documents += i.Documents
	w.load.mu.Lock()
	for ; w.seen < newest; w.seen++ {
		w.latencies = append(w.latencies, now.Sub(w.load.sent[w.seen+1]))
	}
	w.load.mu.Unlock()
	select {
	case w.moved <- struct{}{}:
	default:
	}
}

// until waits for a change.
func (w *watch) until(ctx context.Context, last int) error {
	for {
		w.mu.Lock()
		seen := w.seen
		w.mu.Unlock()
		if seen >= last {
			return nil
		}
		select {
		case <-w.moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
