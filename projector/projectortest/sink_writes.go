package projectortest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
)

func (s *suite) check() {
	if s.sink.Kind() == "" || s.sink.Kind() != s.target.Sink {
		s.Errorf("Kind() is %q, the target's sink is %q", s.sink.Kind(), s.target.Sink)
	}
	for range 2 {
		if err := s.sink.Check(s.Context()); err != nil {
			s.Fatalf("Check: %v", err)
		}
	}
	if _, found, err := s.sink.Published(s.Context(), s.target); err != nil || found {
		s.Errorf("Published of a new target: found %v, err %v; Check must write nothing", found, err)
	}
}

func (s *suite) staleWrite() {
	s.prepare(1)
	s.applied(s.put("a", 10), projector.Applied)
	s.applied(s.put("a", 9), projector.Stale)
	s.wantDoc(1, "a", 10, false)
	s.applied(s.del("a", 8), projector.Stale)
	s.wantDoc(1, "a", 10, false)
	s.applied(s.put("a", 11), projector.Applied)
	s.wantDoc(1, "a", 11, false)

	// Versions above 2^31 and in the generation's bits are compared whole.
	s.prepare(3)
	high := projector.Write{ID: "b", Version: s.version(3, 1<<40), Body: body(1 << 40)}
	low := projector.Write{ID: "b", Version: s.version(3, 1<<40-1), Body: body(1<<40 - 1)}
	if r := s.apply(3, high)[0]; r.Outcome != projector.Applied {
		s.Fatalf("write at a large csn: %+v", r)
	}
	if r := s.apply(3, low)[0]; r.Outcome != projector.Stale {
		s.Fatalf("write one csn below: %+v, want stale", r)
	}
	s.wantDoc(3, "b", 1<<40, false)
}

func (s *suite) repeatedWrite() {
	s.prepare(1)
	for range 3 {
		s.applied(s.put("a", 10), projector.Applied)
		s.applied(s.del("b", 10), projector.Applied)
	}
	s.wantDoc(1, "a", 10, false)
	s.wantDoc(1, "b", 10, true)
}

// sameVersion: of two writes with one version, as two processes load them from a database at different times, the first stays, so that no reader
// goes back to an older state.
func (s *suite) sameVersion() {
	s.prepare(1)
	s.applied(s.put("a", 10), projector.Applied)
	s.applied(projector.Write{ID: "a", Version: s.version(1, 10), Body: body(9)}, projector.Applied)
	s.wantDoc(1, "a", 10, false)
	s.applied(s.del("a", 10), projector.Applied)
	s.wantDoc(1, "a", 10, false)
	s.applied(s.del("b", 10), projector.Applied)
	s.applied(s.put("b", 10), projector.Applied)
	s.wantDoc(1, "b", 10, true)
}

func (s *suite) lateWriteAfterDelete() {
	s.prepare(1)
	s.applied(s.put("a", 10), projector.Applied)
	s.applied(s.del("a", 20), projector.Applied)
	s.wantDoc(1, "a", 20, true)
	s.applied(s.put("a", 15), projector.Stale)
	s.wantDoc(1, "a", 20, true)
	s.applied(s.del("a", 12), projector.Stale)
	s.wantDoc(1, "a", 20, true)
}

func (s *suite) lateWriteAfterReopen() {
	s.prepare(1)
	s.applied(s.put("a", 10), projector.Applied)
	s.applied(s.del("a", 20), projector.Applied)
	s.applied(s.del("never", 20), projector.Applied)
	if s.h.Reopen != nil {
		if err := s.h.Reopen(s.Context(), s.target, 1); err != nil {
			s.Fatalf("Reopen: %v", err)
		}
	}
	s.applied(s.put("a", 15), projector.Stale)
	s.applied(s.put("never", 15), projector.Stale)
	s.wantDoc(1, "a", 20, true)
	s.wantDoc(1, "never", 20, true)
}

func (s *suite) deleteOfMissing() {
	s.prepare(1)
	s.applied(s.del("a", 10), projector.Applied)
	s.wantDoc(1, "a", 10, true)
	s.applied(s.put("a", 9), projector.Stale)
	s.wantDoc(1, "a", 10, true)
}

func (s *suite) newerWriteAfterDelete() {
	s.prepare(1)
	s.publish(1)
	s.applied(s.put("a", 10), projector.Applied)
	s.applied(s.del("a", 20), projector.Applied)
	s.applied(s.put("a", 21), projector.Applied)
	s.wantDoc(1, "a", 21, false)
	s.wantSearch(map[string]eventstore.CSN{"a": 21})
}

