package projector_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// model is what the customers' documents should be at each csn, computed from the tables alone.
type model struct {
	orders  map[int]order
	history []map[string]string // by csn
}

func newModel() *model {
	return &model{orders: map[int]order{}, history: []map[string]string{{}}}
}

// recompute adds the documents of the tables as they are now as those of the next csn.
func (m *model) recompute() {
	docs := map[string]customerDoc{}
	for _, o := range m.orders {
		d := docs[o.Customer]
		d.Orders++
		d.Cents += o.Cents
		docs[o.Customer] = d
	}
	texts := map[string]string{}
	for id, d := range docs {
		body, _ := json.Marshal(d)
		texts[id] = string(body)
	}
	m.history = append(m.history, texts)
}

func (m *model) last() map[string]string { return m.history[len(m.history)-1] }

// transaction makes a random transaction of some rows: inserts, updates, moves, key changes, deletes.
func (m *model) transaction(r *rand.Rand) []projectortest.Change {
	var changes []projectortest.Change
	for range r.IntN(5) { // 0: a transaction of other tables
		o := order{ID: 1 + r.IntN(12), Customer: fmt.Sprint("c", r.IntN(6)), Cents: r.IntN(4)}
		old, exists := m.orders[o.ID]
		if r.IntN(60) == 0 { // the rows end, or are none already
			clear(m.orders)
			changes = append(changes, []projectortest.Change{projectortest.Execute(eventstore.SchemaTruncate, "shop.orders"),
				projectortest.Execute(eventstore.SchemaDrop, "shop.orders"), projectortest.Execute(eventstore.SchemaDrop, "shop."),
				projectortest.Execute(eventstore.SchemaCreate, "shop.orders")}[r.IntN(4)])
			continue
		}
		switch n := r.IntN(10); {
		case exists && n < 3:
			delete(m.orders, o.ID)
			changes = append(changes, projectortest.Del("shop.orders", old))
		case exists && n < 5:
			o.ID = 100 + r.IntN(12)
			if _, taken := m.orders[o.ID]; taken {
				continue
			}
			delete(m.orders, old.ID)
			m.orders[o.ID] = o
			changes = append(changes, projectortest.Rekey("shop.orders", old, o))
		default:
			m.orders[o.ID] = o
			changes = append(changes, projectortest.Put("shop.orders", o))
		}
	}
	m.recompute()
	return changes
}

