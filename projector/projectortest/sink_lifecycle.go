package projectortest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
)

// wantNoStore checks that a write to a store that is not there fails for good and creates nothing.
func (s *suite) wantNoStore(generation uint64) {
	s.Helper()
	for range 2 { // a write that creates the store in passing is seen by the second one
		w := projector.Write{ID: "a", Version: s.version(generation, 1), Body: body(1)}
		err := s.sink.Apply(s.Context(), s.target, generation, []projector.Write{w}, make([]projector.Result, 1))
		switch {
		case err == nil:
			s.Fatalf("Apply to a store that does not exist (generation %d): no error", generation)
		case errors.Is(err, projector.ErrUnavailable):
			s.Fatalf("Apply to a store that does not exist: %v, must not wrap ErrUnavailable", err)
		}
	}
}

func (s *suite) notPrepared() {
	s.wantNoStore(1)
	if _, _, err := s.sink.Get(s.Context(), s.target, 1, "a"); err == nil || errors.Is(err, projector.ErrUnavailable) {
		s.Errorf("Get from a store that does not exist: %v, want an error that does not wrap ErrUnavailable", err)
	}
}

func (s *suite) dropped() {
	s.prepare(1)
	s.publish(1)
	s.applied(s.put("a", 1), projector.Applied)
	if err := s.h.Drop(s.Context(), s.target, 1); err != nil {
		s.Fatalf("Drop: %v", err)
	}
	s.wantNoStore(1)
	s.prepare(1)
	s.wantDoc(1, "a", 0, false)
}

func (s *suite) prepareTwice() {
	s.prepare(1)
	s.applied(s.put("a", 5), projector.Applied)
	s.prepare(1)
	s.wantDoc(1, "a", 5, false)
}

func (s *suite) generationsApart() {
	s.prepare(1)
	s.prepare(2)
	s.applied(s.put("a", 9), projector.Applied)
	w := projector.Write{ID: "a", Version: s.version(2, 3), Body: body(3)}
	if r := s.apply(2, w)[0]; r.Outcome != projector.Applied {
		s.Fatalf("Apply in generation 2: %+v, want applied", r)
	}
	s.wantDoc(1, "a", 9, false)
	s.wantDoc(2, "a", 3, false)
}

func (s *suite) wantPublished(want uint64) {
	s.Helper()
	generation, found, err := s.sink.Published(s.Context(), s.target)
	if err != nil {
		s.Fatalf("Published: %v", err)
	}
	if found != (want != 0) || generation != want {
		s.Fatalf("Published: generation %d, found %v; want %d", generation, found, want)
	}
}

func (s *suite) readersSeePublished() {
	s.prepare(1)
	s.applied(s.put("a", 5), projector.Applied)
	s.wantPublished(0)
	s.publish(1)
	s.publish(1)
	s.wantPublished(1)
	s.wantSearch(map[string]eventstore.CSN{"a": 5})

	s.prepare(2)
	s.apply(2, projector.Write{ID: "b", Version: s.version(2, 7), Body: body(7)})
	s.wantSearch(map[string]eventstore.CSN{"a": 5})
	s.publish(2)
	s.wantPublished(2)
	s.wantSearch(map[string]eventstore.CSN{"b": 7})

	// Nothing is removed: publishing the old one again is the way back.
	s.publish(1)
	s.wantPublished(1)
	s.wantSearch(map[string]eventstore.CSN{"a": 5})
}

// publishAtomically switches to and fro under readers, who must see one generation or the other, whole, and never nothing.
func (s *suite) publishAtomically() {
	const documents = 20
	for generation := uint64(1); generation <= 2; generation++ {
		s.prepare(generation)
		var writes []projector.Write
		for d := range documents {
			csn := eventstore.CSN(generation)
			writes = append(writes, projector.Write{ID: fmt.Sprint(generation, "-", d), Version: s.version(generation, csn), Body: body(csn)})
		}
		s.apply(generation, writes...)
	}
	s.publish(2)
	s.publish(1)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for reads := 0; ; reads++ {
				select {
				case <-done:
					if reads > 0 {
						return
					}
				default:
				}
				got, err := s.h.Search(s.Context(), s.target)
				if err != nil {
					s.Errorf("Search while switching: %v", err)
					return
				}
				seen := map[byte]int{}
				for id := range got {
					seen[id[0]]++
				}
				if len(seen) != 1 || len(got) != documents {
					s.Errorf("Search while switching: saw %d documents of %d generations", len(got), len(seen))
					return
				}
			}
		})
	}
	for i := range uint64(20) {
		s.publish(1 + i%2)
	}
	close(done)
	readers.Wait()
}

func (s *suite) publishNotPrepared() {
	if err := s.sink.Publish(s.Context(), s.target, 7); err == nil {
		s.Error("Publish of a generation that was not prepared: no error")
	}
	s.wantPublished(0)
}

func (s *suite) tombstonesHidden() {
	s.prepare(1)
	s.publish(1)
	s.apply(1, s.put("stays", 5), s.put("goes", 5), s.del("never", 5))
	s.wantSearch(map[string]eventstore.CSN{"stays": 5, "goes": 5})
	s.applied(s.del("goes", 6), projector.Applied)
	s.wantSearch(map[string]eventstore.CSN{"stays": 5})
	s.prepare(2)
	s.apply(2, projector.Write{ID: "gone", Version: s.version(2, 9)})
	s.publish(2)
	s.wantSearch(nil)
}

