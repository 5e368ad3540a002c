package election

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace-go/millrace/internal/pause"
)

// list is a list in memory behind a network for each member, whose appends and reads may fail and be late.
type list struct {
	mu      sync.Mutex
	entries []Entry
	cut     int // entries before it are gone
	changed chan struct{}
}

func newList() *list { return &list{changed: make(chan struct{})} }

func (l *list) add(r Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, Entry{int64(len(l.entries)), r})
	close(l.changed)
	l.changed = make(chan struct{})
}

var errInjected = errors.New("injected")

// link is one member's way to the list.
type link struct {
	*list
	mu   sync.Mutex
	rnd  *rand.Rand
	rate float64 // of appends that fail, half of them after the record was added, and of reads that fail
	down bool
	late time.Duration // how long appends take at most
}

func (l *link) set(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
}

// fate draws whether a request fails before and after it has arrived.
func (l *link) fate() (before, after bool, late time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.late > 0 {
		late = time.Duration(l.rnd.Int64N(int64(l.late)))
	}
	if l.down {
		return true, true, late
	}
	x := l.rnd.Float64()
	return x < l.rate/2, x < l.rate, late
}

func (l *link) Append(ctx context.Context, r Record) error {
	before, after, late := l.fate()
	if !pause.For(ctx, late) {
		if !before {
			l.add(r) // it arrives all the same
		}
		return ctx.Err()
	}
	if !before {
		l.add(r)
	}
	if after {
		return errInjected
	}
	return nil
}

func (l *link) Read(ctx context.Context, from int64, wait time.Duration) ([]Entry, int64, error) {
	if before, _, _ := l.fate(); before {
		return nil, 0, errInjected
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		l.list.mu.Lock()
		entries, changed := l.entries, l.changed
		start := int64(l.cut)
		l.list.mu.Unlock()
		at := max(from, start)
		if from < 0 {
			at = max(start, int64(len(entries))-50)
		}
		if from < 0 || at < int64(len(entries)) {
			return entries[at:], int64(len(entries)), nil
		}
		select {
		case <-changed:
		case <-timer.C:
			return nil, from, nil
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

func (l *link) Lasting(error) bool { return false }

func (l *list) link() *link { return &link{list: l, rnd: rand.New(rand.NewPCG(1, 1))} }

func options(name string) Options {
	return Options{Name: name, Patience: 2 * time.Second, Logger: slog.New(slog.DiscardHandler)}
}

func lead(ctx context.Context, t *testing.T, l List, name string) *Leadership {
	t.Helper()
	got, err := Lead(ctx, l, options(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { got.Resign(context.WithoutCancel(t.Context())) })
	return got
}

// An empty list has a leader at once; a resignation makes room at once, a death after the patience.
func TestSuccession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newList()
		began := time.Now()
		a := lead(t.Context(), t, l.link(), "a")
		if a.Leader != (Leader{1, "a", true}) || time.Since(began) != 0 {
			t.Fatalf("%+v after %v", a.Leader, time.Since(began))
		}
		next := make(chan *Leadership, 1)
		dying, die := context.WithCancel(t.Context())
		go func() {
			b, _ := Lead(dying, l.link(), options("b"))
			next <- b
		}()
		time.Sleep(time.Hour)
		select {
		case <-next:
			t.Fatal("two lead")
		default:
		}
		began = time.Now()
		if err := a.Resign(t.Context()); err != nil {
			t.Fatal(err)
		}
		b := <-next
		if b.Leader != (Leader{2, "b", true}) || time.Since(began) != 0 {
			t.Fatalf("%+v after %v", b.Leader, time.Since(began))
		}
		die()
		began = time.Now()
		c := lead(t.Context(), t, l.link(), "c")
		if took := time.Since(began); c.Leader.Term != 3 || took != 2*time.Second || c.Silence != took {
			t.Fatalf("%+v after %v, silence %v", c.Leader, took, c.Silence)
		}
		b.Resign(t.Context())
	})
}

// A leader that is cut off is replaced, learns of it when it can read again, and its late words change nothing.
func TestCutOffLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newList()
		way := l.link()
		a := lead(t.Context(), t, way, "a")
		way.set(true)
		b := lead(t.Context(), t, l.link(), "b")
		l.add(Record{Op: Beat, Term: 1, Member: a.member.id})
		l.add(Record{Op: Resign, Term: 1, Member: a.member.id})
		l.add(Record{Op: Claim, Term: 2, Member: "late", Heard: 0})
		synctest.Wait()
		select {
		case <-b.Lost():
			t.Fatal("late words of a former leader ended the leadership")
		case <-a.Lost():
			t.Fatal("learnt of it without reading")
		default:
		}
		way.set(false)
		<-a.Lost()
	})
}

