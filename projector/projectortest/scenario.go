package projectortest

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
)

// Scenario tests a read model without any server: transactions go in, documents come out. It is played in several ways, which must all end
// with the same documents; see [Mode].
//
//	projectortest.Of(t, customers).
//		Given(projectortest.Put("shop.orders", Order{ID: 1, Customer: "ann", Cents: 100})).
//		When(projectortest.Put("shop.orders", Order{ID: 1, Customer: "bob", Cents: 100})).
//		Then("bob", CustomerDoc{Orders: 1, Cents: 100}).
//		ThenNone("ann").
//		ThenWrote("ann", "bob")
type Scenario struct {
	t           testing.TB
	p           projector.Projector
	keys        map[string][]string
	given, when [][]Change
	modes       []Mode
	outcomes    map[Mode]outcome // of the transactions so far; nil when they have to be played
}

// Mode is a way to play a scenario.
type Mode string

// The modes.
const (
	// Live: one process, which follows each transaction.
	Live Mode = "live"
	// Backlog: a process that starts when everything has happened, and sees it as one window.
	Backlog Mode = "backlog"
	// Restart: the process ends after each transaction. The local state of a Join is kept.
	Restart Mode = "restart"
	// Single and Triple: a backlog again, in windows and requests to the sink of one and of three documents.
	Single Mode = "single"
	Triple Mode = "triple"
	// Reorder: the transactions come in another order, the last ones first, but for those that touch the same row. What is made of the rows as they are, a
	// Join or a Query, is the same in the end; a Fold need not be, so it is not played in this mode unless [Scenario.Under] says so.
	Reorder Mode = "reorder"
	// Redeliver: the process dies after each transaction, before it can record its progress, and so sees everything again. The local state of a Join
	// is lost.
	Redeliver Mode = "redeliver"
)

// patience is how long a scenario waits for one step. It only bounds a test that would hang.
const patience = time.Minute

// outcome is how a mode ended.
type outcome struct {
	documents map[string][]byte
	wrote     []string // by the transactions of When, sorted
}

// Of begins a scenario of a read model, to be played in every mode (a Join; others in all but [Reorder]). Its target's kind of sink does not matter.
func Of(t testing.TB, p projector.Projector) *Scenario {
	s := &Scenario{t: t, p: p, keys: map[string][]string{}, modes: []Mode{Live, Backlog, Single, Triple, Restart, Redeliver}}
	if _, join := p.(JoinUnderTest); join {
		s.modes = append(s.modes, Reorder)
	}
	return s
}

// Key names the primary key's columns of a table, where they are not "id".
func (s *Scenario) Key(table string, columns ...string) *Scenario {
	s.keys[table] = columns
	return s
}

// Under plays the scenario in these modes only.
func (s *Scenario) Under(modes ...Mode) *Scenario {
	s.modes, s.outcomes = modes, nil
	return s
}

// Given adds a transaction that happened before.
func (s *Scenario) Given(changes ...Change) *Scenario {
	s.given, s.outcomes = append(s.given, changes), nil
	return s
}

// When adds a transaction. Then and the like look at what is after all of them.
func (s *Scenario) When(changes ...Change) *Scenario {
	s.when, s.outcomes = append(s.when, changes), nil
	return s
}

// Then checks a document, compared as JSON with what encoding/json makes of want.
func (s *Scenario) Then(id string, want any) *Scenario {
	s.t.Helper()
	text, err := json.Marshal(want)
	if err != nil {
		s.t.Fatalf("document %q: marshal what is wanted: %v", id, err)
	}
	for _, mode := range s.play() {
		got, found := s.outcomes[mode].documents[id]
		if !found {
			s.t.Errorf("%s: there is no document %q, want\n%s", mode, id, indent(text))
		} else if !sameJSON(got, text) {
			s.t.Errorf("%s: document %q differs:\n%s", mode, id, diffJSON(got, text))
		}
	}
	return s
}

// ThenNone checks that there are no documents with these ids, or, without ids, none at all.
func (s *Scenario) ThenNone(ids ...string) *Scenario {
	s.t.Helper()
	for _, mode := range s.play() {
		documents := s.outcomes[mode].documents
		none := ids
		if len(ids) == 0 {
			none = slices.Sorted(maps.Keys(documents))
		}
		for _, id := range none {
			if got, found := documents[id]; found {
				s.t.Errorf("%s: document %q is\n%s\nwant none", mode, id, indent(got))
			}
		}
	}
	return s
}

// ThenWrote checks which documents the transactions of When have written or deleted: exactly these. It looks at mode Live.
func (s *Scenario) ThenWrote(ids ...string) *Scenario {
	s.t.Helper()
	if !slices.Contains(s.modes, Live) {
		s.t.Fatal("ThenWrote looks at mode Live, which is not played")
	}
	s.play()
	want := slices.Compact(slices.Sorted(slices.Values(ids)))
	if got := s.outcomes[Live].wrote; !slices.Equal(got, want) {
		s.t.Errorf("written were the documents %q, want %q", got, want)
	}
	return s
}

