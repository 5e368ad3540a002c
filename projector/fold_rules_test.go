package projector_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// lagging is a sink whose reads show an older state of each document, as a copy that lags does.
type lagging struct {
	projector.Sink
	reads int
}

func (l *lagging) Get(ctx context.Context, t projector.Target, generation uint64, id string) (projector.Document, bool, error) {
	if d, found, err := l.Sink.Get(ctx, t, generation, id); err != nil || !found {
		return d, found, err
	}
	if id != "any" { // the look whether there is a store
		l.reads++
	}
	v, err := projector.NewVersion(generation, 1)
	return projector.Document{ID: id, Version: v, Body: []byte(`{"orders":1,"cents":1}`)}, true, err
}

// TestFoldBase (C4): what a document was before a change comes from the log, never from the sink, whose answers may be old.
func TestFoldBase(t *testing.T) {
	r := newRig(t)
	for i := range 5 {
		r.commit(projectortest.Put("shop.orders", order{i, "ann", 1}))
	}
	for want := 5; want < 8; want++ {
		sink := &lagging{Sink: r.sink}
		runner, stop := r.run(projector.Config{Sinks: []projector.Sink{sink}, Projectors: []projector.Projector{customers()}})
		r.waitFor(runner, "customers", r.commit(projectortest.Put("shop.orders", order{want, "ann", 1})))
		r.want("customers", map[string]string{"ann": text(customerDoc{want + 1, want + 1})})
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if sink.reads > 0 {
			t.Errorf("the sink was asked for %d documents", sink.reads)
		}
	}
}

// TestFoldReadRows (C6): rows that a snapshot reads, once or again, beside their changes, count once.
func TestFoldReadRows(t *testing.T) {
	projectortest.Of(t, customers()).
		Given(projectortest.Put("shop.orders", order{1, "ann", 10})).
		Given(projectortest.Read("shop.orders", order{1, "ann", 10}), projectortest.Read("shop.orders", order{2, "ann", 1})).
		When(projectortest.Read("shop.orders", order{1, "ann", 15})). // its update comes behind the chunk
		Then("ann", customerDoc{2, 16}).
		When(projectortest.Put("shop.orders", order{1, "bob", 15}), projectortest.Read("shop.orders", order{1, "bob", 15})).
		Then("ann", customerDoc{1, 1}).Then("bob", customerDoc{1, 15}).
		When(projectortest.Del("shop.orders", order{ID: 1})).
		Then("ann", customerDoc{1, 1}).ThenNone("bob")
}

// TestFoldTorn (C5): while reading has broken off inside a transaction, nothing of it is written, however long that takes.
func TestFoldTorn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		log, mend := brokenAt(r.log, 3)
		runner, stop := r.run(projector.Config{Log: log, Projectors: []projector.Projector{customers()}})
		r.waitIdle()
		r.commit(projectortest.Put("shop.orders", order{1, "ann", 5}))
		csn := r.commit(projectortest.Put("shop.orders", order{1, "ann", 2}), projectortest.Put("shop.orders", order{2, "ann", 3}))
		time.Sleep(time.Hour)
		r.waitIdle()
		if d, found := r.sink.Find("customers", "ann"); found && string(d.Body) != `{"orders":1,"cents":5}` {
			t.Errorf("half of a transaction was written: %s", d.Body)
		}
		mend()
		r.waitFor(runner, "customers", csn)
		r.want("customers", map[string]string{"ann": `{"orders":2,"cents":5}`})
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestFoldEventsOnce (C5): what was added for an event is not added again when the log has to be read again from within a transaction.
func TestFoldEventsOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for at := 1; at <= 6; at++ {
			r := newRig(t)
			log, mend := brokenAt(r.log, at)
			runner, stop := r.run(projector.Config{Log: log, Projectors: []projector.Projector{revenue()}})
			paid := func(customer string, cents int) projectortest.Change {
				return projectortest.Emit("payments", customer, payment{"paid", customer, cents})
			}
			r.commit(paid("ann", 1), paid("bob", 2), paid("ann", 4))
			csn := r.commit(paid("ann", 8), paid("ann", 16), paid("bob", 32))
			r.waitIdle()
			mend()
			r.waitFor(runner, "revenue", csn)
			r.want("revenue", map[string]string{"ann": `{"cents":29}`, "bob": `{"cents":34}`, "all": `{"cents":63}`})
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// brokenAt is a log whose connection breaks at a record, counted from its first on, and stays broken until it is mended.
func brokenAt(log eventstore.Log, at int) (broken eventstore.Log, mend func()) {
	var records atomic.Int64
	var mended atomic.Bool
	return projectortest.NewFaultyLog(log, func(what string) projectortest.Fate {
		if what == "Record" && records.Add(1) >= int64(at) && !mended.Load() {
			return projectortest.Lose
		}
		return projectortest.Pass
	}), func() { mended.Store(true) }
}
