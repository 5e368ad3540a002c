package projector_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// townsfolk is a Join of people who show their city's number.
func townsfolk(spreadAbove int) projector.Join[rowA, int, docA] {
	cities := projector.NewTable("shop.city", func(r *rowA) int { return r.ID })
	people := projector.NewTable("shop.person", func(r *rowA) int { return r.ID })
	cityOf := projector.BelongsTo(people, cities, func(r *rowA) int { return r.Owner })
	return projector.Join[rowA, int, docA]{Name: "people", Version: 1, Target: projector.MemoryTarget("people"), Root: people,
		Reads: []projector.Readable{cityOf}, SpreadAbove: spreadAbove,
		Build: func(v *projector.View, p *rowA) (*docA, error) {
			d := &docA{N: p.N}
			if c, found := cityOf.Of(v, p); found {
				d.Sum = c.N
			}
			return d, nil
		}}
}

func city(n int) projectortest.Change { return projectortest.Put("shop.city", rowA{ID: 1, N: n}) }
func person(id, n int) projectortest.Change {
	return projectortest.Put("shop.person", rowA{id, 1, n})
}

// commitsSeen counts the commits of local states, and most bytes in a group. After the one that is told nothing works any more, as if the process had died.
type commitsSeen struct {
	*projector.MemoryStates
	commits, diesAfter atomic.Int64
	bytes, most        int
}

func (s *commitsSeen) Open(ctx context.Context, name string) (projector.LocalState, error) {
	state, err := s.MemoryStates.Open(ctx, name)
	return &commitSeen{state, s}, err
}

type commitSeen struct {
	projector.LocalState
	states *commitsSeen
}

func (s *commitSeen) dead() bool {
	at := s.states.diesAfter.Load()
	return at > 0 && s.states.commits.Load() >= at
}

func (s *commitSeen) Set(key, value []byte) error {
	if s.dead() {
		return projectortest.ErrDied
	}
	s.states.bytes += len(key) + len(value)
	s.states.most = max(s.states.most, s.states.bytes)
	return s.LocalState.Set(key, value)
}

func (s *commitSeen) Commit() error {
	if s.dead() {
		return projectortest.ErrDied
	}
	s.states.commits.Add(1)
	s.states.bytes = 0
	return s.LocalState.Commit()
}

