package projector_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// Each test here is a counterexample that has once made a wrong document, by its number in the rules of projectors (docs/projectors.md).

type (
	rowA struct {
		ID    int `json:"id"`
		Owner int `json:"owner"`
		N     int `json:"n"`
	}
	docA struct {
		N   int
		Sum int
	}
)

var (
	ownersA = projector.NewTable("shop.owner", func(r *rowA) int { return r.ID })
	thingsA = projector.NewTable("shop.thing", func(r *rowA) int { return r.ID })
	thingOf = projector.HasMany(ownersA, thingsA, func(r *rowA) int { return r.Owner })
)

// sums is a Join of owners with the sum of their things.
func sums() projector.Join[rowA, int, docA] {
	return projector.Join[rowA, int, docA]{Name: "sums", Version: 1, Target: projector.MemoryTarget("sums"), Root: ownersA,
		Reads: []projector.Readable{thingOf},
		Build: func(v *projector.View, o *rowA) (*docA, error) {
			d := &docA{N: o.N}
			for t := range thingOf.Of(v, o) {
				d.Sum += t.N
			}
			return d, nil
		}}
}

func owner(id, n int) projectortest.Change {
	return projectortest.Put("shop.owner", rowA{ID: id, N: n})
}
func thing(id, owner, n int) projectortest.Change {
	return projectortest.Put("shop.thing", rowA{id, owner, n})
}

// together adds transactions that readers see with the next watermark: they are one window.
func (r *rig) together(transactions ...[]projectortest.Change) eventstore.CSN {
	r.Helper()
	for _, changes := range transactions {
		if err := r.feed.Append(r.Context(), changes...); err != nil {
			r.Fatal(err)
		}
	}
	if err := r.feed.Watermark(r.Context()); err != nil {
		r.Fatal(err)
	}
	return r.feed.CSN()
}

func one(changes ...projectortest.Change) []projectortest.Change { return changes }