// fill commits n random transactions, several of them in a cut now and then.
func (m *model) fill(t *testing.T, feed *projectortest.Feed, r *rand.Rand, n int) {
	t.Helper()
	for i := range n {
		err := feed.Append(t.Context(), m.transaction(r)...)
		if err == nil && (i == n-1 || r.IntN(3) == 0) {
			err = feed.Watermark(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// witness checks each write of a Fold on its way to the sink: the document must be what the log up to its version says.
type witness struct {
	projector.Sink
	t  *testing.T
	mu sync.Mutex
	m  *model

	writes int
}

func (w *witness) Apply(ctx context.Context, t projector.Target, generation uint64, writes []projector.Write, results []projector.Result) error {
	w.mu.Lock()
	for _, write := range writes {
		w.writes++
		if got, want := string(write.Body), w.m.history[write.Version.CSN()][write.ID]; got != want {
			w.t.Errorf("document %q written with csn %d: got %s, want %s", write.ID, write.Version.CSN(), got, want)
		}
	}
	w.mu.Unlock()
	return w.Sink.Apply(ctx, t, generation, writes, results)
}

// TestFoldDiesAnywhere ends the process at every call of the sink and at every record of the log in turn, starts it again, and
// compares the documents with those computed from the tables.
func TestFoldDiesAnywhere(t *testing.T) {
	for _, fate := range []projectortest.Fate{projectortest.Die, projectortest.DieHalf, projectortest.DieAfter} {
		t.Run(fmt.Sprint("sink-", fate), func(t *testing.T) {
			sweep(t, func(cfg *projector.Config, die func(string) projectortest.Fate) {
				cfg.Sinks = []projector.Sink{projectortest.NewFaultySink(cfg.Sinks[0], die)}
			}, fate)
		})
	}
	t.Run("log", func(t *testing.T) {
		sweep(t, func(cfg *projector.Config, die func(string) projectortest.Fate) {
			cfg.Log = projectortest.NewFaultyLog(cfg.Log, die)
		}, projectortest.Die)
	})
}

func sweep(t *testing.T, inject func(*projector.Config, func(string) projectortest.Fate), fate projectortest.Fate) {
	for n := 1; ; n++ {
		r, m := newRig(t), newModel()
		m.fill(t, r.feed, rand.New(rand.NewPCG(7, 7)), 60)
		config := func() projector.Config {
			return projector.Config{Log: r.log, Sinks: []projector.Sink{&witness{Sink: r.sink, t: t, m: m}},
				Projectors: []projector.Projector{customers()}, WindowTargets: 3, BatchDocuments: 2}
		}
		cfg, calls := config(), 0
		inject(&cfg, func(string) projectortest.Fate {
			if calls++; calls >= n {
				return fate
			}
			return projectortest.Pass
		})
		runner, stop := r.run(cfg)
		died := runner.WaitFor(t.Context(), "customers", 60) != nil
		stop()
		runner, stop = r.run(config())
		r.waitFor(runner, "customers", 60)
		if err := stop(); err != nil {
			t.Fatalf("after a death at call %d: %v", n, err)
		}
		if r.want("customers", m.last()); t.Failed() {
			t.Fatalf("after a death at call %d", n)
		}
		if !died {
			if n < 20 {
				t.Fatalf("only %d calls were seen", n)
			}
			return
		}
	}
}

// TestFoldUnderFaults lets everything fail now and then, and pass again, while the log grows and two processes run, one of them
// started anew again and again.
func TestFoldUnderFaults(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) { bubble(t, func(t *testing.T) { underFaults(t, seed) }) })
	}
}

func underFaults(t *testing.T, seed uint64) {
	r, m := newRig(t), newModel()
	rnd := rand.New(rand.NewPCG(seed, 1))
	seen := &witness{Sink: r.sink, t: t, m: m}
	config := func(seed uint64) projector.Config {
		var mu sync.Mutex
		rnd := rand.New(rand.NewPCG(seed, 2))
		fate := func(string) projectortest.Fate {
			mu.Lock()
			defer mu.Unlock()
			if rnd.IntN(4) > 0 {
				return projectortest.Pass
			}
			return projectortest.Fate(rnd.IntN(int(projectortest.RetryItems) + 1))
		}
		return projector.Config{
			Log:        projectortest.NewFaultyLog(r.log, func(what string) projectortest.Fate { return fate(what) }),
			Sinks:      []projector.Sink{projectortest.NewFaultySink(seen, fate)},
			Projectors: []projector.Projector{customers()}, WindowTargets: 1 + rnd.IntN(6), BatchDocuments: 1 + rnd.IntN(4),
		}
	}
	_, stopFirst := r.run(config(seed))
	for round := range uint64(6) {
		runner, stop := r.run(config(100*seed + round))
		for range 10 {
			seen.mu.Lock()
			err := r.feed.Append(t.Context(), m.transaction(rnd)...)
			seen.mu.Unlock()
			if err == nil && rnd.IntN(3) > 0 {
				err = r.feed.Watermark(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			pause(rnd)
		}
		if rnd.IntN(2) == 0 {
			if err := r.feed.Watermark(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.waitFor(runner, "customers", r.feed.CSN())
			r.want("customers", m.last())
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.feed.Watermark(t.Context()); err != nil {
		t.Fatal(err)
	}
	runner, stop := r.run(projector.Config{Projectors: []projector.Projector{customers()}})
	r.waitFor(runner, "customers", r.feed.CSN())
	for _, stop := range []func() error{stop, stopFirst} {
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	r.want("customers", m.last())
	if head := eventstore.CSN(len(m.history) - 1); head != r.feed.CSN() {
		t.Fatalf("the model is at csn %d, the log at %d", head, r.feed.CSN())
	}
}