// While the list cannot be read nobody takes over, however long that lasts, and neither does one that has just been paused.
func TestUnreadableList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newList()
		ways := []*link{l.link(), l.link()}
		a := lead(t.Context(), t, ways[0], "a")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { _, err := Lead(ctx, ways[1], options("b")); done <- err }()
		time.Sleep(time.Second)
		for _, w := range ways {
			w.set(true)
		}
		time.Sleep(time.Minute)
		for _, w := range ways {
			w.set(false)
		}
		time.Sleep(time.Minute)
		select {
		case <-a.Lost():
			t.Fatal("the list was down, and the leader lost for it")
		default:
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	})
}

// A claim is void when the leader beat behind what the claimant had read.
func TestOvertakenClaim(t *testing.T) {
	s := newState()
	for i, r := range []Record{{Op: Claim, Term: 1, Member: "a", Heard: -1}, {Op: Beat, Term: 1, Member: "a"}, {Op: Claim, Term: 2, Member: "b", Heard: 0}} {
		s.apply(Entry{int64(i), r})
	}
	if s.member != "a" {
		t.Fatalf("%q leads", s.member)
	}
	s.apply(Entry{3, Record{Op: Claim, Term: 2, Member: "b", Heard: 1}})
	s.apply(Entry{4, Record{Op: Claim, Term: 2, Member: "c", Heard: 1}})
	if s.member != "b" {
		t.Fatalf("%q leads", s.member)
	}
}

// A reader that begins in the middle of the list comes to the state of those that read it all, as soon as it has read a beat.
func TestReadersAgree(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		full := newState()
		var entries []Entry
		for i := range int64(200) {
			r := Record{Op: Claim, Term: max(1, full.term+uint64(rnd.IntN(2))), Member: fmt.Sprint(rnd.IntN(4)), Heard: full.heard - int64(rnd.IntN(2))}
			if x := rnd.IntN(10); x < 6 && full.member != "" {
				r = Record{Op: Beat, Term: full.term, Member: full.member}
			} else if x == 6 {
				r = Record{Op: Resign, Term: full.term - uint64(rnd.IntN(2)), Member: full.member}
			}
			full.apply(Entry{i, r})
			entries = append(entries, Entry{i, r})
		}
		part, beat := newState(), false
		from, want := rnd.IntN(100), newState()
		for i, e := range entries {
			want.apply(e)
			if i < from {
				continue
			}
			part.apply(e)
			if beat = beat || e.Op == Beat; beat && part != want {
				t.Fatalf("seed %d, from %d, at %d: %+v, want %+v", seed, from, i, part, want)
			}
		}
	}
}

// Whatever is lost and late, members that live come to one leader, terms rise, and each term has one.
func TestLossyList(t *testing.T) {
	// The race detector of Go 1.26 crashes when two threads run timers of one bubble at the same time: they share its thread state (runtime/time.go, unlockAndRun).
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	terms := 0
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			l := newList()
			var mu sync.Mutex
			byTerm := map[uint64]string{}
			ctx, cancel := context.WithCancel(t.Context())
			var work sync.WaitGroup
			var ways []*link
			for i := range 4 {
				way := &link{list: l, rnd: rand.New(rand.NewPCG(seed, uint64(i))), rate: 0.2, late: time.Second}
				ways = append(ways, way)
				work.Go(func() {
					for turn := 0; ctx.Err() == nil; turn++ {
						name := fmt.Sprint(i, "/", turn)
						a, err := Lead(ctx, way, options(name))
						if err != nil {
							continue
						}
						mu.Lock()
						if other, taken := byTerm[a.Leader.Term]; taken {
							t.Errorf("seed %d: term %d of %s and %s", seed, a.Leader.Term, other, name)
						}
						byTerm[a.Leader.Term] = name
						mu.Unlock()
						select {
						case <-a.Lost():
						case <-ctx.Done():
						}
						a.Resign(ctx)
					}
				})
			}
			rnd := rand.New(rand.NewPCG(seed, 99))
			for range 20 {
				time.Sleep(time.Duration(rnd.IntN(20)) * time.Second)
				ways[rnd.IntN(len(ways))].set(rnd.IntN(2) == 0)
			}
			for _, w := range ways {
				w.set(false)
				w.mu.Lock()
				w.rate, w.late = 0, 0
				w.mu.Unlock()
			}
			time.Sleep(time.Minute)
			mu.Lock()
			before := len(byTerm)
			mu.Unlock()
			time.Sleep(time.Hour)
			mu.Lock()
			if terms += before; len(byTerm) != before {
				t.Errorf("seed %d: %d terms, an hour later %d", seed, before, len(byTerm))
			}
			mu.Unlock()
			cancel()
			work.Wait()
		})
	}
	if terms < 100 {
		t.Errorf("only %d terms", terms)
	}
}