func indent(text []byte) string {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return string(text)
	}
	pretty, err := json.MarshalIndent(v, "\t", "  ")
	if err != nil {
		return string(text)
	}
	return "\t" + strings.TrimSpace(string(pretty))
}

// play plays the scenario in each mode, unless it has been, and returns the modes.
func (s *Scenario) play() []Mode {
	s.t.Helper()
	if s.outcomes == nil {
		s.outcomes = map[Mode]outcome{}
		for _, mode := range s.modes {
			o, err := s.playIn(mode)
			if err != nil {
				s.t.Fatalf("%s: %v", mode, err)
			}
			s.outcomes[mode] = o
		}
	}
	return s.modes
}

func (s *Scenario) playIn(mode Mode) (outcome, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	log := eventstore.NewMemoryLog()
	feed, err := NewFeed(ctx, log)
	if err != nil {
		return outcome{}, err
	}
	feed.Keys = s.keys
	memory := projector.NewMemorySink()
	p := &play{log: log, feed: feed, p: s.p, sink: &scenarioSink{Sink: memory, kind: projector.TargetOf(s.p).Sink, forget: mode == Redeliver, wrote: map[string]bool{}}}
	if mode == Restart {
		p.states = projector.NewMemoryStates()
	}
	defer p.stop()
	transactions := slices.Concat(s.given, s.when)
	switch mode {
	case Single:
		p.batch = 1
	case Triple:
		p.batch = 3
	case Reorder:
		if transactions, err = feed.reorder(transactions); err != nil {
			return outcome{}, err
		}
	}
	for i, changes := range transactions {
		if i == len(s.given) {
			p.sink.reset()
		}
		csn, err := feed.Commit(ctx, changes...)
		if err != nil {
			return outcome{}, err
		}
		if (mode == Backlog || p.batch > 0) && i < len(transactions)-1 {
			continue
		}
		if err := p.follow(ctx, csn); err != nil {
			return outcome{}, err
		}
		if mode != Live && mode != Reorder {
			if err := p.stop(); err != nil {
				return outcome{}, err
			}
		}
	}
	if err := p.stop(); err != nil {
		return outcome{}, err
	}
	o := outcome{documents: map[string][]byte{}, wrote: p.sink.ids()}
	for d := range memory.Each(projector.TargetOf(s.p).Name) {
		o.documents[d.ID] = d.Body
	}
	return o, nil
}

// play is a scenario in one mode: a runner that may be stopped and started again.
type play struct {
	log    eventstore.Log
	feed   *Feed
	p      projector.Projector
	sink   *scenarioSink
	states projector.LocalStates // nil: those of each runner
	batch  int                   // documents of a window and of a request; 0: the default
	runner *projector.Runner
	cancel context.CancelFunc
	done   chan error
}

// follow runs the projector up to a csn.
func (p *play) follow(ctx context.Context, csn eventstore.CSN) error {
	if p.runner == nil {
		runner, err := projector.NewRunner(projector.Config{Log: p.log, Sinks: []projector.Sink{p.sink}, Projectors: []projector.Projector{p.p}, States: p.states,
			WindowTargets: p.batch, BatchDocuments: p.batch})
		if err != nil {
			return err
		}
		running, cancel := context.WithCancel(ctx)
		p.runner, p.cancel, p.done = runner, cancel, make(chan error, 1)
		go func() { p.done <- runner.Run(running) }()
	}
	return p.runner.WaitFor(ctx, p.runner.Status()[0].Projector, csn)
}

func (p *play) stop() error {
	if p.runner == nil {
		return nil
	}
	p.runner = nil
	p.cancel()
	return <-p.done
}

// scenarioSink is a sink of the projector's kind in memory that notes what is written, and may forget progress.
type scenarioSink struct {
	projector.Sink
	kind   string
	forget bool

	mu    sync.Mutex
	wrote map[string]bool
}

func (s *scenarioSink) Kind() string { return s.kind }

func (s *scenarioSink) Apply(ctx context.Context, t projector.Target, generation uint64, writes []projector.Write, results []projector.Result) error {
	if err := s.Sink.Apply(ctx, t, generation, writes, results); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, w := range writes {
		if results[i].Outcome == projector.Applied {
			s.wrote[w.ID] = true
		}
	}
	return nil
}

func (s *scenarioSink) SaveProgress(ctx context.Context, name string, p projector.Progress) error {
	if s.forget && p.CSN > 0 {
		return nil
	}
	return s.Sink.SaveProgress(ctx, name, p)
}

func (s *scenarioSink) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.wrote)
}

func (s *scenarioSink) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.wrote))
}
