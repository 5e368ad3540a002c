package projector_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// stuckStates commit nothing after a while, as a disk that loses what was not synced.
type stuckStates struct {
	*projector.MemoryStates
	stuck atomic.Bool
}

func (s *stuckStates) Open(ctx context.Context, name string) (projector.LocalState, error) {
	state, err := s.MemoryStates.Open(ctx, name)
	return &stuckState{state, s}, err
}

type stuckState struct {
	projector.LocalState
	states *stuckStates
}

func (s *stuckState) Commit() error {
	if s.states.stuck.Load() {
		return nil
	}
	return s.LocalState.Commit()
}

// TestJoinStateBehind (C19, the sink is ahead): the state catches up in silence, and does not take the bytes that it remembers for those that the sink has.
func TestJoinStateBehind(t *testing.T) {
	r, states := newRig(t), &stuckStates{MemoryStates: projector.NewMemoryStates()}
	runner, stop := r.run(projector.Config{Projectors: []projector.Projector{sums()}, States: states})
	r.waitFor(runner, "sums", r.commit(owner(1, 5), owner(2, 2)))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	states.stuck.Store(true)
	runner, stop = r.run(projector.Config{Projectors: []projector.Projector{sums()}, States: states})
	r.waitFor(runner, "sums", r.commit(owner(1, 0)))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	states.stuck.Store(false)
	sink := &noted{Sink: r.sink}
	runner, stop = r.run(projector.Config{Projectors: []projector.Projector{sums()}, Sinks: []projector.Sink{sink}, States: states})
	r.waitFor(runner, "sums", r.commit(owner(2, 3)))
	if len(sink.writes) != 1 || sink.writes["2"] == nil {
		t.Errorf("written while catching up: %v, want 2 only", sink.writes)
	}
	r.waitFor(runner, "sums", r.commit(owner(1, 5))) // what the state had seen written
	r.want("sums", map[string]string{"1": `{"N":5,"Sum":0}`, "2": `{"N":3,"Sum":0}`})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// brokenStates are damaged at one call, and with rnd at others after it.
type brokenStates struct {
	*projector.MemoryStates
	calls, at int
	rot       bool // bytes change, and nothing is said
	rnd       *rand.Rand
}

func (s *brokenStates) Open(ctx context.Context, name string) (projector.LocalState, error) {
	state, err := s.MemoryStates.Open(ctx, name)
	if err == nil && s.hit() {
		return nil, errors.Join(fmt.Errorf("manifest: %w", projector.ErrStateLost), state.Close())
	}
	return &brokenState{state, s}, err
}

func (s *brokenStates) hit() bool {
	if s.calls++; s.calls != s.at {
		return false
	}
	if s.rnd != nil {
		s.at += 1 + s.rnd.IntN(1000+s.calls) // seldom enough for a state to be built anew
	}
	return true
}

type brokenState struct {
	projector.LocalState
	states *brokenStates
}

func (s *brokenState) Get(key []byte) ([]byte, bool, error) {
	value, found, err := s.LocalState.Get(key)
	if s.states.hit() {
		if !s.states.rot {
			return nil, false, fmt.Errorf("checksum: %w", projector.ErrStateLost)
		}
		if len(value) > 0 && key[0] == 'r' {
			return bytes.Repeat([]byte{'x'}, len(value)), found, err
		}
	}
	return value, found, err
}

func (s *brokenState) Scan(low, high []byte, yield func(key, value []byte) bool) error {
	if s.states.hit() && !s.states.rot {
		return fmt.Errorf("checksum: %w", projector.ErrStateLost)
	}
	return s.LocalState.Scan(low, high, yield)
}

// TestJoinStateDamaged: a local state that turns out to be damaged, at whatever call, is built anew by itself.
func TestJoinStateDamaged(t *testing.T) {
	join := sums()
	join.CacheBytes = 1 // the state is read each time
	for _, rot := range []bool{false, true} {
		for at := 1; ; at += 7 {
			broken := &brokenStates{MemoryStates: projector.NewMemoryStates(), at: at, rot: rot}
			bubble(t, func(t *testing.T) {
				r := newRig(t)
				for range 2 {
					runner, stop := r.run(projector.Config{Projectors: []projector.Projector{join}, States: broken})
					r.waitFor(runner, "sums", r.commit(owner(1, 1), thing(1, 1, 5), thing(2, 2, 5)))
					for n := range 10 {
						r.waitFor(runner, "sums", r.commit(owner(2, n+10), thing(1, 2, n)))
					}
					r.waitFor(runner, "sums", r.commit(owner(2, 2), thing(1, 2, 6)))
					r.want("sums", map[string]string{"1": `{"N":1,"Sum":0}`, "2": `{"N":2,"Sum":11}`})
					r.waitFor(runner, "sums", r.commit(projectortest.Del("shop.owner", rowA{ID: 2})))
					r.want("sums", map[string]string{"1": `{"N":1,"Sum":0}`})
					if err := stop(); err != nil {
						t.Fatal(err)
					}
				}
			})
			if t.Failed() {
				t.Fatalf("damaged at call %d, rot %v", at, rot)
			}
			if broken.calls < at {
				if at < 50 {
					t.Fatalf("only %d calls were seen", broken.calls)
				}
				break
			}
		}
	}
}

// TestJoinStateLostAnywhere: whatever a join was at when its local state was lost, its documents are those of a full recompute.
func TestJoinStateLostAnywhere(t *testing.T) {
	for _, c := range []struct {
		join   projectortest.JoinUnderTest
		tables []projectortest.RandomTable
	}{
		{jHomes(), []projectortest.RandomTable{jCatalogs, jCategories, jProducts, jStocks}},
		{spreadAlways(jHomes()), []projectortest.RandomTable{jCatalogs, jCategories, jProducts, jStocks}},
		{jOrderDocs(), []projectortest.RandomTable{jCustomers, jOrders, jItems, jArticles, jTaggeds, jTags, jSettings}},
		{spreadAlways(jTrees()), []projectortest.RandomTable{jNodes}},
	} {
		broken := &brokenStates{at: 300, rnd: rand.New(rand.NewPCG(1, 1))}
		bubble(t, func(t *testing.T) {
			projectortest.DifferentialOn(t, func() projector.LocalStates {
				broken.MemoryStates = projector.NewMemoryStates()
				return broken
			}, c.join, 1_000, 1, c.tables...)
		})
		if broken.at == 300 {
			t.Errorf("only %d calls were seen", broken.calls)
		}
	}
}
