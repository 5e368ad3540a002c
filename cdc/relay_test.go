package cdc_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

func newSource(t testing.TB, sliceRows int) *cdc.MemorySource {
	t.Helper()
	source, err := cdc.NewMemorySource(cdc.Filter{Exclude: []string{"*.ignored"}}, sliceRows)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func newRelay(t testing.TB, cfg cdc.Config) *cdc.Relay {
	t.Helper()
	relay, err := cdc.NewRelay(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return relay
}

// untilCaughtUp runs the relay until the log's watermark covers everything the source has executed.
func untilCaughtUp(t *testing.T, relay *cdc.Relay, source cdc.Source, log eventstore.Log) {
	t.Helper()
	end, err := source.Executed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	runUntil(t, relay, log, end.GTIDs)
}

// runUntil runs the relay until the log's watermark covers gtids.
func runUntil(t *testing.T, relay *cdc.Relay, log eventstore.Log, gtids string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	for w, err := range log.Cuts(ctx, eventstore.CutOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if covered, err := w.Watermark.Position.Covers(gtids); err != nil {
			t.Fatal(err)
		} else if covered {
			break
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatalf("run: %v", err)
	}
}

// TestRelayFaults: whatever fails, and wherever a flush lands in part, the log is the source's history.
func TestRelayFaults(t *testing.T) {
	tails := 0
	for seed := range uint64(150) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 0))
				source, log := newSource(t, 7), eventstore.NewMemoryLog()
				var h history
				h.commit(source, rnd, 150)
				faulty := &faultyLog{Log: log, rnd: rnd, rate: 0.3}
				faulty.left.Store(30)
				cut := &faultySource{Source: source, rnd: rand.New(rand.NewPCG(seed, 1)), rate: 0.02}
				cut.left.Store(20)
				relay := newRelay(t, cdc.Config{Source: cut, Log: faulty, FlushBytes: 1 + rnd.IntN(5000),
					Hooks: cdc.Hooks{TailFinished: func(cdc.TailInfo) { tails++ }}})
				for err := errInjected; err != nil; { // a first session that fails is not retried
					ctx, cancel := context.WithCancel(t.Context())
					end, _ := source.Executed(ctx)
					done := make(chan error, 1)
					go func() { done <- relay.Run(ctx) }()
					reached := make(chan struct{})
					go func() {
						defer close(reached)
						for w, err := range log.Cuts(ctx, eventstore.CutOptions{}) {
							if covered, _ := w.Watermark.Position.Covers(end.GTIDs); err != nil || covered {
								return
							}
						}
					}()
					select {
					case err = <-done:
						if !errors.Is(err, eventstore.ErrUnavailable) && !errors.Is(err, cdc.ErrUnavailable) {
							t.Fatalf("run: %v", err)
						}
						cancel()
						<-reached
					case <-reached:
						cancel()
						if err = <-done; err != nil && !errors.Is(err, eventstore.ErrUnavailable) {
							t.Fatalf("drain: %v", err)
						}
					}
				}
				h.check(t, log, true)
			})
		})
	}
	if tails < 100 {
		t.Errorf("only %d tails were finished by a successor", tails)
	}
}

// TestRelayFailover: the successor finds the same transactions in another order, and keeps the numbers the log has.
func TestRelayFailover(t *testing.T) {
	finished := 0
	for seed := range uint64(200) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 0))
				source, log := newSource(t, 7), eventstore.NewMemoryLog()
				var h history
				h.commit(source, rnd, 60)
				faulty := &faultyLog{Log: log, rnd: rnd, rate: 0.4}
				faulty.left.Store(1)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				first := newRelay(t, cdc.Config{Source: source, Log: faulty, FlushBytes: 3000,
					Hooks: cdc.Hooks{Retrying: func(cdc.RetryInfo) { cancel() }, Flushed: func(i cdc.FlushInfo) {
						if i.CSN == 60 {
							cancel()
						}
					}}})
				if err := first.Run(ctx); err != nil && !errors.Is(err, errInjected) {
					t.Fatal(err)
				}
				h.commit(source, rnd, 40)
				last := h.ids[len(h.ids)-1]
				source.Commit() // the reordering reads one ahead
				source.Commit()
				second := newRelay(t, cdc.Config{Source: &reordered{source, rnd}, Log: log, FlushBytes: 3000,
					Hooks: cdc.Hooks{TailFinished: func(cdc.TailInfo) { finished++ }}})
				runUntil(t, second, log, h.ids[0][:37]+"1-"+last[37:])
				h.check(t, log, false)
			})
		})
	}
	if finished < 20 {
		t.Errorf("only %d tails were finished on the other server", finished)
	}
}

func TestRelayFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, log := newSource(t, 0), eventstore.NewMemoryLog()
		var h history
		h.commit(source, rand.New(rand.NewPCG(1, 1)), 5)
		relay := newRelay(t, cdc.Config{Source: source, Log: log})
		done := make(chan error, 1)
		go func() { done <- relay.Run(t.Context()) }()
		synctest.Wait()
		if _, err := log.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.commit(source, rand.New(rand.NewPCG(1, 2)), 5)
		if err := <-done; !errors.Is(err, eventstore.ErrFenced) {
			t.Fatalf("got %v, want ErrFenced", err)
		}
	})
}