// ids are stored, found and kept apart whatever characters they have.
func (s *suite) ids() {
	s.prepare(1)
	s.publish(1)
	ids := []string{
		"1", "plain", "with space", " leading", "trailing ", "_leading_underscore", "_id", "$dollar", "dot.ted", "..", ".", "-", "+", "a+b",
		"a/b", `back\slash`, "a//b", "/", "?", "a?b=c&d", "#frag", "50%", "%2F", "%", `"`, `'quoted'`, `"}`, "{}", "[1,2]", "null", "*", "a*", "a,b", "<all>",
		"line\nbreak", "tab\t", "\r", "\x00", "nul\x00inside", "\x01\x1f", "\x7f", "\u0085", "\u2028", "\u2029", "\ufeff", "\ufffd", "\ufffe",
		"é", "e\u0301", "É", "ß", "ẞ", "İ", "ı", "日本語", "😀", "👩‍👩‍👧‍👦", "\U0010ffff", "שלום", "\u202e", "Plain", "PLAIN",
		strings.Repeat("x", 512), strings.Repeat("x", 511), strings.Repeat("é", 256), strings.Repeat("\x01", 512), strings.Repeat("😀", 128), strings.Repeat(`"`, 512),
	}
	writes, want := make([]projector.Write, len(ids)), map[string]eventstore.CSN{}
	for i, id := range ids {
		writes[i] = s.put(id, eventstore.CSN(i+1))
		want[id] = eventstore.CSN(i + 1)
	}
	if len(want) != len(ids) {
		s.Fatal("the suite's ids are not distinct")
	}
	for i, r := range s.apply(1, writes...) {
		if r.Outcome != projector.Applied {
			s.Errorf("Apply(%q): outcome %d: %v", ids[i], r.Outcome, r.Err)
		}
	}
	for i, id := range ids {
		s.wantDoc(1, id, eventstore.CSN(i+1), false)
	}
	s.wantSearch(want)
	for i, id := range ids {
		writes[i] = s.del(id, 1000)
	}
	for i, r := range s.apply(1, writes...) {
		if r.Outcome != projector.Applied {
			s.Errorf("Apply(delete %q): outcome %d: %v", ids[i], r.Outcome, r.Err)
		}
	}
	for _, id := range ids {
		s.wantDoc(1, id, 1000, true)
	}
	s.wantSearch(nil)
}

func (s *suite) invalidIDs() {
	s.prepare(1)
	for _, id := range []string{"", strings.Repeat("x", 513), "\xff", "a\xc3", "\xed\xa0\x80"} {
		results := s.apply(1, s.put("before", 1), s.put(id, 1), s.put("after", 1))
		if results[1].Outcome != projector.Refused {
			s.Errorf("Apply(%q): outcome %d, want refused", id, results[1].Outcome)
		}
		for _, i := range []int{0, 2} {
			if results[i].Outcome != projector.Applied {
				s.Errorf("Apply beside %q: %+v, want applied", id, results[i])
			}
		}
	}
}

// bodies come back as they were written, whatever a document may hold.
func (s *suite) bodies() {
	s.prepare(1)
	for i, b := range []string{
		`{}`,
		`{"text":"` + strings.Repeat("long ", 20_000) + `"}`,
		`{"text":"quote \" backslash \\ newline \n nul \u0000 emoji 😀 \ud83d\ude00 separator \u2028"}`,
		`{"text":null}`, `{"text":""}`, `{"n":0}`, `{"n":-1}`, `{"n":2147483648}`,
		`{"n":9007199254740993}`, // does not fit a float64
		`{"n":9223372036854775807}`,
	} {
		id := fmt.Sprint(i)
		w := projector.Write{ID: id, Version: s.version(1, 1), Body: []byte(b)}
		s.applied(w, projector.Applied)
		d, found, err := s.sink.Get(s.Context(), s.target, 1, id)
		if err != nil || !found {
			s.Fatalf("Get(%q): found %v, err %v", id, found, err)
		}
		if !sameJSON(d.Body, []byte(b)) {
			s.Errorf("body %.80s came back as %.80s", b, d.Body)
		}
	}
}

