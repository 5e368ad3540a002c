package projectortest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
)

// Harness is a sink under test with what the suite needs beside it. Every field is needed but Reopen and SweptByServer.
type Harness struct {
	// Sink is connected, and closed by the one who made it. The suite uses it from many goroutines.
	Sink projector.Sink

	// Target returns a target that nobody has used before. The suite stores documents of the form
	// {"n": 1, "text": "…"} in it, so its settings must take those.
	Target func(t *testing.T) projector.Target

	// Refused is the body of a document that the store of such a target refuses for ever, because of the document alone.
	Refused []byte

	// Search returns, by id, the bodies that a reader finds under the target's name by a search for everything, without any
	// fields that the sink itself has added. It makes what was written before visible first (a search engine's refresh).
	Search func(ctx context.Context, t projector.Target) (map[string][]byte, error)

	// Drop deletes the store of a generation behind the sink's back.
	Drop func(ctx context.Context, t projector.Target, generation uint64) error

	// Reopen flushes, closes and opens again the store of a generation, so that whatever the server keeps of deletes
	// in memory is gone. Nil where there is no such thing.
	Reopen func(ctx context.Context, t projector.Target, generation uint64) error

	// SweptByServer says that the server removes tombstones by itself, so that Sweep always returns 0.
	SweptByServer bool
}

// TestSink runs the suite. open is called once for each case; it may return the same connection every time.
func TestSink(t *testing.T, open func(t *testing.T) Harness) {
	cases := []struct {
		name string
		run  func(*suite)
	}{
		{"Check", (*suite).check},
		{"StaleWrite", (*suite).staleWrite},
		{"RepeatedWrite", (*suite).repeatedWrite},
		{"SameVersion", (*suite).sameVersion},
		{"LateWriteAfterDelete", (*suite).lateWriteAfterDelete},
		{"LateWriteAfterDeleteAndReopen", (*suite).lateWriteAfterReopen},
		{"DeleteOfMissing", (*suite).deleteOfMissing},
		{"NewerWriteAfterDelete", (*suite).newerWriteAfterDelete},
		{"IDs", (*suite).ids},
		{"InvalidIDs", (*suite).invalidIDs},
		{"Bodies", (*suite).bodies},
		{"RefusedDocument", (*suite).refusedDocument},
		{"ItemFailsInGoodRequest", (*suite).itemFails},
		{"EmptyApply", (*suite).emptyApply},
		{"NotPrepared", (*suite).notPrepared},
		{"Dropped", (*suite).dropped},
		{"PrepareTwice", (*suite).prepareTwice},
		{"GenerationsApart", (*suite).generationsApart},
		{"ReadersSeePublished", (*suite).readersSeePublished},
		{"PublishSwitchesAtomically", (*suite).publishAtomically},
		{"PublishNotPrepared", (*suite).publishNotPrepared},
		{"TombstonesHidden", (*suite).tombstonesHidden},
		{"GetMissing", (*suite).getMissing},
		{"ProgressNeverGoesBack", (*suite).progressOrder},
		{"ProgressApart", (*suite).progressApart},
		{"ProgressConcurrent", (*suite).progressConcurrent},
		{"ConcurrentWriters", (*suite).concurrentWriters},
		{"LargeBatch", (*suite).largeBatch},
		{"Sweep", (*suite).sweep},
		{"SweepSparesNewer", (*suite).sweepSparesNewer},
		{"CancelledContext", (*suite).cancelled},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := open(t)
			c.run(&suite{T: t, h: h, sink: h.Sink, target: h.Target(t)})
		})
	}
}

// suite is one case at work: a target of its own, with helpers that fail the test.
type suite struct {
	*testing.T
	h      Harness
	sink   projector.Sink
	target projector.Target
}

func (s *suite) version(generation uint64, csn eventstore.CSN) projector.Version {
	s.Helper()
	v, err := projector.NewVersion(generation, csn)
	if err != nil {
		s.Fatal(err)
	}
	return v
}

func (s *suite) prepare(generation uint64) {
	s.Helper()
	if err := s.sink.Prepare(s.Context(), s.target, generation); err != nil {
		s.Fatalf("Prepare(generation %d): %v", generation, err)
	}
}

