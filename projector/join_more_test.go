package projector_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// TestJoinLarge: a large document is written as seldom as its share of bytes wants; small ones, and waiters, are not late for it. What it shows when it is
// written is of one commit, and progress has not gone by it before.
func TestJoinLarge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type wide struct{ Text string }
		join := projector.Join[rowA, int, wide]{Name: "wide", Version: 1, Target: projector.MemoryTarget("wide"), Root: ownersA, BytesPerSecond: 1_000,
			Build: func(_ *projector.View, o *rowA) (*wide, error) {
				return &wide{strings.Repeat("x", o.Owner) + fmt.Sprint(o.N)}, nil
			}}
		put := func(id, size, n int) projectortest.Change {
			return projectortest.Put("shop.owner", rowA{ID: id, Owner: size, N: n})
		}
		r := newRig(t)
		sink := &noted{Sink: r.sink}
		config := projector.Config{Projectors: []projector.Projector{join}, Sinks: []projector.Sink{sink}, States: projector.NewMemoryStates()}
		runner, stop := r.run(config)
		r.waitFor(runner, "wide", r.commit(put(1, 10_000, 0), put(2, 1, 0))) // the large one takes ten seconds' share
		writes := func(id string) int {
			sink.mu.Lock()
			defer sink.mu.Unlock()
			return len(sink.writes[id])
		}
		for n := range 16 {
			r.commit(put(1, 10_000, n+1), put(2, 1, n+1))
			time.Sleep(time.Second)
			if got := writes("2"); got != n+2 {
				t.Fatalf("after %d s the small document was written %d times, want %d", n+1, got, n+2)
			}
		}
		if got := writes("1"); got != 2 {
			t.Errorf("in 16 s the large document was written %d times, want 2", got)
		}
		if s := runner.Status()[0]; s.CSN >= r.feed.CSN() || s.Pending != 1 {
			t.Errorf("status while a document waits: %+v", s)
		}
		began := time.Now()
		r.waitFor(runner, "wide", r.feed.CSN())
		if waited := time.Since(began); waited > time.Second {
			t.Errorf("a waiter waited for %v", waited)
		}
		if got := writes("1"); got != 3 {
			t.Errorf("for the waiter the large document was written %d times, want 3", got)
		}
		// One that waits when the process ends is written by the next one.
		r.commit(put(1, 10_000, 77))
		time.Sleep(time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if got := writes("1"); got != 3 {
			t.Errorf("at the end the large document was written %d times, want 3", got)
		}
		runner, stop = r.run(config)
		r.waitFor(runner, "wide", r.feed.CSN())
		r.want("wide", map[string]string{"1": `{"Text":"` + strings.Repeat("x", 10_000) + `77"}`, "2": `{"Text":"x16"}`})
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestJoinSettles: what concerns no document is committed, too, so that a new process need not read it again.
func TestJoinSettles(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, states := newRig(t), projector.NewMemoryStates()
		stuck := &stuckStates{MemoryStates: states}
		runner, stop := r.run(projector.Config{Projectors: []projector.Projector{sums()}, States: stuck})
		r.waitFor(runner, "sums", r.commit(thing(1, 1, 5)))
		time.Sleep(2 * time.Second)
		stuck.stuck.Store(true) // nothing is committed at the end
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		state, err := states.Open(t.Context(), "sums")
		if err != nil {
			t.Fatal(err)
		}
		if text, _, err := state.Get([]byte("m")); err != nil || !strings.Contains(string(text), `"csn":1`) {
			t.Errorf("the state says %s, %v; want csn 1", text, err)
		}
		if err := state.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestJoinManyRows: more rows than are taken from the state, or kept decoded, at a time; a state that commits within a transaction; a truncate.
func TestJoinManyRows(t *testing.T) {
	const many = 12_000
	join := sums()
	join.CacheBytes = 10_000
	r := newRig(t)
	var changes []projectortest.Change
	for i := range many {
		changes = append(changes, thing(i+1, i%2+1, 1))
	}
	r.commit(append(changes, owner(1, 1), owner(2, 2))...)
	runner, stop := r.run(projector.Config{Projectors: []projector.Projector{join}})
	r.waitFor(runner, "sums", 1)
	r.want("sums", map[string]string{"1": `{"N":1,"Sum":6000}`, "2": `{"N":2,"Sum":6000}`})
	r.waitFor(runner, "sums", r.commit(thing(1, 2, 5)))
	r.want("sums", map[string]string{"1": `{"N":1,"Sum":5999}`, "2": `{"N":2,"Sum":6005}`})
	r.waitFor(runner, "sums", r.commit(projectortest.Execute("truncate", "shop.thing"), thing(3, 1, 8)))
	r.want("sums", map[string]string{"1": `{"N":1,"Sum":8}`, "2": `{"N":2,"Sum":0}`})
	r.waitFor(runner, "sums", r.commit(projectortest.Execute("drop", "shop.")))
	r.want("sums", map[string]string{})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// TestJoinHalts: what the definition does wrong is said, with the document and the table.
func TestJoinHalts(t *testing.T) {
	with := func(change func(*projector.Join[rowA, int, docA])) projector.Projector {
		j := sums()
		change(&j)
		return j
	}
	notKey := projector.NewTable("shop.owner", func(r *rowA) int { return r.N })
	for _, c := range []struct {
		name string
		join projector.Projector
		want string
	}{
		{"error", with(func(j *projector.Join[rowA, int, docA]) {
			j.Build = func(*projector.View, *rowA) (*docA, error) { return nil, errors.New("no") }
		}), `document "1" at csn 1: build: no`},
		{"panic", with(func(j *projector.Join[rowA, int, docA]) {
			j.Build = func(*projector.View, *rowA) (*docA, error) { panic("oh") }
		}), `document "1" at csn 1: build: panic: oh`},
		{"undeclared relation", with(func(j *projector.Join[rowA, int, docA]) { j.Reads = nil }),
			`document "1" at csn 1: a relation of tables shop.owner and shop.thing was read that is not in Join.Reads`},
		{"undeclared table", with(func(j *projector.Join[rowA, int, docA]) {
			j.Build = func(v *projector.View, _ *rowA) (*docA, error) { _, _ = thingsA.Get(v, 1); return nil, nil }
		}), `document "1" at csn 1: table shop.thing was read by Get, and is not in Join.Reads`},
		{"not the key", projector.Join[rowA, int, docA]{Name: "sums", Version: 1, Target: projector.MemoryTarget("sums"), Root: notKey,
			Build: func(*projector.View, *rowA) (*docA, error) { return nil, nil }}, "gives two keys for one row"},
		{"same id", with(func(j *projector.Join[rowA, int, docA]) { j.ID = func(int) string { return "x" } }),
			`document "x" at csn 1: two rows of the root table have this document id`},
		{"no id", with(func(j *projector.Join[rowA, int, docA]) { j.ID = func(int) string { return "" } }), "document id is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			runner, stop := r.run(projector.Config{Projectors: []projector.Projector{c.join}})
			r.commit(projectortest.Put("shop.owner", rowA{1, 2, 1}), projectortest.Put("shop.owner", rowA{2, 1, 1}))
			r.commit(projectortest.Put("shop.owner", rowA{1, 2, 2}))
			if err := runner.WaitFor(t.Context(), "sums", 2); !errors.Is(err, projector.ErrStopped) {
				t.Errorf("waiting: got %v, want ErrStopped", err)
			}
			if err := stop(); err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "csn 2", "csn 1"), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// TestJoinConfig: everything that is wrong with a definition is in one error.
func TestJoinConfig(t *testing.T) {
	type odd struct{ F func() }
	_, err := projector.NewRunner(projector.Config{Log: newRig(t).log, Sinks: []projector.Sink{projector.NewMemorySink()}, Projectors: []projector.Projector{
		projector.Join[rowA, int, docA]{Name: "a", Version: 1, Target: projector.MemoryTarget("a"), SpreadAbove: -1},
		projector.Join[rowA, struct{ A *int }, docA]{Name: "b", Version: 1, Target: projector.MemoryTarget("b"), BytesPerSecond: -1,
			Root: projector.NewTable("shop.x", func(*rowA) (k struct{ A *int }) { return k })},
		projector.Join[rowA, int, docA]{Name: "c", Version: 1, Target: projector.MemoryTarget("c"), Root: ownersA, Reads: []projector.Readable{
			nil, projector.HasMany[rowA, rowA](nil, thingsA, func(*rowA) int { return 0 }), projector.NewIndex[rowA, int, int](thingsA, nil),
			projector.NewTable("shop.thing", func(r *rowA) int { return r.ID }), thingsA, projector.NewPart[rowA, odd](thingsA, nil),
			(*projector.Part[rowA, int])(nil), projector.NewTable[rowA, int]("thing", nil)}},
	}})
	for _, want := range []string{`projector "a": Root is missing`, `projector "b": ID is missing`, `projector "b": table shop.x: a key of type *int`, `"b": Build is missing`,
		`"c": Reads has a nil`, `"c": a relation's table is nil`, `"c": index of table shop.thing: key is nil`, `"c": table shop.thing is declared twice`,
		`"c": a part's table or build is nil`, `"c": a Part is nil`, `"c": table "thing": want schema.table`, `"b": BytesPerSecond is -1`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
