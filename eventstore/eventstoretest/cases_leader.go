package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// contend waits for a turn in a process of its own. No one but a dead one is replaced in the time of a test.
func (b *bench) contend(ctx context.Context, t *testing.T, c eventstore.Contender) (eventstore.Leadership, error) {
	t.Helper()
	log, ok := b.store.Open(t, nil).(eventstore.LeaderLog)
	if !ok {
		t.Fatal("the log is no LeaderLog")
	}
	if c.Patience == 0 {
		c.Patience = time.Minute
	}
	return log.Lead(ctx, c)
}

// lead takes a turn that must come. The test has to resign before its end, when the store may still be written to.
func (b *bench) lead(t *testing.T, name string) eventstore.Leadership {
	t.Helper()
	turn, err := b.contend(t.Context(), t, eventstore.Contender{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return turn
}

// Of several contenders one leads; when it resigns another one does, at once, until all had their turn. Terms rise.
func oneLeads(t *testing.T, b *bench) {
	const n = 4
	type result struct {
		turn eventstore.Leadership
		err  error
	}
	turns := make(chan result, n)
	for i := range n {
		go func() {
			turn, err := b.contend(t.Context(), t, eventstore.Contender{Name: fmt.Sprint("contender ", i)})
			turns <- result{turn, err}
		}()
	}
	seen, term := map[string]bool{}, uint64(0)
	for range n {
		r := <-turns
		if r.err != nil {
			t.Fatal(r.err)
		}
		now := r.turn.Leader()
		if seen[now.Name] || now.Term <= term || !now.Self {
			t.Errorf("after term %d of %v: %+v", term, seen, now)
		}
		seen[now.Name], term = true, now.Term
		select {
		case <-r.turn.Lost():
			t.Errorf("%+v was replaced without having resigned", now)
		case other := <-turns:
			t.Fatalf("%+v leads beside %+v (%v)", other.turn.Leader(), now, other.err)
		default:
		}
		if err := r.turn.Resign(t.Context()); err != nil {
			t.Errorf("resign: %v", err)
		}
	}
}

// A leader that dies is replaced after the others' patience, who see who leads.
func deadLeader(t *testing.T, b *bench) {
	const patience = 500 * time.Millisecond
	dying, die := context.WithCancel(t.Context())
	first, err := b.contend(dying, t, eventstore.Contender{Name: "first", Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan eventstore.Leader, 100)
	second := make(chan error, 1)
	var turn eventstore.Leadership
	go func() {
		var err error
		turn, err = b.contend(t.Context(), t, eventstore.Contender{Name: "second", Patience: patience, Changed: func(l eventstore.Leader) { seen <- l }})
		second <- err
	}()
	defer first.Resign(t.Context())
	if now, want := <-seen, (eventstore.Leader{Term: first.Leader().Term, Name: "first"}); now != want {
		t.Errorf("the second sees %+v, want %+v", now, want)
	}
	die()
	if err := <-second; err != nil {
		t.Fatal(err)
	}
	defer turn.Resign(t.Context())
	want := eventstore.Leader{Term: first.Leader().Term + 1, Name: "second", Self: true}
	if now := turn.Leader(); now != want {
		t.Errorf("%+v leads, want %+v", now, want)
	}
	if now := <-seen; now != want {
		t.Errorf("the second sees %+v, want %+v", now, want)
	}
	if turn.Silence() < patience {
		t.Errorf("replaced after %v, the patience is %v", turn.Silence(), patience)
	}
}

// Who leads may write, and is fenced by who leads next, whatever it believes.
func formerLeader(t *testing.T, b *bench) {
	turn := b.lead(t, "first")
	old := b.first(t, nil)
	if err := turn.Resign(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer b.lead(t, "second").Resign(t.Context())
	b.begin(t, nil).append(t, tx(1, orders))
	if err := old.Append(t.Context(), flush(tx(1, stock))); !errors.Is(err, eventstore.ErrFenced) {
		t.Errorf("append of the former leader: %v, want ErrFenced", err)
	}
}

// Waiting ends with its context.
func cancelContending(t *testing.T, b *bench) {
	defer b.lead(t, "first").Resign(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	_, err := b.contend(ctx, t, eventstore.Contender{Name: "second", Changed: func(eventstore.Leader) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("lead: %v, want context.Canceled", err)
	}
}
