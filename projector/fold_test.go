package projector_test

import (
	"context"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// order is a row, customerDoc a document, of the tests: what a customer's orders are worth.
type order struct {
	ID       int    `json:"id"`
	Customer string `json:"customer"`
	Cents    int    `json:"cents"`
}

type customerDoc struct {
	Orders int `json:"orders"`
	Cents  int `json:"cents"`
}

func applyOrder(d *projector.Doc[customerDoc], old, now *order) error {
	if old != nil {
		d.Data.Orders--
		d.Data.Cents -= old.Cents
	}
	if now != nil {
		d.Data.Orders++
		d.Data.Cents += now.Cents
	}
	if d.Data.Orders == 0 {
		d.Delete()
	}
	return nil
}

func customers() projector.Fold[customerDoc] {
	return projector.Fold[customerDoc]{
		Name: "customers", Version: 1, Target: projector.MemoryTarget("customers"),
		Sources: []projector.Source[customerDoc]{
			projector.OnRow("shop.orders", func(o *order) []string { return []string{o.Customer} }, applyOrder),
		},
	}
}

// rig is a runner over a memory log and a memory sink.
type rig struct {
	testing.TB
	log  *eventstore.MemoryLog
	feed *projectortest.Feed
	sink *projector.MemorySink
}

func newRig(t testing.TB) *rig {
	log := eventstore.NewMemoryLog()
	feed, err := projectortest.NewFeed(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{TB: t, log: log, feed: feed, sink: projector.NewMemorySink()}
}

func (r *rig) commit(changes ...projectortest.Change) eventstore.CSN {
	r.Helper()
	csn, err := r.feed.Commit(r.Context(), changes...)
	if err != nil {
		r.Fatal(err)
	}
	return csn
}

// run starts a runner; stop ends it and returns what Run returned.
func (r *rig) run(cfg projector.Config) (runner *projector.Runner, stop func() error) {
	r.Helper()
	if cfg.Log == nil {
		cfg.Log = r.log
	}
	if cfg.Sinks == nil {
		cfg.Sinks = []projector.Sink{r.sink}
	}
	runner, err := projector.NewRunner(cfg)
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.Context())
	done := make(chan error, 1)
	go func() { done <- runner.Run(ctx) }()
	return runner, func() error { cancel(); return <-done }
}

func (r *rig) waitFor(runner *projector.Runner, name string, csn eventstore.CSN) {
	r.Helper()
	if err := runner.WaitFor(r.Context(), name, csn); err != nil {
		r.Fatal(err)
	}
}

// want checks the documents that readers see.
func (r *rig) want(target string, want map[string]string) {
	r.Helper()
	got := map[string]string{}
	for d := range r.sink.Each(target) {
		got[d.ID] = string(d.Body)
	}
	for id, body := range want {
		if got[id] != body {
			r.Errorf("document %q of %s: got %s, want %s", id, target, got[id], body)
		}
	}
	for id := range got {
		if _, ok := want[id]; !ok {
			r.Errorf("document %q of %s: got %s, want none", id, target, got[id])
		}
	}
}

func TestFold(t *testing.T) {
	r := newRig(t)
	runner, stop := r.run(projector.Config{Projectors: []projector.Projector{customers()}})
	r.commit(projectortest.Put("shop.orders", order{1, "ann", 100}), projectortest.Put("shop.orders", order{2, "ann", 50}))
	r.waitFor(runner, "customers", 1)
	r.want("customers", map[string]string{"ann": `{"orders":2,"cents":150}`})

	r.commit(projectortest.Put("shop.orders", order{2, "bob", 70})) // moves and changes
	r.waitFor(runner, "customers", 2)
	r.want("customers", map[string]string{"ann": `{"orders":1,"cents":100}`, "bob": `{"orders":1,"cents":70}`})

	r.commit(projectortest.Rekey("shop.orders", order{ID: 2}, order{3, "bob", 80}))
	r.commit(projectortest.Del("shop.orders", order{ID: 1}))
	if err := runner.WaitForGTID(t.Context(), "customers", projectortest.GTID(4)); err != nil {
		t.Fatal(err)
	}
	r.want("customers", map[string]string{"bob": `{"orders":1,"cents":80}`})
	d, found, err := r.sink.Get(t.Context(), projector.MemoryTarget("customers"), 1, "ann")
	if err != nil || !found || d.Body != nil || d.Version.CSN() != 4 {
		t.Errorf("ann: got %+v, %v, %v; want a tombstone of csn 4", d, found, err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	// A new process goes on where the first one stopped, and writes nothing that is written.
	var windows []projector.WindowInfo
	runner, stop = r.run(projector.Config{Projectors: []projector.Projector{customers()},
		Hooks: projector.Hooks{OnWindow: func(w projector.WindowInfo) { windows = append(windows, w) }}})
	r.commit(projectortest.Put("shop.orders", order{4, "bob", 1}))
	r.waitFor(runner, "customers", 5)
	r.want("customers", map[string]string{"bob": `{"orders":2,"cents":81}`})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if len(windows) != 1 || windows[0].Documents != 1 || windows[0].CSN != 5 {
		t.Errorf("windows after the restart: %+v, want one with one document at csn 5", windows)
	}
	if p, _, _ := r.sink.Progress(t.Context(), "customers"); p.CSN != 5 {
		t.Errorf("progress after the drain: %+v, want csn 5", p)
	}
}