func (s *suite) publish(generation uint64) {
	s.Helper()
	if err := s.sink.Publish(s.Context(), s.target, generation); err != nil {
		s.Fatalf("Publish(generation %d): %v", generation, err)
	}
}

// put and del make writes of generation 1.
func (s *suite) put(id string, csn eventstore.CSN) projector.Write {
	s.Helper()
	return projector.Write{ID: id, Version: s.version(1, csn), Body: body(csn)}
}

func (s *suite) del(id string, csn eventstore.CSN) projector.Write {
	s.Helper()
	return projector.Write{ID: id, Version: s.version(1, csn)}
}

// body is the document that this suite writes at a csn.
func body(csn eventstore.CSN) []byte { return fmt.Appendf(nil, `{"n":%d,"text":"at %d"}`, csn, csn) }

func (s *suite) apply(generation uint64, writes ...projector.Write) []projector.Result {
	s.Helper()
	results := make([]projector.Result, len(writes))
	if err := s.sink.Apply(s.Context(), s.target, generation, writes, results); err != nil {
		s.Fatalf("Apply: %v", err)
	}
	for i, r := range results {
		if r.Outcome < projector.Applied || r.Outcome > projector.Refused {
			s.Fatalf("Apply: result of %q has no outcome: %+v", writes[i].ID, r)
		}
		if failed := r.Outcome == projector.Retry || r.Outcome == projector.Refused; failed != (r.Err != nil) {
			s.Errorf("Apply: result of %q: outcome %d with error %v", writes[i].ID, r.Outcome, r.Err)
		}
	}
	return results
}

// applied applies one write of generation 1 and wants an outcome.
func (s *suite) applied(w projector.Write, want projector.Outcome) {
	s.Helper()
	r := s.apply(1, w)[0]
	if r.Outcome != want {
		s.Fatalf("Apply(%q, csn %d): outcome %d (%v), want %d", w.ID, w.Version.CSN(), r.Outcome, r.Err, want)
	}
	if want == projector.Stale && r.Stored != 0 && r.Stored <= w.Version {
		s.Errorf("Apply(%q): stale, but stored version %d is not above %d", w.ID, r.Stored, w.Version)
	}
}

// wantDoc checks the stored state of a document; csn 0 means that there is none, deleted that it is a tombstone.
func (s *suite) wantDoc(generation uint64, id string, csn eventstore.CSN, deleted bool) {
	s.Helper()
	d, found, err := s.sink.Get(s.Context(), s.target, generation, id)
	switch {
	case err != nil:
		s.Fatalf("Get(%q): %v", id, err)
	case !found && csn == 0:
	case !found:
		s.Fatalf("Get(%q): not found, want csn %d", id, csn)
	case csn == 0:
		s.Fatalf("Get(%q): found at csn %d, want none", id, d.Version.CSN())
	case d.ID != id || d.Version.CSN() != csn || d.Version.Generation() != generation:
		s.Fatalf("Get(%q): got id %q generation %d csn %d, want generation %d csn %d", id, d.ID, d.Version.Generation(), d.Version.CSN(), generation, csn)
	case deleted && d.Body != nil:
		s.Fatalf("Get(%q): got a document, want a tombstone", id)
	case !deleted && !sameJSON(d.Body, body(csn)):
		s.Fatalf("Get(%q): got %s, want %s", id, d.Body, body(csn))
	}
}

// wantSearch checks what readers find.
func (s *suite) wantSearch(want map[string]eventstore.CSN) {
	s.Helper()
	got, err := s.h.Search(s.Context(), s.target)
	if err != nil {
		s.Fatalf("Search: %v", err)
	}
	for id, csn := range want {
		if b, ok := got[id]; !ok {
			s.Errorf("Search: %q is missing", id)
		} else if !sameJSON(b, body(csn)) {
			s.Errorf("Search: %q is %s, want %s", id, b, body(csn))
		}
	}
	for id := range got {
		if _, ok := want[id]; !ok {
			s.Errorf("Search: %q is visible, but should not be", id)
		}
	}
}

// sameJSON compares documents without regard to spaces and the order of members. Numbers are compared by their text.
func sameJSON(a, b []byte) bool {
	na, errA := normal(a)
	nb, errB := normal(b)
	return errA == nil && errB == nil && bytes.Equal(na, nb)
}

func normal(b []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}
