package projector_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// TestNewVersion: the new read model is built beside the old one, which readers see until the new one is complete.
func TestNewVersion(t *testing.T) {
	r := newRig(t)
	var csn eventstore.CSN
	for i := range 20 {
		csn = r.commit(projectortest.Put("shop.orders", order{i, fmt.Sprint("c", i), 1}))
	}
	runner, stop := r.run(projector.Config{Projectors: []projector.Projector{customers()}})
	r.waitFor(runner, "customers", csn)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	next := customers()
	next.Version = 2
	next.Sources[0] = projector.OnRow("shop.orders", func(o *order) []string { return []string{"all"} }, applyOrder)

	var mu sync.Mutex
	var seen []int
	var published []projector.PublishInfo
	sink := &sinkFunc{r.sink, func(context.Context, []projector.Write, []projector.Result) error {
		mu.Lock()
		defer mu.Unlock()
		n := 0
		for range r.sink.Each("customers") {
			n++
		}
		seen = append(seen, n)
		return nil
	}}
	runner, stop = r.run(projector.Config{Sinks: []projector.Sink{sink}, Projectors: []projector.Projector{next}, WindowTargets: 1,
		Hooks: projector.Hooks{OnPublish: func(p projector.PublishInfo) { published = append(published, p) }}})
	r.waitFor(runner, "customers", 1) // not before readers see it, whatever csn
	r.want("customers", map[string]string{"all": `{"orders":20,"cents":20}`})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for _, n := range seen {
		if n != 20 {
			t.Errorf("readers saw %d documents while the new version was built, want the 20 of the old one", n)
		}
	}
	if len(seen) < 20 {
		t.Errorf("%d requests, want one a transaction", len(seen))
	}
	if len(published) != 1 || published[0].Generation != 2 || published[0].CSN < csn {
		t.Errorf("published %+v, want generation 2 once, at csn %d", published, csn)
	}

	// The old definition does not take over a newer one's documents.
	runner, stop = r.run(projector.Config{Projectors: []projector.Projector{customers()}})
	_ = runner.WaitFor(t.Context(), "customers", 1<<40) // returns when the projector has stopped
	if err := stop(); !errors.Is(err, projector.ErrDefinition) {
		t.Errorf("the old version: got %v, want ErrDefinition", err)
	}
	r.want("customers", map[string]string{"all": `{"orders":20,"cents":20}`})
}

// TestOtherLog: documents of one log are not continued from another.
func TestOtherLog(t *testing.T) {
	r := newRig(t)
	r.commit(projectortest.Put("shop.orders", order{1, "ann", 1}))
	runner, stop := r.run(projector.Config{Projectors: []projector.Projector{customers()}})
	r.waitFor(runner, "customers", 1)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	other := newRig(t)
	other.sink = r.sink
	other.commit(projectortest.Put("shop.orders", order{1, "eve", 1}))
	runner, stop = other.run(projector.Config{Projectors: []projector.Projector{customers()}})
	_ = runner.WaitFor(t.Context(), "customers", 1) // returns when the projector has stopped
	if err := stop(); !errors.Is(err, eventstore.ErrLogMismatch) || !strings.Contains(err.Error(), "raise the projector's Version") {
		t.Errorf("got %v, want ErrLogMismatch", err)
	}
	other.want("customers", map[string]string{"ann": `{"orders":1,"cents":1}`})

	next := customers()
	next.Version = 2
	runner, stop = other.run(projector.Config{Projectors: []projector.Projector{next}})
	other.waitFor(runner, "customers", 1)
	other.want("customers", map[string]string{"eve": `{"orders":1,"cents":1}`})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// TestLostStore: documents that progress says are written, and that are gone, are not passed over.
func TestLostStore(t *testing.T) {
	r := newRig(t)
	r.commit(projectortest.Put("shop.orders", order{1, "ann", 1}))
	runner, stop := r.run(projector.Config{Projectors: []projector.Projector{customers()}})
	r.waitFor(runner, "customers", 1)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	r.sink.Drop(projector.MemoryTarget("customers"), 1)
	runner, stop = r.run(projector.Config{Projectors: []projector.Projector{customers()}})
	waitHalted(t, runner, stop, `target "customers": documents are written up to csn 1, but the store of generation 1 cannot be read`)
}

// TestVersionAboveTheLog: a stored document newer than the log's end would have every write refused in silence.
func TestVersionAboveTheLog(t *testing.T) {
	r := newRig(t)
	r.commit(projectortest.Put("shop.orders", order{1, "ann", 1}))
	target := projector.MemoryTarget("customers")
	if err := r.sink.Prepare(t.Context(), target, 1); err != nil {
		t.Fatal(err)
	}
	v, _ := projector.NewVersion(1, 1000)
	if err := r.sink.Apply(t.Context(), target, 1, []projector.Write{{ID: "ann", Version: v, Body: []byte("{}")}}, make([]projector.Result, 1)); err != nil {
		t.Fatal(err)
	}
	runner, stop := r.run(projector.Config{Projectors: []projector.Projector{customers()}})
	waitHalted(t, runner, stop, `document "ann" at csn 1: stored at generation 1 csn 1000: the sink holds a version that lies above the log's end`)
}