// TestRelayHeartbeat: an idle relay repeats its watermark.
func TestRelayHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, log := newSource(t, 0), eventstore.NewMemoryLog()
		relay := newRelay(t, cdc.Config{Source: source, Log: log, Heartbeat: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- relay.Run(ctx) }()
		beats := 0
		for _, err := range log.Cuts(ctx, eventstore.CutOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			if beats++; beats == 4 {
				break
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// TestRelayDrains: what is in hand when the context ends is appended and recorded, and Run returns nil.
func TestRelayDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, log := newSource(t, 0), eventstore.NewMemoryLog()
		var h history
		h.commit(source, rand.New(rand.NewPCG(3, 3)), 20)
		ctx, cancel := context.WithCancel(t.Context())
		relay := newRelay(t, cdc.Config{Source: source, Log: log, Hooks: cdc.Hooks{Flushing: func(cdc.FlushInfo) { cancel() }}})
		if err := relay.Run(ctx); err != nil {
			t.Fatal(err)
		}
		head, _, err := log.Head(t.Context())
		if err != nil || head.CSN == 0 {
			t.Fatalf("nothing was recorded: csn %d, %v", head.CSN, err)
		}
		untilCaughtUp(t, newRelay(t, cdc.Config{Source: source, Log: log}), source, log)
		h.check(t, log, true)
	})
}

func TestRelayRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(4, 4))
		log := eventstore.NewMemoryLog()
		purged := newSource(t, 0)
		new(history).commit(purged, rnd, 5)
		purged.Purge(3)
		if err := newRelay(t, cdc.Config{Source: purged, Log: log, Snapshot: cdc.SnapshotConfig{Mode: cdc.SnapshotNever}}).Run(t.Context()); !errors.Is(err, cdc.ErrPositionLost) {
			t.Errorf("first start after a purge: got %v, want ErrPositionLost", err)
		}
		if _, found, _ := log.Head(t.Context()); found {
			t.Error("something was written before the refusal")
		}

		full := newSource(t, 0)
		var h history
		h.commit(full, rnd, 20)
		h.settle(full)
		untilCaughtUp(t, newRelay(t, cdc.Config{Source: full, Log: log}), full, log)
		fewer := newSource(t, 0)
		new(history).commit(fewer, rnd, 3)
		if err := newRelay(t, cdc.Config{Source: fewer, Log: log}).Run(t.Context()); !errors.Is(err, cdc.ErrSourceBehind) {
			t.Errorf("a server that lost commits: got %v, want ErrSourceBehind", err)
		}
		full.Purge(20)
		if _, err := full.Prepare("left"); err != nil {
			t.Fatal(err)
		}
		untilCaughtUp(t, newRelay(t, cdc.Config{Source: full, Log: log}), full, log) // what was purged is in the log
		full.Purge(1000)
		if err := newRelay(t, cdc.Config{Source: full, Log: log}).Run(t.Context()); !errors.Is(err, cdc.ErrPositionLost) {
			t.Errorf("a purged prepare that is open: got %v, want ErrPositionLost", err)
		}
	})
}

// TestRelayConfigChanged: an unfinished flush is not finished under another filter.
func TestRelayConfigChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(5, 5))
		source, log := newSource(t, 0), eventstore.NewMemoryLog()
		new(history).commit(source, rnd, 20)
		w, err := log.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		oldest, _ := source.Oldest(t.Context())
		if err := w.Watermark(t.Context(), eventstore.Watermark{Position: oldest}); err != nil {
			t.Fatal(err)
		}
		end, _ := source.Executed(t.Context())
		id, _, _ := strings.Cut(end.GTIDs, ":")
		f := eventstore.Flush{Records: []eventstore.Record{{Place: eventstore.Place{CSN: 1}, Topic: "shop.product", Key: []byte(`{"id":1}`), Value: []byte(`{}`)}}}
		f.Stamp.Config = "another"
		f.Stamp.Add(1, id+":1")
		if err := w.Append(t.Context(), &f); err != nil {
			t.Fatal(err)
		}
		if err := newRelay(t, cdc.Config{Source: source, Log: log}).Run(t.Context()); !errors.Is(err, cdc.ErrConfigChanged) {
			t.Errorf("got %v, want ErrConfigChanged", err)
		}
	})
}

func TestNewRelayNamesEveryProblem(t *testing.T) {
	_, err := cdc.NewRelay(cdc.Config{FlushBytes: -1, HoldBytes: -1, CatchUp: -1, Heartbeat: -1, DrainTimeout: -1})
	for _, field := range []string{"Source", "Log", "FlushBytes", "HoldBytes", "CatchUp", "Heartbeat", "DrainTimeout"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
}

// TestNewRelayNil: a nil pointer is a missing source or log, as nil is, and so is a topology without servers; nothing panics.
func TestNewRelayNil(t *testing.T) {
	source, log := newSource(t, 0), eventstore.NewMemoryLog()
	for want, cfg := range map[string]cdc.Config{
		"Source is missing":      {Source: (*cdc.MemorySource)(nil), Log: log},
		"Log is missing":         {Source: source, Log: (*eventstore.MemoryLog)(nil), Standby: true},
		"of 0 servers":           {Source: &topology{Source: source}, Log: log},
		"of 1 servers":           {Source: &topology{Source: source, servers: []cdc.Server{{Name: "a"}}}, Log: log},
		"Signals needs a Source": {Source: (*topology)(nil), Log: log, Snapshot: cdc.SnapshotConfig{Signals: "shop.signals"}},
	} {
		if _, err := cdc.NewRelay(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