// projector returns a name for progress records that no other test uses.
func (s *suite) projector() string { return "suite-" + s.target.Name }

func (s *suite) save(name string, p projector.Progress) {
	s.Helper()
	if err := s.sink.SaveProgress(s.Context(), name, p); err != nil {
		s.Fatalf("SaveProgress: %v", err)
	}
}

func (s *suite) wantProgress(name string, want projector.Progress) {
	s.Helper()
	got, found, err := s.sink.Progress(s.Context(), name)
	if err != nil || !found {
		s.Fatalf("Progress(%q): found %v, err %v", name, found, err)
	}
	if got != want {
		s.Fatalf("Progress(%q): got %+v, want %+v", name, got, want)
	}
}

func (s *suite) progressOrder() {
	name := s.projector()
	if _, found, err := s.sink.Progress(s.Context(), name); err != nil || found {
		s.Fatalf("Progress of a new projector: found %v, err %v", found, err)
	}
	at := func(log string, generation uint64, csn eventstore.CSN) projector.Progress {
		return projector.Progress{LogID: log, Generation: generation, Definition: int(generation) * 10, CSN: csn, Begun: 1 << 40 * eventstore.CSN(generation-1)}
	}
	s.save(name, at("log1", 1, 0))
	s.wantProgress(name, at("log1", 1, 0))
	s.save(name, at("log1", 1, 100))
	s.wantProgress(name, at("log1", 1, 100))
	s.save(name, at("log1", 1, 99))
	s.wantProgress(name, at("log1", 1, 100))
	s.save(name, at("log1", 1, 100))
	s.wantProgress(name, at("log1", 1, 100))
	s.save(name, at("log2", 2, 0)) // a new generation starts again, also on another log
	s.wantProgress(name, at("log2", 2, 0))
	s.save(name, at("log1", 1, 200))
	s.wantProgress(name, at("log2", 2, 0))
	s.save(name, at("log2", 2, 1<<40))
	s.wantProgress(name, at("log2", 2, 1<<40))
}

func (s *suite) progressApart() {
	one, two := s.projector(), s.projector()+"-2"
	s.save(one, projector.Progress{LogID: "log", Generation: 1, Definition: 1, CSN: 10})
	s.save(two, projector.Progress{LogID: "log", Generation: 1, Definition: 1, CSN: 5})
	s.wantProgress(one, projector.Progress{LogID: "log", Generation: 1, Definition: 1, CSN: 10})
	s.wantProgress(two, projector.Progress{LogID: "log", Generation: 1, Definition: 1, CSN: 5})
}

// progressConcurrent saves in any order from many goroutines; the highest stays. A save may be reported as unavailable, then it
// is repeated.
func (s *suite) progressConcurrent() {
	const savers, each = 4, 15
	name := s.projector()
	var group sync.WaitGroup
	for g := range savers {
		group.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 2))
			for _, i := range r.Perm(each) {
				p := projector.Progress{LogID: "log", Generation: 1, Definition: 1, CSN: eventstore.CSN(1 + i*savers + g)}
				for {
					err := s.sink.SaveProgress(s.Context(), name, p)
					if err == nil {
						break
					}
					if !errors.Is(err, projector.ErrUnavailable) || s.Context().Err() != nil {
						s.Errorf("SaveProgress: %v", err)
						return
					}
				}
			}
		})
	}
	group.Wait()
	s.wantProgress(name, projector.Progress{LogID: "log", Generation: 1, Definition: 1, CSN: savers * each})
}

// sweepAll sweeps with age 0 until n tombstones are gone. A clock that stands still for a moment only repeats the call.
func (s *suite) sweepAll(n int) {
	s.Helper()
	if s.h.SweptByServer {
		if got, err := s.sink.Sweep(s.Context(), s.target, 1, 0); err != nil || got != 0 {
			s.Fatalf("Sweep of a sink whose server sweeps: %d, %v", got, err)
		}
		return
	}
	for deadline := time.Now().Add(time.Minute); n > 0; {
		got, err := s.sink.Sweep(s.Context(), s.target, 1, 0)
		if err != nil {
			s.Fatalf("Sweep: %v", err)
		}
		if n -= got; n < 0 {
			s.Fatalf("Sweep removed %d more than the tombstones there were", -n)
		}
		if time.Now().After(deadline) {
			s.Fatalf("Sweep: %d tombstones are left after a minute", n)
		}
	}
}

func (s *suite) sweep() {
	s.prepare(1)
	s.apply(1, s.put("stays", 5), s.put("goes", 5))
	s.apply(1, s.del("goes", 6), s.del("never", 6))
	if n, err := s.sink.Sweep(s.Context(), s.target, 1, 24*time.Hour); err != nil || n != 0 {
		s.Fatalf("Sweep of tombstones older than a day: %d, %v; want 0", n, err)
	}
	s.wantDoc(1, "goes", 6, true)
	s.sweepAll(2)
	s.wantDoc(1, "stays", 5, false)
	if !s.h.SweptByServer {
		s.wantDoc(1, "goes", 0, false)
		s.wantDoc(1, "never", 0, false)
	}
}

func (s *suite) sweepSparesNewer() {
	s.prepare(1)
	s.applied(s.del("a", 5), projector.Applied)
	s.applied(s.put("a", 6), projector.Applied)
	s.applied(s.del("b", 5), projector.Applied)
	s.sweepAll(1)
	s.wantDoc(1, "a", 6, false)
}
