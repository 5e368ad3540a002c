package cdc_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

// topology is a source of several servers.
type topology struct {
	cdc.Source
	servers []cdc.Server
}

func (top *topology) Servers() []cdc.Server { return top.servers }

// node is a server that can be down, and counts how often it was asked and checked.
type node struct {
	*cdc.MemorySource
	history  history
	executed string // instead of its own set
	down     atomic.Bool
	wrong    error // what its check says
	opened   atomic.Int64
	checked  atomic.Int64
}

var errDown = errors.Join(errors.New("connection refused"), cdc.ErrUnavailable)

func (n *node) Check(ctx context.Context) error {
	n.checked.Add(1)
	return n.wrong
}

func (n *node) Executed(ctx context.Context) (cdc.Position, error) {
	if n.down.Load() {
		return cdc.Position{}, errDown
	}
	p, err := n.MemorySource.Executed(ctx)
	if n.executed != "" {
		p.GTIDs = n.executed
	}
	return p, err
}

func (n *node) Open(ctx context.Context, from cdc.Position) (cdc.Stream, error) {
	if n.down.Load() {
		return nil, errDown
	}
	stream, err := n.MemorySource.Open(ctx, from)
	if err != nil {
		return nil, err
	}
	n.opened.Add(1)
	return &nodeStream{stream, n}, nil
}

type nodeStream struct {
	cdc.Stream
	node *node
}

func (st *nodeStream) Next(ctx context.Context) (*cdc.Slice, error) {
	if st.node.down.Load() {
		return nil, errDown
	}
	slice, err := st.Stream.Next(ctx)
	if st.node.down.Load() {
		return nil, errDown
	}
	return slice, err
}

// commit commits n transactions, and what is prepared; on each server the same ones for the same seed.
func (n *node) commit(seed uint64, transactions int) {
	n.history.commit(n.MemorySource, rand.New(rand.NewPCG(9, seed)), transactions)
	n.history.settle(n.MemorySource)
}

// nodes returns a topology of n servers, each with the same first transactions.
func nodes(t *testing.T, n, transactions int) ([]*node, *topology) {
	t.Helper()
	var all []*node
	top := &topology{}
	for i := range n {
		one := &node{MemorySource: newSource(t, 0)}
		one.commit(0, transactions)
		all = append(all, one)
		top.servers = append(top.servers, cdc.Server{Name: string(rune('a' + i)), Source: one})
	}
	top.Source = all[0]
	return all, top
}

// start runs a relay of the topology and returns how to end it.
func (top *topology) start(t *testing.T, log eventstore.Log, hooks cdc.Hooks) (stop func() error) {
	relay := newRelay(t, cdc.Config{Source: top, Log: log, Hooks: hooks})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	synctest.Wait()
	return func() error {
		cancel()
		return <-done
	}
}

// TestTopologyFailover: when the server that is followed goes away, the next one is that has everything; and it stays the one, also when
// the first is back.
func TestTopologyFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, top := nodes(t, 3, 30)
		log := eventstore.NewMemoryLog()
		retries := 0
		stop := top.start(t, log, cdc.Hooks{Retrying: func(cdc.RetryInfo) { retries++ }})
		all[0].commit(1, 5) // the second server lacks them
		all[2].commit(1, 5)
		synctest.Wait()
		all[0].down.Store(true)
		all[0].Commit() // wakes the stream, and is lost with the server
		time.Sleep(time.Minute)
		all[0].down.Store(false)
		all[2].commit(2, 20)
		time.Sleep(time.Minute)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if a, b, c := all[0].opened.Load(), all[1].opened.Load(), all[2].opened.Load(); a != 1 || b != 0 || c != 1 || retries != 1 {
			t.Errorf("the servers were opened %d, %d and %d times, with %d retries; want 1, 0, 1 and 1", a, b, c, retries)
		}
		if all[1].checked.Load() != 0 || all[2].checked.Load() != 1 {
			t.Errorf("the servers were checked %d and %d times, want 0 and 1", all[1].checked.Load(), all[2].checked.Load())
		}
		all[2].history.check(t, log, true)
	})
}

// TestTopologyCatchUp: when every server lags, the start waits for one.
func TestTopologyCatchUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, top := nodes(t, 2, 10)
		log := eventstore.NewMemoryLog()
		all[0].commit(1, 5)
		untilCaughtUp(t, newRelay(t, cdc.Config{Source: all[0], Log: log}), all[0].MemorySource, log)
		all[0].down.Store(true)
		stop := top.start(t, log, cdc.Hooks{})
		time.Sleep(20 * time.Second)
		if all[1].opened.Load() != 0 {
			t.Fatal("a server that lacks what the log holds was followed")
		}
		all[1].commit(1, 5)
		time.Sleep(2 * time.Second)
		if err := stop(); err != nil || all[1].opened.Load() != 1 {
			t.Errorf("the server that caught up was opened %d times; %v", all[1].opened.Load(), err)
		}
	})
}

