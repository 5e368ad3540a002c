package projector_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

func TestNewRunnerListsAllProblems(t *testing.T) {
	_, err := projector.NewRunner(projector.Config{
		Window: -1, BatchBytes: -1, Sinks: []projector.Sink{nil, projector.NewMemorySink(), projector.NewMemorySink()},
		Projectors: []projector.Projector{
			projector.Fold[customerDoc]{Name: "a", Target: projector.Target{Sink: "elasticsearch", Name: "a"},
				Sources: []projector.Source[customerDoc]{{}, projector.OnRow[order]("orders", nil, applyOrder)}},
			projector.Query{Name: "a", Version: 1, Target: projector.MemoryTarget("x"), Tables: []projector.QueryTable{{}, projector.OnTable[order]("shop.orders", nil)}},
			projector.Query{Name: "b", Version: 1, Target: projector.MemoryTarget("x")},
			nil,
		},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"Log is missing", "Window is -1ns", "BatchBytes is -1", "Sinks[0] is nil", `more than one of kind "memory"`, "Projectors[3] is nil",
		`"a": Version is 0`, `wants a sink of kind "elasticsearch"`, "not made by OnRow", `table "orders": want schema.table`, `"a": the name occurs twice`,
		"Database is missing", "Load is missing", "Tables is empty", "not made by OnTable", "function is nil", `its target "x" is already that of projector "a"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}

// sinkFunc is a sink whose Apply is a function of the test.
type sinkFunc struct {
	projector.Sink
	apply func(ctx context.Context, writes []projector.Write, results []projector.Result) error
}

func (s *sinkFunc) Apply(ctx context.Context, t projector.Target, generation uint64, writes []projector.Write, results []projector.Result) error {
	if err := s.apply(ctx, writes, results); err != nil {
		return err
	}
	return s.Sink.Apply(ctx, t, generation, writes, results)
}

type checkedSink struct {
	projector.Sink
	err error
}

func (s checkedSink) Check(context.Context) error { return s.err }

func TestRunFailsBeforeItBegins(t *testing.T) {
	r := newRig(t)
	runner, stop := r.run(projector.Config{Sinks: []projector.Sink{checkedSink{r.sink, fmt.Errorf("connect to localhost:1: %w", projector.ErrUnavailable)}},
		Projectors: []projector.Projector{customers(), projector.Query{Name: "q", Version: 1, Target: projector.MemoryTarget("q"), Load: noLoad,
			Database: projector.MySQL(nil), Tables: []projector.QueryTable{projector.OnTable("shop.orders", func(o *order) []string { return nil })}}}})
	if err := runner.WaitFor(t.Context(), "customers", 1); !errors.Is(err, projector.ErrStopped) {
		t.Errorf("waiting: got %v, want ErrStopped", err)
	}
	err := stop()
	for _, want := range []string{"check sink memory: connect to localhost:1", "check projector q: database: db is nil"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, found, _ := r.sink.Progress(t.Context(), "customers"); found {
		t.Error("something was written")
	}
}

// TestRetryForEver: an unreachable sink is asked again with growing pauses, reading stands still meanwhile, and nothing is lost.
func TestRetryForEver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		var down atomic.Bool
		var retries []projector.RetryInfo
		sink := projectortest.NewFaultySink(r.sink, func(string) projectortest.Fate {
			if down.Load() {
				return projectortest.Lose
			}
			return projectortest.Pass
		})
		runner, stop := r.run(projector.Config{Sinks: []projector.Sink{sink}, Projectors: []projector.Projector{customers()},
			Hooks: projector.Hooks{OnRetry: func(i projector.RetryInfo) { retries = append(retries, i) }}})
		r.commit(projectortest.Put("shop.orders", order{1, "ann", 1}))
		r.waitFor(runner, "customers", 1)
		r.waitIdle() // the waiter is told before the window's last write has ended
		down.Store(true)
		r.commit(projectortest.Put("shop.orders", order{2, "ann", 1}))
		time.Sleep(time.Hour)
		r.waitIdle()
		r.commit(projectortest.Put("shop.orders", order{3, "ann", 1}))
		if s := runner.Status()[0]; s.CSN != 1 || s.HeadCSN != 2 || !errors.Is(s.Retrying, projector.ErrUnavailable) {
			t.Errorf("status while the sink is down: %+v", s)
		}
		if n := len(retries); n < 300 || n > 400 || retries[0].In != 100*time.Millisecond || retries[n-1].In != 10*time.Second || retries[n-1].Attempt != n {
			t.Errorf("%d retries, %+v to %+v", n, retries[0], retries[n-1])
		}
		down.Store(false)
		r.waitFor(runner, "customers", 3)
		r.want("customers", map[string]string{"ann": `{"orders":3,"cents":3}`})
		if s := runner.Status()[0]; s.Retrying != nil {
			t.Errorf("status afterwards: %+v", s)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestDrain: the window in hand is written and recorded when Run is told to stop.
func TestDrain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		_, stop := r.run(projector.Config{Projectors: []projector.Projector{customers()}, Window: time.Hour})
		r.waitIdle()
		r.commit(projectortest.Put("shop.orders", order{1, "ann", 1}))
		r.waitIdle()
		r.want("customers", nil)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		r.want("customers", map[string]string{"ann": `{"orders":1,"cents":1}`})
		if p, _, _ := r.sink.Progress(t.Context(), "customers"); p.CSN != 1 {
			t.Errorf("progress %+v, want csn 1", p)
		}
	})
}

// waitIdle waits until every goroutine of the bubble waits.
func (r *rig) waitIdle() { synctest.Wait() }

func TestDrainTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		sink := &sinkFunc{r.sink, func(ctx context.Context, _ []projector.Write, _ []projector.Result) error {
			<-ctx.Done() // a server that never answers
			return ctx.Err()
		}}
		_, stop := r.run(projector.Config{Sinks: []projector.Sink{sink}, Projectors: []projector.Projector{customers()}, DrainTimeout: 3 * time.Second})
		r.waitIdle()
		r.commit(projectortest.Put("shop.orders", order{1, "ann", 1}))
		time.Sleep(time.Minute)
		began := time.Now()
		err := stop()
		if err == nil || !strings.Contains(err.Error(), "drain: not done within 3s") {
			t.Errorf("got %v", err)
		}
		if d := time.Since(began); d != 3*time.Second {
			t.Errorf("the drain took %v, want 3s", d)
		}
	})
}

func TestWaitFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		runner, stop := r.run(projector.Config{Projectors: []projector.Projector{customers()}, Window: time.Hour})
		began := time.Now()
		waits := make(chan error, 2)
		go func() { waits <- runner.WaitFor(t.Context(), "customers", 2) }()
		go func() { waits <- runner.WaitForGTID(t.Context(), "customers", projectortest.GTID(1)) }()
		r.waitIdle()
		r.commit(projectortest.Put("shop.orders", order{1, "ann", 1}))
		if err := <-waits; err != nil {
			t.Fatal(err)
		}
		r.commit(projectortest.Put("shop.orders", order{2, "ann", 1}))
		if err := <-waits; err != nil {
			t.Fatal(err)
		}
		r.want("customers", map[string]string{"ann": `{"orders":2,"cents":2}`})
		if d := time.Since(began); d > time.Second {
			t.Errorf("waiting took %v: a waiter closes the window", d)
		}
		if err := runner.WaitFor(t.Context(), "nobody", 1); err == nil {
			t.Error("an unknown projector: no error")
		}
		if err := runner.WaitForGTID(t.Context(), "customers", "nonsense"); err == nil {
			t.Error("a malformed gtid: no error")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := runner.WaitFor(ctx, "customers", 3); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a csn that never comes: %v", err)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if err := runner.WaitFor(t.Context(), "customers", 3); !errors.Is(err, projector.ErrStopped) {
			t.Errorf("after the end: %v, want ErrStopped", err)
		}
	})
}

// TestIdleProgress: progress moves at least once a second while no document changes.
func TestIdleProgress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		saves := 0
		sink := projectortest.NewFaultySink(r.sink, func(method string) projectortest.Fate {
			if method == "SaveProgress" {
				saves++
			}
			return projectortest.Pass
		})
		_, stop := r.run(projector.Config{Sinks: []projector.Sink{sink}, Projectors: []projector.Projector{customers()}})
		for range 100 { // ten seconds of other tables' commits
			r.commit(projectortest.Put("shop.others", order{1, "x", 1}))
			time.Sleep(100 * time.Millisecond)
		}
		r.waitIdle()
		if p, _, _ := r.sink.Progress(t.Context(), "customers"); p.CSN < 90 {
			t.Errorf("progress %+v, want at most a second behind csn 100", p)
		}
		if saves > 15 {
			t.Errorf("%d saves in ten idle seconds", saves)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if p, _, _ := r.sink.Progress(t.Context(), "customers"); p.CSN != 100 {
			t.Errorf("progress after the drain %+v, want csn 100", p)
		}
	})
}

// TestWindow: changes of a window make one write a document; a write that would change nothing is left out only when a single
// transaction made it.
func TestWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		var windows []projector.WindowInfo
		_, stop := r.run(projector.Config{Projectors: []projector.Projector{customers()}, Window: time.Second,
			Hooks: projector.Hooks{OnWindow: func(w projector.WindowInfo) { windows = append(windows, w) }}})
		r.waitIdle()
		steps := []struct {
			cents                                  []int
			documents, unchanged, changes, deletes int
		}{
			{[]int{1, 2, 3, 4}, 1, 0, 4, 0},
			{[]int{4}, 0, 1, 1, 0},     // one transaction, same bytes
			{[]int{9, 4}, 1, 0, 2, 0},  // two: what stood between may be on its way from a paused process
			{[]int{5}, 1, 0, 1, 0},     //
			{[]int{-1}, 1, 0, 1, 1},    // deleted
			{[]int{7, -1}, 1, 0, 2, 1}, // made and deleted: a tombstone all the same
			{[]int{1, -1, 2, -1, 3}, 1, 0, 5, 0},
		}
		for i, s := range steps {
			for _, cents := range s.cents {
				if cents < 0 {
					r.commit(projectortest.Del("shop.orders", order{ID: 1}))
				} else {
					r.commit(projectortest.Put("shop.orders", order{1, "ann", cents}))
				}
			}
			time.Sleep(2 * time.Second)
			r.waitIdle()
			if len(windows) != i+1 {
				t.Fatalf("step %d: %d windows", i, len(windows))
			}
			w := windows[i]
			if w.Documents != s.documents || w.Unchanged != s.unchanged || w.Changes != s.changes || w.Transactions != len(s.cents) || w.Deletes != s.deletes || w.CSN != r.feed.CSN() {
				t.Errorf("step %d: %+v, want %+v", i, w, s)
			}
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestRunTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		runner, stop := r.run(projector.Config{Projectors: []projector.Projector{customers()}})
		r.waitIdle()
		if err := runner.Run(t.Context()); err == nil {
			t.Error("Run at once: no error")
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- runner.Run(ctx) }()
		r.commit(projectortest.Put("shop.orders", order{1, "ann", 1}))
		r.waitIdle()
		r.waitFor(runner, "customers", 1)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}
