package cdc_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

// standbyLog is a faulty log whose writers take turns.
type standbyLog struct {
	*faultyLog
	leaders *eventstore.MemoryLog
}

func (l standbyLog) Lead(ctx context.Context, c eventstore.Contender) (eventstore.Leadership, error) {
	return l.leaders.Lead(ctx, c)
}

// awaitPosition waits until the log covers what the source has executed.
func awaitPosition(t *testing.T, log eventstore.Log, source cdc.Source) {
	t.Helper()
	end, err := source.Executed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for c, err := range log.Cuts(t.Context(), eventstore.CutOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if covered, err := c.Watermark.Position.Covers(end.GTIDs); err != nil {
			t.Fatal(err)
		} else if covered {
			return
		}
	}
}

// Whatever relays are started, stopped and fenced, and whatever of the log fails, the log is the source's history, and no relay
// ends by itself.
func TestStandbyFaults(t *testing.T) {
	turns := 0
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 0))
				source, log := newSource(t, 7), eventstore.NewMemoryLog()
				var h history
				var mu sync.Mutex
				var work sync.WaitGroup
				run := func(n int) context.CancelFunc {
					faulty := &faultyLog{Log: log, rnd: rand.New(rand.NewPCG(seed, rnd.Uint64())), rate: 0.1}
					faulty.left.Store(20)
					relay := newRelay(t, cdc.Config{Source: source, Log: standbyLog{faulty, log}, FlushBytes: 1 + rnd.IntN(5000), Standby: true, Name: fmt.Sprint(n),
						Hooks: cdc.Hooks{Leading: func(cdc.LeadingInfo) { mu.Lock(); turns++; mu.Unlock() }}})
					ctx, cancel := context.WithCancel(t.Context())
					work.Go(func() {
						if err := relay.Run(ctx); err != nil && (ctx.Err() == nil || !errors.Is(err, errInjected)) {
							t.Errorf("relay %d: %v", n, err)
						}
					})
					return cancel
				}
				stop := []context.CancelFunc{run(0), run(1), run(2)}
				for range 30 {
					h.commit(source, rnd, 10)
					time.Sleep(time.Duration(rnd.IntN(3000)) * time.Millisecond)
					switch n := rnd.IntN(len(stop)); rnd.IntN(4) {
					case 0:
						stop[n]()
						stop[n] = run(n)
					case 1:
						if _, err := log.Begin(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
				}
				awaitPosition(t, log, source)
				for _, s := range stop {
					s()
				}
				work.Wait()
				h.check(t, log, true)
			})
		})
	}
	if turns < 600 {
		t.Errorf("only %d turns", turns)
	}
}

// Standbys wait and see who leads; when the leader ends, one follows at once, and when it falls silent after the patience.
func TestStandbySuccession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, log := newSource(t, 0), eventstore.NewMemoryLog()
		var h history
		leading := make(chan cdc.LeadingInfo, 10)
		seen := make(chan cdc.StandbyInfo, 10)
		var work sync.WaitGroup
		defer work.Wait()
		start := func(name string) context.CancelFunc {
			relay := newRelay(t, cdc.Config{Source: source, Log: log, Standby: true, Name: name, Hooks: cdc.Hooks{
				Leading: func(i cdc.LeadingInfo) { leading <- i }, Standby: func(i cdc.StandbyInfo) { seen <- i }}})
			ctx, cancel := context.WithCancel(t.Context())
			work.Go(func() {
				if err := relay.Run(ctx); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
			return cancel
		}
		// A leader that says nothing more: it has won its turn, and never resigns.
		silent, die := context.WithCancel(t.Context())
		if _, err := log.Lead(silent, eventstore.Contender{Name: "silent"}); err != nil {
			t.Fatal(err)
		}
		a := start("a")
		if got, want := <-seen, (cdc.StandbyInfo{Leader: "silent", Term: 1}); got != want {
			t.Errorf("a sees %+v, want %+v", got, want)
		}
		time.Sleep(time.Hour)
		die()
		if got, want := <-leading, (cdc.LeadingInfo{Name: "a", Term: 2, Epoch: 1, Silence: 2 * time.Second}); got != want {
			t.Errorf("leading %+v, want %+v", got, want)
		}
		b := start("b")
		if got, want := <-seen, (cdc.StandbyInfo{Leader: "a", Term: 2}); got != want {
			t.Errorf("b sees %+v, want %+v", got, want)
		}
		h.commit(source, rand.New(rand.NewPCG(1, 1)), 30)
		awaitPosition(t, log, source)
		a()
		if got := <-leading; got.Name != "b" || got.Term != 3 || got.Silence != 0 {
			t.Errorf("leading %+v, want b at once", got)
		}
		h.commit(source, rand.New(rand.NewPCG(1, 2)), 30)
		awaitPosition(t, log, source)

		if _, err := log.Begin(t.Context()); err != nil { // a relay that does not stand by
			t.Fatal(err)
		}
		h.commit(source, rand.New(rand.NewPCG(1, 3)), 30)
		if got := <-leading; got.Name != "b" || got.Epoch != 4 {
			t.Errorf("leading %+v, want b again", got)
		}
		awaitPosition(t, log, source)
		b()
		work.Wait()
		h.check(t, log, true)
	})
}

func TestStandbyNeedsLeaderLog(t *testing.T) {
	_, err := cdc.NewRelay(cdc.Config{Source: newSource(t, 0), Log: &faultyLog{}, Standby: true, Patience: time.Millisecond})
	for _, want := range []string{"Standby needs a Log that is an eventstore.LeaderLog", "Patience is 1ms, want at least 100ms"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// A relay of another database that was given the pipeline's name is refused, and the pipeline's own relay does not notice.
func TestTwoPipelinesOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, log := newSource(t, 0), eventstore.NewMemoryLog()
		var h history
		h.commit(source, rand.New(rand.NewPCG(1, 1)), 30)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- newRelay(t, cdc.Config{Source: source, Log: log}).Run(ctx) }()
		awaitPosition(t, log, source)

		other := newSource(t, 0)
		var unrelated history
		unrelated.commit(other, rand.New(rand.NewPCG(1, 1)), 30)
		for _, standby := range []bool{false, true} {
			err := newRelay(t, cdc.Config{Source: foreign{other}, Log: log, Standby: standby}).Run(t.Context())
			if !errors.Is(err, cdc.ErrForeignServer) {
				t.Errorf("standby %v: got %v, want ErrForeignServer", standby, err)
			}
		}
		h.commit(source, rand.New(rand.NewPCG(1, 2)), 30)
		awaitPosition(t, log, source)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		h.check(t, log, true)
	})
}

// foreign is a source of another history.
type foreign struct{ cdc.Source }

func (f foreign) Executed(ctx context.Context) (cdc.Position, error) {
	p, err := f.Source.Executed(ctx)
	p.GTIDs = "11111111-2222-3333-4444-555555555555:1-7"
	return p, err
}
