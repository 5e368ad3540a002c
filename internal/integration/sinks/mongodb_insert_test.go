package sinks

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/mongodb"
)

// commands counts what a sink sends.
type commands struct {
	mu    sync.Mutex
	names map[string]int
}

func (c *commands) watch(cfg *mongodb.Config) {
	c.names = map[string]int{}
	cfg.Options = func(o *options.ClientOptions) {
		o.SetMonitor(&event.CommandMonitor{Started: func(_ context.Context, e *event.CommandStartedEvent) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.names[e.CommandName]++
		}})
	}
}

// take returns how many updates and inserts there were since the last time.
func (c *commands) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := fmt.Sprintf("%d updates %d inserts", c.names["update"], c.names["insert"])
	clear(c.names)
	return text
}

// TestMongoDBInserts: documents of an initial build are inserted, and whatever an insert meets, the outcome and the store are those of updates.
func TestMongoDBInserts(t *testing.T) {
	sent := &commands{}
	e := newMongo(t, sent.watch)
	target := mongodb.Collection(uniqueName(), mongodb.Indexes(`[{"key": {"sku": 1}, "name": "sku", "unique": true, "sparse": true}]`))
	if err := e.sink.Prepare(t.Context(), target, 1); err != nil {
		t.Fatal(err)
	}
	const n = 200
	batch := func(first int, version projector.Version) []projector.Write {
		writes := make([]projector.Write, n)
		for i := range writes {
			writes[i] = projector.Write{ID: fmt.Sprint("d", first+i), Version: version, Body: fmt.Appendf(nil, `{"n":%d,"$a.b":{"c":[]}}`, version)}
		}
		return writes
	}
	apply := func(what, want string, writes []projector.Write, outcome func(i int) projector.Result) {
		t.Helper()
		sent.take()
		results := make([]projector.Result, len(writes))
		if err := e.sink.Apply(t.Context(), target, 1, writes, results); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := sent.take(); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
		for i, r := range results {
			if want := outcome(i); r.Outcome != want.Outcome || r.Stored != want.Stored {
				t.Fatalf("%s: document %s: %+v, want %+v", what, writes[i].ID, r, want)
			}
		}
	}
	applied := func(v projector.Version) func(int) projector.Result {
		return func(int) projector.Result { return projector.Result{Outcome: projector.Applied, Stored: v} }
	}
	apply("first batch", "1 updates 0 inserts", batch(0, 5), applied(5))
	apply("second batch", "0 updates 1 inserts", batch(n, 5), applied(5))
	apply("few", "1 updates 0 inserts", batch(2*n, 5)[:3], applied(5))
	apply("again", "1 updates 0 inserts", batch(3*n, 5), applied(5))

	// Half of them new, the others with a version above, the same, and below.
	mixed := batch(4*n-n/2, 6)
	for i := range 30 {
		mixed[i].Version, mixed[i].Body = 4, []byte(`{"n":4}`)
		mixed[30+i].Version, mixed[30+i].Body = 5, []byte(`{"n":"what is stored stays"}`)
	}
	apply("mixed", "1 updates 1 inserts", mixed, func(i int) projector.Result {
		switch {
		case i < 30:
			return projector.Result{Outcome: projector.Stale, Stored: 5}
		case i < 60:
			return projector.Result{Outcome: projector.Applied, Stored: 5}
		}
		return projector.Result{Outcome: projector.Applied, Stored: 6}
	})
	for i, w := range mixed {
		want := w
		if i < 60 {
			want.Version, want.Body = 5, []byte(`{"n":5,"$a.b":{"c":[]}}`)
		}
		d, found, err := e.sink.Get(t.Context(), target, 1, w.ID)
		if err != nil || !found || d.Version != want.Version || string(d.Body) != string(want.Body) {
			t.Fatalf("stored is %v %d %s %v, want %d %s", found, d.Version, d.Body, err, want.Version, want.Body)
		}
	}

	apply("after the mixed ones", "1 updates 0 inserts", batch(5*n, 5), applied(5))
	apply("new again", "0 updates 1 inserts", batch(6*n, 5), applied(5))
	clash := batch(7*n, 5)
	clash[7].Body, clash[8].Body = []byte(`{"sku":"one"}`), []byte(`{"sku":"one"}`)
	results := make([]projector.Result, n)
	if err := e.sink.Apply(t.Context(), target, 1, clash, results); err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if want := projector.Applied; i == 8 && r.Outcome != projector.Refused || i != 8 && r.Outcome != want {
			t.Errorf("document %d: %+v", i, r)
		}
	}
	wantError(t, results[8].Err, false, `"d1408"`, "unique index", "sku")

	// A tombstone's time is the server's: updates.
	apply("refill", "1 updates 0 inserts", batch(8*n, 5), applied(5))
	deletes := batch(9*n, 5)
	deletes[3].Body = nil
	apply("with a delete", "1 updates 0 inserts", deletes, applied(5))

	// A dropped collection is not made by an insert.
	if err := e.db.Collection(target.Name + "__g1").Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	sent.take()
	err := e.sink.Apply(t.Context(), target, 1, batch(10*n, 5), results)
	if err == nil || errors.Is(err, projector.ErrUnavailable) {
		t.Errorf("writing to a dropped collection: %v, want an error that does not pass", err)
	}
	if got := sent.take(); got != "0 updates 1 inserts" {
		t.Errorf("writing to a dropped collection: %s, want one insert", got)
	}
	names, err := e.db.ListCollectionNames(t.Context(), map[string]any{"name": target.Name + "__g1"})
	if err != nil || len(names) != 0 {
		t.Errorf("the dropped collection is back: %v %v", names, err)
	}
}
