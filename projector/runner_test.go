package projector_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace-go/millrace/eventstore"
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

// TestHalt: what will not pass halts its projector with an error that names document, csn and table, but not the data. The others go on.
func TestHalt(t *testing.T) {
	type numbers struct {
		ID    int `json:"id"`
		Cents int `json:"cents"`
	}
	fold := func(source projector.Source[customerDoc]) projector.Projector {
		return projector.Fold[customerDoc]{Name: "bad", Version: 1, Target: projector.MemoryTarget("bad"), Sources: []projector.Source[customerDoc]{source}}
	}
	ids := func(o *order) []string { return []string{o.Customer} }
	for _, c := range []struct {
		name     string
		p        projector.Projector
		document string
		want     string
	}{
		{"handler's error", fold(projector.OnRow("shop.orders", ids, func(d *projector.Doc[customerDoc], _, _ *order) error { return errors.New("boom") })),
			"ann", `projector bad: document "ann" at csn 2, change of table shop.orders: boom`},
		{"handler's panic", fold(projector.OnRow("shop.orders", ids, func(d *projector.Doc[customerDoc], _, _ *order) error { panic("boom") })),
			"ann", `projector bad: document "ann" at csn 2, change of table shop.orders: panic: boom`},
		{"ids panics", fold(projector.OnRow("shop.orders", func(*order) []string { panic("boom") }, applyOrder)),
			"", `projector bad: row of table shop.orders at csn 2 index 0: ids: panic: boom`},
		{"id is no id", fold(projector.OnRow("shop.orders", func(*order) []string { return []string{""} }, applyOrder)),
			"", `projector bad: document "" at csn 2, change of table shop.orders: document id is empty`},
		{"row does not fit", fold(projector.OnRow("shop.orders", func(*struct {
			Customer int `json:"customer"`
		}) []string {
			return nil
		}, func(_ *projector.Doc[customerDoc], _, _ *struct {
			Customer int `json:"customer"`
		}) error {
			return nil
		})), "", `projector bad: row of table shop.orders at csn 2 index 0: after image: column "customer" does not fit the field's type int`},
		{"not an object", projector.Fold[int]{Name: "bad", Version: 1, Target: projector.MemoryTarget("bad"), Sources: []projector.Source[int]{
			projector.OnRow("shop.orders", func(n *numbers) []string { return []string{"n"} }, func(d *projector.Doc[int], _, _ *numbers) error { return nil })}},
			"n", `projector bad: document "n" at csn 2: marshal: the document is not a JSON object`},
		{"marshal fails", projector.Fold[func()]{Name: "bad", Version: 1, Target: projector.MemoryTarget("bad"), Sources: []projector.Source[func()]{
			projector.OnRow("shop.orders", func(n *numbers) []string { return []string{"n"} }, func(d *projector.Doc[func()], _, _ *numbers) error { return nil })}},
			"n", `projector bad: document "n" at csn 2: marshal: json: unsupported type: func()`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.commit()
			var halted []projector.HaltInfo
			runner, stop := r.run(projector.Config{Projectors: []projector.Projector{c.p, customers()},
				Hooks: projector.Hooks{OnHalt: func(h projector.HaltInfo) { halted = append(halted, h) }}})
			r.commit(projectortest.Put("shop.orders", order{1, "ann", 5}))
			err := runner.WaitFor(t.Context(), "bad", 2)
			if !errors.Is(err, projector.ErrStopped) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("waiting: got %v, want %s", err, c.want)
			}
			r.waitFor(runner, "customers", 2)
			r.want("customers", map[string]string{"ann": `{"orders":1,"cents":5}`})
			if err = stop(); err == nil || err.Error() != c.want {
				t.Errorf("Run: got %v, want %s", err, c.want)
			}
			if c.document != "" {
				if e, ok := errors.AsType[*projector.DocumentError](err); !ok || e.ID != c.document || e.CSN != 2 || e.Projector != "bad" {
					t.Errorf("got %#v, want a DocumentError of %s", err, c.document)
				}
			}
			if len(halted) != 1 || halted[0].Projector != "bad" || halted[0].CSN != 1 {
				t.Errorf("OnHalt was called with %+v, want once, with csn 1", halted)
			}
			if s := runner.Status(); s[0].Halted == nil || s[0].CSN != 1 || s[1].Halted != nil || s[1].CSN != 2 {
				t.Errorf("status: %+v", s)
			}
		})
	}
}

func TestHaltOnRefusedDocument(t *testing.T) {
	r := newRig(t)
	r.commit(projectortest.Put("shop.orders", order{1, "ann", 5}), projectortest.Put("shop.orders", order{2, "bob", 5}))
	refuse := &refusing{r.sink}
	runner, stop := r.run(projector.Config{Sinks: []projector.Sink{refuse}, Projectors: []projector.Projector{customers()}})
	waitHalted(t, runner, stop, `projector customers: document "ann" at csn 1: no such field`)
	if d, found, _ := r.sink.Get(t.Context(), projector.MemoryTarget("customers"), 1, "bob"); !found || d.Body == nil {
		t.Error("the other document of the request was not written")
	}
	if p, _, _ := r.sink.Progress(t.Context(), "customers"); p.CSN != 0 {
		t.Errorf("progress passed over the refused document: %+v", p)
	}
}

// refusing refuses ann.
type refusing struct{ projector.Sink }

func (s *refusing) Apply(ctx context.Context, t projector.Target, generation uint64, writes []projector.Write, results []projector.Result) error {
	if err := s.Sink.Apply(ctx, t, generation, writes, results); err != nil {
		return err
	}
	for i := range writes {
		if writes[i].ID == "ann" {
			results[i] = projector.Result{Outcome: projector.Refused, Err: errors.New("no such field")}
		}
	}
	return nil
}

// waitHalted waits for the projector to halt, and checks why.
func waitHalted(t *testing.T, runner *projector.Runner, stop func() error, want string) {
	t.Helper()
	if err := runner.WaitFor(t.Context(), "customers", 1<<40); !errors.Is(err, projector.ErrStopped) {
		t.Errorf("waiting: got %v, want ErrStopped", err)
	}
	if err := stop(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
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
	_ = runner.WaitFor(t.Context(), "customers", 1<<40) // returns when the projector has stopped
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
