package projector_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// payment is an event of the tests.
type payment struct {
	Type     string `json:"type"`
	Customer string `json:"customer"`
	Cents    int    `json:"cents"`
}

// decodePayment takes payments of some types.
func decodePayment(types ...string) projector.EventDecoder[payment] {
	return func(rec *eventstore.Record) (p payment, ok bool, err error) {
		if err := json.Unmarshal(rec.Value, &p); err != nil {
			return p, false, err
		}
		for _, t := range types {
			ok = ok || p.Type == t
		}
		return p, ok, nil
	}
}

type revenueDoc struct {
	Name  string `json:"name,omitempty"`
	Cents int    `json:"cents"`
}

// revenue is a Fold of several sources: payments count for their customer and for all, a closed account ends its customer's document, and customers
// have names in a table.
func revenue() projector.Fold[revenueDoc] {
	type person struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	return projector.Fold[revenueDoc]{Name: "revenue", Version: 1, Target: projector.MemoryTarget("revenue"), Sources: []projector.Source[revenueDoc]{
		projector.OnEvent("payments", decodePayment("paid"), func(_ projector.Meta, p payment) []string { return []string{p.Customer, "all", p.Customer} },
			func(d *projector.Doc[revenueDoc], _ projector.Meta, p payment) error {
				d.Data.Cents += p.Cents
				return nil
			}),
		projector.OnEvent("payments", decodePayment("closed"), func(m projector.Meta, _ payment) []string { return []string{string(m.Key)} },
			func(d *projector.Doc[revenueDoc], _ projector.Meta, _ payment) error {
				d.Delete()
				return nil
			}),
		projector.OnRow("shop.person", func(p *person) []string { return []string{p.ID} },
			func(d *projector.Doc[revenueDoc], _, now *person) error {
				if d.Data.Name = ""; now != nil {
					d.Data.Name = now.Name
				}
				if now == nil && d.Data.Cents == 0 {
					d.Delete()
				}
				return nil
			}),
	}}
}

// TestFoldEvents: rows and events in one document, many documents an event, deletes; the same however it is read.
func TestFoldEvents(t *testing.T) {
	emit := func(kind, customer string, cents int) projectortest.Change {
		return projectortest.Emit("payments", customer, payment{kind, customer, cents})
	}
	person := func(id, name string) projectortest.Change {
		return projectortest.Put("shop.person", map[string]string{"id": id, "name": name})
	}
	projectortest.Of(t, revenue()).
		Given(emit("paid", "ann", 5), person("ann", "Ann")).
		Given(emit("paid", "ann", 5), emit("refused", "ann", 100)).
		When(emit("paid", "bob", 7)).
		Then("ann", revenueDoc{"Ann", 10}).Then("bob", revenueDoc{"", 7}).Then("all", revenueDoc{"", 17}).
		ThenWrote("all", "bob").
		When(emit("closed", "ann", 0)).
		ThenNone("ann").Then("all", revenueDoc{"", 17}).
		When(emit("paid", "ann", 1), person("ann", "Ann B.")).
		Then("ann", revenueDoc{"Ann B.", 1}).Then("all", revenueDoc{"", 18})
}