// TestJoinWideWalk: the walk of one row that leads to very many is not one group of the local state; and whoever dies between its groups leaves no document
// out.
func TestJoinWideWalk(t *testing.T) {
	const many = 21_000
	r := newRig(t)
	states := &commitsSeen{MemoryStates: projector.NewMemoryStates()}
	var changes []projectortest.Change
	for i := range many {
		changes = append(changes, person(i+1, 0))
	}
	r.commit(changes...)
	config := projector.Config{Projectors: []projector.Projector{townsfolk(10)}, States: states}
	runner, stop := r.run(config)
	r.waitFor(runner, "people", 1)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for n := range int64(2) {
		states.diesAfter.Store(states.commits.Load() + n + 1)
		states.bytes, states.most = 0, 0
		csn := r.commit(city(int(n) + 2))
		runner, stop = r.run(config)
		if err := runner.WaitFor(t.Context(), "people", csn); !errors.Is(err, projectortest.ErrDied) {
			t.Fatalf("waiting: got %v, want the injected death", err)
		}
		if err := stop(); !errors.Is(err, projectortest.ErrDied) {
			t.Fatalf("got %v, want the injected death", err)
		}
		if limit := 11_000 * 60; states.most > limit {
			t.Errorf("a group of the local state had %d bytes, want at most %d", states.most, limit)
		}
		states.diesAfter.Store(0)
		runner, stop = r.run(config)
		r.waitFor(runner, "people", csn)
		want := fmt.Sprintf(`{"N":0,"Sum":%d}`, n+2)
		for d := range r.sink.Each("people") {
			if string(d.Body) != want {
				t.Fatalf("killed after %d groups of a walk: document %s is %s, want %s", n+1, d.ID, d.Body, want)
			}
		}
		r.waitFor(runner, "people", r.commit(projectortest.Del("shop.city", rowA{ID: 1}))) // so that the next one has no image before
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestJoinWideTransaction: of a transaction that concerns more documents than a window takes, the rest is spread: it is not held in memory, others are not
// late for it, and no document shows half of the transaction.
func TestJoinWideTransaction(t *testing.T) {
	const many = 1_000
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		gate := &gate{Sink: r.sink, at: make(chan []string), pass: make(chan error)}
		runner, stop := r.run(projector.Config{Projectors: []projector.Projector{townsfolk(20)}, Sinks: []projector.Sink{gate}, BatchDocuments: 50,
			WindowTargets: 100, Window: time.Millisecond})
		changes := []projectortest.Change{city(1)}
		for i := range many {
			changes = append(changes, person(i+1, 1))
		}
		for i := range many {
			changes = append(changes, person(i+1, 2))
		}
		r.commit(changes...)
		<-gate.at
		if s := runner.Status()[0]; s.Pending > 100 {
			t.Errorf("%d documents wait for their window's end, want at most 100", s.Pending)
		}
		gate.pass <- nil
		<-gate.at
		gate.pass <- nil
		<-gate.at // from here on they are spread
		single := r.commit(projectortest.Put("shop.person", rowA{many, 1, 7}))
		synctest.Wait() // the cut is there
		for n := 0; ; n++ {
			gate.pass <- nil
			if ids := <-gate.at; len(ids) == 1 && ids[0] == fmt.Sprint(many) {
				break
			}
			if n > 1 {
				t.Fatalf("%d requests went before the one document", n)
			}
		}
		if s := runner.Status()[0]; s.Spread == 0 || s.CSN != 0 {
			t.Errorf("status while documents are spread: %+v", s)
		}
		gate.pass <- nil
		go func() {
			for range gate.at {
				gate.pass <- nil
			}
		}()
		r.waitFor(runner, "people", single)
		for d := range r.sink.Each("people") {
			if want := map[bool]string{false: `{"N":2,"Sum":1}`, true: `{"N":7,"Sum":1}`}[d.ID == fmt.Sprint(many)]; string(d.Body) != want {
				t.Errorf("document %s is %s, want %s", d.ID, d.Body, want)
			}
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		close(gate.at)
	})
}

// TestJoinAdvice: who makes documents of more than 200 rows without parts is told so, once; with parts, and below, nobody is.
func TestJoinAdvice(t *testing.T) {
	part := projector.NewPart(thingsA, func(_ *projector.View, t *rowA) (*int, error) { return &t.N, nil })
	parts := projector.Join[rowA, int, struct{ Things projector.List[int] }]{Name: "parts", Version: 1, Target: projector.MemoryTarget("parts"), Root: ownersA,
		Reads: []projector.Readable{thingOf, part},
		Build: func(v *projector.View, o *rowA) (*struct{ Things projector.List[int] }, error) {
			return &struct{ Things projector.List[int] }{part.All(v, thingOf.Below(o))}, nil
		}}
	for _, c := range []struct {
		name   string
		join   projector.Projector
		things int
		want   int
	}{{"sums", sums(), 200, 0}, {"sums", sums(), 201, 1}, {"parts", parts, 201, 0}} {
		r := newRig(t)
		var said bytes.Buffer
		changes := []projectortest.Change{owner(1, 1)}
		for i := range c.things {
			changes = append(changes, thing(i+1, 1, i))
		}
		runner, stop := r.run(projector.Config{Projectors: []projector.Projector{c.join}, Logger: slog.New(slog.NewTextHandler(&said, nil))})
		r.waitFor(runner, c.name, r.commit(changes...))
		r.waitFor(runner, c.name, r.commit(thing(1, 1, 9)))
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(said.String(), "without parts"); got != c.want {
			t.Errorf("%s of %d rows: told %d times, want %d:\n%s", c.name, c.things, got, c.want, &said)
		}
	}
}