// TestJoinSuppression (C1): a document whose bytes are what the sink has is left out only if one transaction made them. With more, a paused process may have
// written a state between them, or write it yet, and nothing but a newer version keeps that out.
func TestJoinSuppression(t *testing.T) {
	r := newRig(t)
	runner, stop := r.run(projector.Config{Projectors: []projector.Projector{sums()}})
	version := func(id string) eventstore.CSN {
		d, _, err := r.sink.Get(t.Context(), projector.MemoryTarget("sums"), 1, id)
		if err != nil {
			t.Fatal(err)
		}
		return d.Version.CSN()
	}
	// late is a process that wakes up with a document of a state that was there for a while.
	late := func(id string, csn eventstore.CSN) {
		v, err := projector.NewVersion(1, csn)
		if err != nil {
			t.Fatal(err)
		}
		results := make([]projector.Result, 1)
		if err := r.sink.Apply(t.Context(), projector.MemoryTarget("sums"), 1, []projector.Write{{ID: id, Version: v, Body: []byte(`{"late":1}`)}}, results); err != nil {
			t.Fatal(err)
		}
		if results[0].Outcome != projector.Stale {
			t.Errorf("a late write of document %s at csn %d was taken", id, csn)
		}
	}
	r.waitFor(runner, "sums", r.together(one(owner(1, 1), thing(1, 1, 5), thing(2, 1, 7))))
	first := version("1")
	// One transaction that swaps two numbers: the same document.
	r.waitFor(runner, "sums", r.together(one(thing(1, 1, 7), thing(2, 1, 5))))
	if got := version("1"); got != first {
		t.Errorf("a document that a transaction left as it was has version %d, want %d still", got, first)
	}
	// There and back, in two transactions of one window.
	csn := r.together(one(thing(1, 1, 0)), one(thing(1, 1, 7)))
	r.waitFor(runner, "sums", csn)
	if got := version("1"); got != csn {
		t.Errorf("a document that was another for a while has version %d, want %d", got, csn)
	}
	late("1", csn-1)
	// Made and deleted in one window: the tombstone keeps a late writer out.
	csn = r.together(one(owner(2, 1)), one(projectortest.Del("shop.owner", rowA{ID: 2})))
	r.waitFor(runner, "sums", csn)
	if got := version("2"); got != csn {
		t.Errorf("a document that was there for a while has a tombstone of version %d, want %d", got, csn)
	}
	late("2", csn-1)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// TestJoinForeignState (C3, C19): a local state of another log, of another definition, or one ahead of the log, is not used.
func TestJoinForeignState(t *testing.T) {
	states := projector.NewMemoryStates()
	before := newRig(t)
	runner, stop := before.run(projector.Config{Projectors: []projector.Projector{sums()}, States: states})
	before.together(one(owner(1, 1), owner(9, 9), thing(9, 1, 9)), one(), one(), one(owner(1, 2)))
	before.waitFor(runner, "sums", 4)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	t.Run("log", func(t *testing.T) {
		r := newRig(t) // the sink is new, too: the same generation and csn
		r.together(one(owner(1, 3)), one(thing(1, 1, 1)), one(), one(), one())
		runner, stop := r.run(projector.Config{Projectors: []projector.Projector{sums()}, States: states})
		r.waitFor(runner, "sums", 5)
		r.want("sums", map[string]string{"1": `{"N":3,"Sum":1}`})
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("tables", func(t *testing.T) {
		r := newRig(t)
		runner, stop := r.run(projector.Config{Projectors: []projector.Projector{sums()}, States: states})
		r.together(one(projectortest.Put("shop.owner", map[string]any{"id": 1, "owner": 0, "n": 3, "extra": "e"})))
		r.waitFor(runner, "sums", 1)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		// The same Version, but a field more: rows that were kept without it are of no use. The document is written with the next change.
		type wide struct {
			ID    int    `json:"id"`
			Extra string `json:"extra"`
		}
		owners := projector.NewTable("shop.owner", func(r *wide) int { return r.ID })
		things := projector.NewTable("shop.thing", func(r *rowA) int { return r.ID })
		of := projector.HasMany(owners, things, func(r *rowA) int { return r.Owner })
		runner, stop = r.run(projector.Config{States: states, Projectors: []projector.Projector{projector.Join[wide, int, wide]{Name: "sums", Version: 1,
			Target: projector.MemoryTarget("sums"), Root: owners, Reads: []projector.Readable{of},
			Build: func(v *projector.View, o *wide) (*wide, error) {
				for range of.Of(v, o) {
					return &wide{o.ID, o.Extra + "!"}, nil
				}
				return o, nil
			}}}})
		r.waitFor(runner, "sums", r.commit(thing(1, 1, 1)))
		r.want("sums", map[string]string{"1": `{"id":1,"extra":"e!"}`})
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestJoinDefinitionChanged (C7): code that makes other documents of the same rows is found at the start.
func TestJoinDefinitionChanged(t *testing.T) {
	r, states := newRig(t), projector.NewMemoryStates()
	runner, stop := r.run(projector.Config{Projectors: []projector.Projector{sums()}, States: states})
	for i := range 300 {
		r.together(one(owner(i+1, i)))
	}
	r.waitFor(runner, "sums", 300)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	changed := sums()
	changed.Build = func(v *projector.View, o *rowA) (*docA, error) { return &docA{N: o.N + 1}, nil }
	runner, stop = r.run(projector.Config{Projectors: []projector.Projector{changed}, States: states})
	if err := runner.WaitFor(t.Context(), "sums", 300); !errors.Is(err, projector.ErrDefinitionChanged) {
		t.Errorf("waiting: got %v, want ErrDefinitionChanged", err)
	}
	if err := stop(); !errors.Is(err, projector.ErrDefinitionChanged) {
		t.Errorf("got %v, want ErrDefinitionChanged", err)
	}
	runner, stop = r.run(projector.Config{Projectors: []projector.Projector{sums()}, States: states})
	r.waitFor(runner, "sums", r.commit())
	if err := stop(); err != nil {
		t.Error(err)
	}
	// A part whose code has changed: its pieces are those of the code before.
	parts := func(add int) projector.Projector {
		part := projector.NewPart(thingsA, func(_ *projector.View, t *rowA) (*int, error) { n := t.N + add; return &n, nil })
		return projector.Join[rowA, int, struct{ Things projector.List[int] }]{Name: "parts", Version: 1, Target: projector.MemoryTarget("parts"), Root: ownersA,
			Reads: []projector.Readable{thingOf, part},
			Build: func(v *projector.View, o *rowA) (*struct{ Things projector.List[int] }, error) {
				return &struct{ Things projector.List[int] }{part.All(v, thingOf.Below(o))}, nil
			}}
	}
	var things []projectortest.Change
	for i := range 300 {
		things = append(things, thing(i+1, i+1, i))
	}
	r.commit(things...)
	for _, add := range []int{0, 0, 1} {
		runner, stop = r.run(projector.Config{Projectors: []projector.Projector{parts(add)}, States: states})
		waited := runner.WaitFor(t.Context(), "parts", r.commit())
		if err := stop(); add > 0 != errors.Is(err, projector.ErrDefinitionChanged) || add > 0 != (waited != nil) {
			t.Errorf("a part that adds %d: got %v, waiting %v", add, err, waited)
		}
	}
}

// noted notes the versions of the writes that a sink gets.
type noted struct {
	projector.Sink
	mu     sync.Mutex
	writes map[string][]eventstore.CSN
	// lose: from this csn on, what is written is acknowledged and gone, and no progress is recorded.
	lose eventstore.CSN
}

func (n *noted) Apply(ctx context.Context, t projector.Target, generation uint64, writes []projector.Write, results []projector.Result) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.writes == nil {
		n.writes = map[string][]eventstore.CSN{}
	}
	for i, w := range writes {
		n.writes[w.ID] = append(n.writes[w.ID], w.Version.CSN())
		if n.lose > 0 && w.Version.CSN() >= n.lose {
			results[i] = projector.Result{Outcome: projector.Applied, Stored: w.Version}
		} else if err := n.Sink.Apply(ctx, t, generation, writes[i:i+1], results[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (n *noted) SaveProgress(ctx context.Context, name string, p projector.Progress) error {
	if n.lose > 0 && p.CSN >= n.lose {
		return nil
	}
	return n.Sink.SaveProgress(ctx, name, p)
}

// TestJoinReplay (C15): a replay writes each document once, as it is at the log's head: no state below it is one that a compacted log can give.
func TestJoinReplay(t *testing.T) {
	r := newRig(t)
	for i := range 50 {
		r.commit(owner(i%5+1, i), thing(i%7+1, i%5+1, i))
	}
	sink := &noted{Sink: r.sink}
	runner, stop := r.run(projector.Config{Projectors: []projector.Projector{sums()}, Sinks: []projector.Sink{sink}, WindowTargets: 1})
	r.waitFor(runner, "sums", 50)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for id := range 5 {
		if got := sink.writes[fmt.Sprint(id+1)]; len(got) != 1 || got[0] != 50 {
			t.Errorf("document %d was written at %d, want at 50 only", id+1, got)
		}
	}
}

// TestJoinSinkLost (C19, the state is ahead): what the sink had acknowledged and has lost (a restored backup) is written again, whatever the state knows of its
// bytes, and nothing else is.
func TestJoinSinkLost(t *testing.T) {
	r, states := newRig(t), projector.NewMemoryStates()
	sink := &noted{Sink: r.sink, lose: 3}
	runner, stop := r.run(projector.Config{Projectors: []projector.Projector{sums()}, Sinks: []projector.Sink{sink}, States: states})
	r.waitFor(runner, "sums", r.commit(owner(1, 1), owner(2, 2), owner(3, 3)))
	r.waitFor(runner, "sums", r.commit(owner(4, 4)))
	r.waitFor(runner, "sums", r.commit(owner(2, 20)))
	r.waitFor(runner, "sums", r.commit(projectortest.Del("shop.owner", rowA{ID: 3})))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	r.want("sums", map[string]string{"1": `{"N":1,"Sum":0}`, "2": `{"N":2,"Sum":0}`, "3": `{"N":3,"Sum":0}`, "4": `{"N":4,"Sum":0}`})
	again := &noted{Sink: r.sink}
	runner, stop = r.run(projector.Config{Projectors: []projector.Projector{sums()}, Sinks: []projector.Sink{again}, States: states})
	r.waitFor(runner, "sums", 4)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	r.want("sums", map[string]string{"1": `{"N":1,"Sum":0}`, "2": `{"N":20,"Sum":0}`, "4": `{"N":4,"Sum":0}`})
	if len(again.writes) != 2 || again.writes["2"] == nil || again.writes["3"] == nil {
		t.Errorf("written again: %v, want 2 and 3", again.writes)
	}
}

// TestJoinSpread (C17): documents of a change that concerns very many are written in turn, others do not wait, progress does; and a process that
// takes over in the middle, with the local state or without, leaves none of them out.
func TestJoinSpread(t *testing.T) {
	const many = 300
	type docC struct{ City string }
	cities := projector.NewTable("shop.city", func(r *rowA) int { return r.ID })
	people := projector.NewTable("shop.person", func(r *rowA) int { return r.ID })
	cityOf := projector.BelongsTo(people, cities, func(r *rowA) int { return r.Owner })
	join := projector.Join[rowA, int, docC]{Name: "people", Version: 1, Target: projector.MemoryTarget("people"), Root: people,
		Reads: []projector.Readable{cityOf}, SpreadAbove: 10,
		Build: func(v *projector.View, p *rowA) (*docC, error) {
			c, _ := cityOf.Of(v, p)
			if c == nil {
				c = &rowA{}
			}
			return &docC{fmt.Sprint(c.N, "/", p.N)}, nil
		}}
	for _, lost := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			r, states := newRig(t), projector.NewMemoryStates()
			people := []projectortest.Change{projectortest.Put("shop.city", rowA{ID: 1, N: 1})}
			for i := range many {
				people = append(people, projectortest.Put("shop.person", rowA{i + 1, 1, 0}))
			}
			r.commit(people...)
			gate := &gate{Sink: r.sink, at: make(chan []string), pass: make(chan error)}
			config := projector.Config{Projectors: []projector.Projector{join}, States: states, BatchDocuments: 50, Window: time.Millisecond,
				Sinks: []projector.Sink{gate}}
			runner, stop := r.run(config)
			for range many / 50 {
				<-gate.at
				gate.pass <- nil
			}
			r.waitFor(runner, "people", 1)
			fan := r.commit(projectortest.Put("shop.city", rowA{ID: 1, N: 2}))
			first := <-gate.at // the first fifty are on their way
			if s := runner.Status()[0]; s.Spread == 0 && s.CSN >= fan {
				t.Errorf("status while documents are spread: %+v", s)
			}
			single := r.commit(projectortest.Put("shop.person", rowA{many, 1, 7}))
			synctest.Wait() // the cut is there
			gate.pass <- nil
			var before int
			for ids := range gate.at {
				if len(ids) == 1 && ids[0] == fmt.Sprint(many) {
					break
				}
				if before++; before > 1 {
					t.Errorf("%d requests went before the one document", before)
				}
				gate.pass <- nil
			}
			gate.pass <- nil
			<-gate.at
			if p, _, _ := r.sink.Progress(t.Context(), "people"); p.CSN >= fan {
				t.Errorf("progress is %d, and documents of %d are not written", p.CSN, fan)
			}
			if s := runner.Status()[0]; s.Spread == 0 || s.CSN >= fan {
				t.Errorf("status while documents are spread: %+v", s)
			}
			gate.pass <- projectortest.ErrDied
			if err := stop(); !errors.Is(err, projectortest.ErrDied) {
				t.Errorf("got %v, want the injected death", err)
			}
			config.Sinks, config.States = []projector.Sink{r.sink}, states
			if lost {
				config.States = nil
			}
			runner, stop = r.run(config)
			r.waitFor(runner, "people", single)
			want := map[string]string{}
			for i := range many {
				want[fmt.Sprint(i+1)] = `{"City":"2/0"}`
			}
			want[fmt.Sprint(many)] = `{"City":"2/7"}`
			r.want("people", want)
			if s := runner.Status()[0]; s.Spread != 0 || s.Pending != 0 {
				t.Errorf("status when all are written: %+v", s)
			}
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			if len(first) != 50 {
				t.Errorf("the first request had %d documents, want 50", len(first))
			}
		})
	}
}

// gate is a sink that stops at each request, says what is in it, and goes on when it is told to.
type gate struct {
	projector.Sink
	at   chan []string
	pass chan error
}

func (g *gate) Apply(ctx context.Context, t projector.Target, generation uint64, writes []projector.Write, results []projector.Result) error {
	var ids []string
	for _, w := range writes {
		ids = append(ids, w.ID)
	}
	g.at <- ids
	if err := <-g.pass; err != nil {
		return err
	}
	time.Sleep(time.Millisecond) // as long as a window
	return g.Sink.Apply(ctx, t, generation, writes, results)
}