// TestEventHalts: what is wrong with events is said.
func TestEventHalts(t *testing.T) {
	fold := func(sources ...projector.Source[revenueDoc]) projector.Projector {
		return projector.Fold[revenueDoc]{Name: "customers", Version: 1, Target: projector.MemoryTarget("r"), Sources: sources}
	}
	ids := func(_ projector.Meta, p payment) []string { return []string{p.Customer} }
	apply := func(*projector.Doc[revenueDoc], projector.Meta, payment) error { return errors.New("boom") }
	for _, c := range []struct {
		name string
		p    projector.Projector
		want string
	}{
		{"decoder", fold(projector.OnEvent("payments", func(*eventstore.Record) (payment, bool, error) { panic("boom") }, ids, apply)), "event of topic payments at csn 1 index 4: panic: boom"},
		{"ids", fold(projector.OnEvent("payments", decodePayment("paid"), func(projector.Meta, payment) []string { panic("boom") }, apply)), "event of topic payments at csn 1 index 4: panic: boom"},
		{"handler", fold(projector.OnEvent("payments", decodePayment("paid"), ids, apply)), `document "ann" at csn 1, event of topic payments: boom`},
		{"query", projector.Query{Name: "customers", Version: 1, Target: projector.MemoryTarget("r"), Database: newTreeDB(1), Load: noLoad,
			Tables: []projector.QueryTable{projector.OnTopic("payments", decodePayment("paid"), func(projector.Meta, payment) []string { return []string{""} })}},
			"event of topic payments at csn 1 index 4: document id is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			runner, stop := r.run(projector.Config{Projectors: []projector.Projector{c.p}})
			r.commit(projectortest.Emit("payments", "ann", payment{"paid", "ann", 5}))
			waitHalted(t, runner, stop, c.want)
		})
	}
	_, err := projector.NewRunner(projector.Config{Log: eventstore.NewMemoryLog(), Sinks: []projector.Sink{projector.NewMemorySink()}, Projectors: []projector.Projector{
		fold(projector.OnEvent[payment]("", nil, ids, apply), projector.OnEvent("a", nil, ids, apply), projector.OnEvent("b", decodePayment(), nil, apply),
			projector.OnEvent("shop.orders", decodePayment(), ids, apply), projector.OnRow("shop.orders", func(*order) []string { return nil }, func(*projector.Doc[revenueDoc], *order, *order) error { return nil })),
		projector.Query{Name: "q", Version: 1, Target: projector.MemoryTarget("q"), LoadsPerSecond: -1, Tables: []projector.QueryTable{projector.OnTopic[payment]("c", decodePayment(), nil)}}}})
	for _, want := range []string{`topic "" is none of events`, "events of topic a: decode is nil", "events of topic b: ids or apply is nil", "events of topic c: ids is nil",
		"topic shop.orders has the rows of table shop.orders, it is none of events", "LoadsPerSecond is -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestQueryEvents: an event says which documents are loaded.
func TestQueryEvents(t *testing.T) {
	r, db := newRig(t), newTreeDB(1)
	db.states = append(db.states, db.states[0], db.states[0])
	query := projector.Query{Name: "names", Version: 1, Target: projector.MemoryTarget("names"), Database: db,
		Tables: []projector.QueryTable{projector.OnTopic("payments", decodePayment("paid"), func(_ projector.Meta, p payment) []string { return []string{p.Customer, "all"} })},
		Load: func(_ context.Context, _ *sql.Tx, ids []string) (map[string]any, error) {
			docs := map[string]any{}
			for _, id := range ids {
				docs[id] = map[string]int{"asked": len(ids)}
			}
			return docs, nil
		}}
	runner, stop := r.run(projector.Config{Projectors: []projector.Projector{query}})
	r.waitFor(runner, "names", r.commit(projectortest.Emit("payments", "x", payment{"refused", "eve", 1}), projectortest.Emit("payments", "x", payment{"paid", "ann", 1})))
	r.want("names", map[string]string{"ann": `{"asked":2}`, "all": `{"asked":2}`})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// TestQueryBudget: the database is asked as often as it is allowed to be, in batches; what comes meanwhile is loaded once. Retries count.
func TestQueryBudget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, db := newRig(t), newTreeDB(1)
		var asked []time.Time
		db.fail = func() error {
			if asked = append(asked, time.Now()); len(asked)%3 == 0 {
				return fmt.Errorf("busy: %w", projector.ErrUnavailable)
			}
			return nil
		}
		loads := map[string]int{}
		query := homes(db)
		query.LoadsPerSecond = 2
		query.Load = func(_ context.Context, _ *sql.Tx, ids []string) (map[string]any, error) {
			for _, id := range ids {
				loads[id]++
			}
			return nil, nil
		}
		runner, stop := r.run(projector.Config{Projectors: []projector.Projector{query}})
		for i := range 100 { // ten seconds, in which five catalogs change all the time, and their loads want to be twenty a second
			var changes []projectortest.Change
			for id := range 5 {
				changes = append(changes, projectortest.Put("shop.catalog", catalogRow{id + 1, fmt.Sprint(i)}))
			}
			db.mu.Lock()
			db.states = append(db.states, db.states[0])
			db.mu.Unlock()
			r.commit(changes...)
			time.Sleep(100 * time.Millisecond)
		}
		r.waitFor(runner, "home", r.feed.CSN())
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		for i := 1; i < len(asked); i++ {
			if d := asked[i].Sub(asked[i-1]); d < 500*time.Millisecond {
				t.Errorf("asked again after %v, want half a second", d)
			}
		}
		if n := len(asked); n < 18 || n > 26 {
			t.Errorf("asked %d times in about ten seconds", n)
		}
		for id, n := range loads {
			if n < 3 || n > 12 {
				t.Errorf("catalog %s was loaded %d times for 100 changes", id, n)
			}
		}
	})
}