// TestTopologyRefuses: each server is passed over for a reason of its own, and all reasons are said.
func TestTopologyRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, top := nodes(t, 5, 10)
		log := eventstore.NewMemoryLog()
		for _, i := range []int{0, 2, 3} {
			all[i].commit(1, 5)
		}
		untilCaughtUp(t, newRelay(t, cdc.Config{Source: all[0], Log: log}), all[0].MemorySource, log)
		all[0].down.Store(true)
		all[2].wrong = &cdc.CheckError{Server: "c", Problems: []cdc.Problem{{What: "binlog_format is MIXED, want ROW"}}}
		for range 2 {
			all[3].Commit()
		}
		all[3].Purge(1000)
		all[4].executed = "99999999-0000-4000-8000-000000000001:1-100"
		top.Source = all[1]
		began := time.Now()
		err := newRelay(t, cdc.Config{Source: top, Log: log, CatchUp: 7 * time.Second}).Run(t.Context())
		for _, want := range []error{cdc.ErrUnavailable, cdc.ErrSourceBehind, cdc.ErrPositionLost, cdc.ErrForeignServer} {
			if !errors.Is(err, want) {
				t.Errorf("%v does not say %v", err, want)
			}
		}
		for _, text := range []string{"a: executed set: connection refused", "b: " + cdc.ErrSourceBehind.Error(), "binlog_format", "d: open stream: " + cdc.ErrPositionLost.Error(), "e: " + cdc.ErrForeignServer.Error()} {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%v does not say %q", err, text)
			}
		}
		if waited := time.Since(began); waited < 7*time.Second || waited > 9*time.Second {
			t.Errorf("waited %v for the server that lags", waited)
		}
		all[0].down.Store(false)
		stop := top.start(t, log, cdc.Hooks{})
		if err := stop(); err != nil || all[0].opened.Load() != 2 {
			t.Errorf("the server that is back was opened %d times; %v", all[0].opened.Load(), err)
		}
	})
}

// TestTopologyLoss: a running relay whose log holds what the promoted server lost stops, although the old server may come back.
func TestTopologyLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, top := nodes(t, 2, 10)
		log := eventstore.NewMemoryLog()
		stop := top.start(t, log, cdc.Hooks{})
		all[0].Commit()
		synctest.Wait()
		all[0].down.Store(true)
		all[0].Commit()
		time.Sleep(time.Hour)
		if err := stop(); !errors.Is(err, cdc.ErrSourceBehind) {
			t.Errorf("got %v, want ErrSourceBehind", err)
		}
	})
}

// TestTopologyStandsStill: a server that nothing comes to any more, while another goes on, is left for that one; one that has as much as
// the others is not, and neither is one that only lags.
func TestTopologyStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, top := nodes(t, 3, 10)
		log := eventstore.NewMemoryLog()
		stop := top.start(t, log, cdc.Hooks{})
		time.Sleep(time.Hour + time.Second)
		for range 10 { // it lags, but comes along
			all[1].Commit()
			all[0].Commit()
			all[1].Commit()
			time.Sleep(time.Minute)
		}
		if all[1].opened.Load() != 0 {
			t.Fatal("a server that lags was left")
		}
		time.Sleep(3 * time.Minute)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if a, b, c := all[0].opened.Load(), all[1].opened.Load(), all[2].opened.Load(); a != 1 || b != 1 || c != 0 {
			t.Errorf("the servers were opened %d, %d and %d times, want 1, 1 and 0", a, b, c)
		}
		end, _ := all[1].MemorySource.Executed(t.Context())
		head, _, err := log.Head(t.Context())
		if covered, _ := head.Position.Covers(end.GTIDs); err != nil || !covered {
			t.Errorf("the log ends at %v, the server at %v; %v", head.Position, end, err)
		}
	})
}

// forgetful is a source that says how long it keeps its binlog.
type forgetful struct {
	*cdc.MemorySource
	left atomic.Int64
	from []string // the positions that were asked about
}

func (f *forgetful) Horizon(_ context.Context, from cdc.Position) (cdc.Horizon, error) {
	f.from = append(f.from, from.GTIDs)
	return cdc.Horizon{Server: "a", Oldest: "binlog.1", File: "binlog.2", Expiry: 8 * time.Hour, Left: time.Duration(f.left.Load())}, nil
}

// TestHorizon: the relay asks again and again how long the server keeps what it needs next, and warns when that becomes short.
func TestHorizon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &forgetful{MemorySource: newSource(t, 0)}
		source.left.Store(int64(5 * time.Hour))
		var text strings.Builder
		seen := 0
		relay := newRelay(t, cdc.Config{Source: source, Log: eventstore.NewMemoryLog(), WatchPeriod: 10 * time.Minute,
			Logger: slog.New(slog.NewTextHandler(&text, nil)), Hooks: cdc.Hooks{Horizon: func(cdc.Horizon) { seen++ }}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- relay.Run(ctx) }()
		synctest.Wait()
		id := source.Commit()
		time.Sleep(15 * time.Minute)
		synctest.Wait()
		warned := strings.Contains(text.String(), "may soon purge")
		source.left.Store(int64(119 * time.Minute))
		time.Sleep(10 * time.Minute)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if seen != 3 || len(source.from) != 3 || source.from[0] != "" || source.from[1] != id {
			t.Errorf("asked about %q, and told %d times", source.from, seen)
		}
		if warned || !strings.Contains(text.String(), "may soon purge") {
			t.Errorf("warned at 5 h: %v; log:\n%s", warned, &text)
		}
	})
}