func (s *suite) refusedDocument() {
	s.prepare(1)
	s.applied(projector.Write{ID: "a", Version: s.version(1, 5), Body: s.h.Refused}, projector.Refused)
	s.wantDoc(1, "a", 0, false)
	s.applied(s.put("a", 4), projector.Applied)
	s.applied(projector.Write{ID: "a", Version: s.version(1, 5), Body: s.h.Refused}, projector.Refused)
	s.wantDoc(1, "a", 4, false)
	s.applied(s.put("a", 6), projector.Applied)
	s.wantDoc(1, "a", 6, false)
}

func (s *suite) itemFails() {
	s.prepare(1)
	s.applied(s.put("stale", 9), projector.Applied)
	writes := []projector.Write{
		s.put("first", 5), s.put("stale", 5), {ID: "refused", Version: s.version(1, 5), Body: s.h.Refused},
		s.del("deleted", 5), s.put("last", 5),
	}
	want := []projector.Outcome{projector.Applied, projector.Stale, projector.Refused, projector.Applied, projector.Applied}
	for i, r := range s.apply(1, writes...) {
		if r.Outcome != want[i] {
			s.Errorf("Apply(%q): outcome %d (%v), want %d", writes[i].ID, r.Outcome, r.Err, want[i])
		}
	}
	s.wantDoc(1, "first", 5, false)
	s.wantDoc(1, "stale", 9, false)
	s.wantDoc(1, "refused", 0, false)
	s.wantDoc(1, "deleted", 5, true)
	s.wantDoc(1, "last", 5, false)
}

func (s *suite) emptyApply() {
	s.prepare(1)
	s.apply(1)
}

func (s *suite) getMissing() {
	s.prepare(1)
	s.wantDoc(1, "a", 0, false)
	s.applied(s.del("a", 3), projector.Applied)
	s.wantDoc(1, "a", 3, true)
	s.wantDoc(1, "b", 0, false)
}

// concurrentWriters write the same ids at random versions; each id ends at the highest one, and what it holds is of that version.
func (s *suite) concurrentWriters() {
	const writers, rounds, documents = 8, 40, 12
	s.prepare(1)
	var (
		mu      sync.Mutex
		highest = map[string]eventstore.CSN{}
		group   sync.WaitGroup
	)
	for w := range writers {
		group.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			for range rounds {
				var writes []projector.Write
				for d := range documents {
					csn := 1 + eventstore.CSN(r.IntN(10_000))
					id := fmt.Sprint("doc", d)
					write := s.put(id, csn)
					if csn%5 == 0 {
						write.Body = nil // the same version is always the same content
					}
					writes = append(writes, write)
					mu.Lock()
					highest[id] = max(highest[id], csn)
					mu.Unlock()
				}
				for len(writes) > 0 {
					results := make([]projector.Result, len(writes))
					if err := s.sink.Apply(s.Context(), s.target, 1, writes, results); err != nil {
						s.Errorf("Apply: %v", err)
						return
					}
					var again []projector.Write
					for i, res := range results {
						switch res.Outcome {
						case projector.Retry:
							again = append(again, writes[i])
						case projector.Refused:
							s.Errorf("Apply(%q): refused: %v", writes[i].ID, res.Err)
						}
					}
					writes = again
				}
			}
		})
	}
	group.Wait()
	for id, csn := range highest {
		s.wantDoc(1, id, csn, csn%5 == 0)
	}
}

func (s *suite) largeBatch() {
	const n = 5_000
	s.prepare(1)
	s.publish(1)
	writes, want := make([]projector.Write, n), map[string]eventstore.CSN{}
	for round := range eventstore.CSN(2) {
		for i := range writes {
			id := fmt.Sprintf("doc-%d", i)
			writes[i] = s.put(id, eventstore.CSN(i+1)+round*n)
			want[id] = eventstore.CSN(i+1) + round*n
		}
		for i, r := range s.apply(1, writes...) {
			if r.Outcome != projector.Applied {
				s.Fatalf("Apply(%q): outcome %d: %v", writes[i].ID, r.Outcome, r.Err)
			}
		}
	}
	s.wantSearch(want)
}

func (s *suite) cancelled() {
	s.prepare(1)
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	err := s.sink.Apply(ctx, s.target, 1, []projector.Write{s.put("a", 1)}, make([]projector.Result, 1))
	if err != nil && !errors.Is(err, context.Canceled) {
		s.Errorf("Apply with a cancelled context: %v, want one that wraps context.Canceled", err)
	}
	s.applied(s.put("a", 2), projector.Applied)
}
