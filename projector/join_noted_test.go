package projector_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// What is noted of rows that no document waits for.

// TestJoinColumnsOfNoDocument: a row that lacks the column of its relation concerns no document that anybody knows of. The watermark does not go past it,
// nor does a restart forget it.
func TestJoinColumnsOfNoDocument(t *testing.T) {
	for _, atOnce := range []bool{true, false} {
		r := newRig(t)
		config := projector.Config{Projectors: []projector.Projector{townsfolk(10)}, States: projector.NewMemoryStates()}
		r.commit(person(1, 5))
		runner, stop := r.run(config)
		r.waitFor(runner, "people", 1)
		if atOnce {
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		}
		csn := r.commit(projectortest.Put("shop.city", map[string]any{"id": 7, "n": 5}))
		for life := range 3 {
			if atOnce || life > 0 {
				runner, stop = r.run(config)
			}
			if err := runner.WaitFor(t.Context(), "people", csn); !errors.Is(err, projector.ErrStopped) {
				t.Errorf("life %d: waiting: got %v, want ErrStopped", life, err)
			}
			if err := stop(); err == nil || !strings.Contains(err.Error(), "shop.city at csn 2 index 4: the image lacks owner,") {
				t.Errorf("life %d: got %v, want that a column is missing", life, err)
			}
		}
		csn = r.commit(projectortest.Put("shop.city", rowA{ID: 7, N: 5}))
		runner, stop = r.run(config)
		r.waitFor(runner, "people", csn)
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}

// TestJoinColumnsCountedOnce: rows that lack columns are counted once, also when a process dies within the walk of one of them.
func TestJoinColumnsCountedOnce(t *testing.T) {
	r := newRig(t)
	states := &commitsSeen{MemoryStates: projector.NewMemoryStates()}
	var people []projectortest.Change
	for i := range 12_000 {
		people = append(people, person(i+1, 0))
	}
	r.commit(append(people, projectortest.Put("shop.person", rowA{99_999, 2, 0}))...)
	config := projector.Config{Projectors: []projector.Projector{townsfolk(10)}, States: states}
	runner, stop := r.run(config)
	r.waitFor(runner, "people", 1)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	short := func(id int) projectortest.Change {
		return projectortest.Put("shop.city", map[string]any{"id": id, "owner": 0})
	}
	r.commit(short(1), short(2))
	csn := r.commit(projectortest.Del("shop.city", rowA{ID: 1}))
	states.diesAfter.Store(states.commits.Load() + 2) // the second is in the walk of the deleted row
	runner, stop = r.run(config)
	if err := runner.WaitFor(t.Context(), "people", csn); !errors.Is(err, projectortest.ErrDied) {
		t.Fatalf("waiting: got %v, want the injected death", err)
	}
	if err := stop(); !errors.Is(err, projectortest.ErrDied) {
		t.Fatalf("got %v, want the injected death", err)
	}
	states.diesAfter.Store(0)
	runner, stop = r.run(config)
	if err := runner.WaitFor(t.Context(), "people", csn); !errors.Is(err, projector.ErrStopped) {
		t.Errorf("waiting: got %v, want ErrStopped", err)
	}
	if err := stop(); err == nil || !strings.Contains(err.Error(), "the image lacks n,") || !strings.Contains(err.Error(), "as do 1 rows in all") {
		t.Errorf("got %v, want that a column is missing", err)
	}
}

type (
	noteTown struct {
		Name string `json:"name"`
		N    int    `json:"n"`
	}
	notePerson struct {
		ID   int    `json:"id"`
		Town string `json:"town"`
	}
)

// townspeople is a Join of people and their towns.
func townspeople() projector.Projector {
	type doc struct{ N int }
	towns := projector.NewTable("shop.town", func(t *noteTown) string { return t.Name })
	people := projector.NewTable("shop.person", func(p *notePerson) int { return p.ID })
	townOf := projector.BelongsTo(people, towns, func(p *notePerson) string { return p.Town })
	return projector.Join[notePerson, int, doc]{Name: "spelling", Version: 1, Target: projector.MemoryTarget("spelling"), Root: people, Reads: []projector.Readable{townOf},
		Build: func(v *projector.View, p *notePerson) (*doc, error) {
			t, found := townOf.Of(v, p)
			if !found {
				return &doc{}, nil
			}
			return &doc{t.N}, nil
		}}
}

// mended are changes that halt a Join of townspeople where the log ends, and those that mend them.
func mended() map[string][2]projectortest.Change {
	return map[string][2]projectortest.Change{
		"spelling": {projectortest.Put("shop.town", noteTown{"ULM", 1}), projectortest.Rekey("shop.town", noteTown{Name: "ULM"}, noteTown{"Ulm", 2})},
		"columns":  {projectortest.Put("shop.town", map[string]any{"name": "Ulm"}), projectortest.Put("shop.town", noteTown{"Ulm", 2})},
	}
}

// TestJoinNotedOnReplay: what the log mends below its end does not halt a replay, whoever waits for less, or stops it there.
func TestJoinNotedOnReplay(t *testing.T) {
	for name, changes := range mended() {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t)
				r.feed.Keys = map[string][]string{"shop.town": {"name"}}
				r.commit(projectortest.Put("shop.person", notePerson{1, "Ulm"}), changes[0])
				r.commit(changes[1])
				runner, err := projector.NewRunner(projector.Config{Log: r.log, Sinks: []projector.Sink{r.sink}, Projectors: []projector.Projector{townspeople()}})
				if err != nil {
					t.Fatal(err)
				}
				waited := make(chan error, 1)
				go func() { waited <- runner.WaitFor(t.Context(), "spelling", 1) }()
				synctest.Wait() // it is there before the projector
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- runner.Run(ctx) }()
				if err := <-waited; err != nil {
					t.Error(err)
				}
				r.want("spelling", map[string]string{"1": `{"N":2}`})
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestJoinNotedInCatchUp: nor does it halt a projector that goes on from before it, however many documents have changed until it is mended.
func TestJoinNotedInCatchUp(t *testing.T) {
	for name, changes := range mended() {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.feed.Keys = map[string][]string{"shop.town": {"name"}}
			config := projector.Config{Projectors: []projector.Projector{townspeople()}, States: projector.NewMemoryStates(), WindowTargets: 1}
			person := func(id int) projectortest.Change {
				return projectortest.Put("shop.person", notePerson{id, "Ulm"})
			}
			runner, stop := r.run(config)
			r.waitFor(runner, "spelling", r.commit(person(1)))
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			r.commit(changes[0], person(2))
			for id := 3; id < 20; id++ {
				r.commit(person(id))
			}
			for _, mended := range []bool{false, true} {
				if mended {
					r.commit(changes[1])
				}
				runner, stop = r.run(config)
				err := runner.WaitFor(t.Context(), "spelling", r.feed.CSN())
				if stopped := stop(); (err == nil) != mended || (stopped == nil) != mended {
					t.Fatalf("mended %t: waiting: %v, run: %v", mended, err, stopped)
				}
				for d := range r.sink.Each("spelling") {
					if want := map[bool]string{false: `{"N":0}`, true: `{"N":2}`}[mended]; string(d.Body) != want || !mended && d.ID != "1" {
						t.Errorf("mended %t: document %s is %s", mended, d.ID, d.Body)
					}
				}
			}
			want := map[string]string{}
			for id := 1; id < 20; id++ {
				want[fmt.Sprint(id)] = `{"N":2}`
			}
			r.want("spelling", want)
		})
	}
}
