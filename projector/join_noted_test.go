package projector_test

import (
	"context"
	"errors"
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

// TestJoinNotedOnReplay: what the log mends below its end does not halt a replay, whoever waits for less, or stops it there.
func TestJoinNotedOnReplay(t *testing.T) {
	type town struct {
		Name string `json:"name"`
		N    int    `json:"n"`
	}
	type live struct {
		ID   int    `json:"id"`
		Town string `json:"town"`
	}
	type doc struct{ N int }
	towns := projector.NewTable("shop.town", func(t *town) string { return t.Name })
	people := projector.NewTable("shop.person", func(p *live) int { return p.ID })
	townOf := projector.BelongsTo(people, towns, func(p *live) string { return p.Town })
	join := projector.Join[live, int, doc]{Name: "spelling", Version: 1, Target: projector.MemoryTarget("spelling"), Root: people, Reads: []projector.Readable{townOf},
		Build: func(v *projector.View, p *live) (*doc, error) {
			t, found := townOf.Of(v, p)
			if !found {
				return &doc{}, nil
			}
			return &doc{t.N}, nil
		}}
	for name, changes := range map[string][2]projectortest.Change{
		"spelling": {projectortest.Put("shop.town", town{"ULM", 1}), projectortest.Rekey("shop.town", town{Name: "ULM"}, town{"Ulm", 2})},
		"columns":  {projectortest.Put("shop.town", map[string]any{"name": "Ulm"}), projectortest.Put("shop.town", town{"Ulm", 2})},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t)
				r.feed.Keys = map[string][]string{"shop.town": {"name"}}
				r.commit(projectortest.Put("shop.person", live{1, "Ulm"}), changes[0])
				r.commit(changes[1])
				runner, err := projector.NewRunner(projector.Config{Log: r.log, Sinks: []projector.Sink{r.sink}, Projectors: []projector.Projector{join}})
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
