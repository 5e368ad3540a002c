package documents

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/millrace-go/millrace/projector"
)

// The breakages: each does one thing wrong between the projector and the sinks, and must be found.
const (
	breakDrop  = "drop"  // some documents are never written
	breakStale = "stale" // some documents' later writes do not reach the sink
	breakTorn  = "torn"  // some documents are made of two states
	breakExtra = "extra" // some documents are not deleted
)

// Breakages are what [Config.Break] may have, with commas between.
var Breakages = []string{breakDrop, breakStale, breakTorn, breakExtra}

// unlucky is how the ids of the documents end that are broken.
var unlucky = map[string]string{breakDrop: "7", breakStale: "3", breakTorn: "5", breakExtra: "9"}

// breakAfter is the csn from which on a breakage works.
const breakAfter = 100

// breakSink has a sink do something wrong.
func breakSink(sink projector.Sink, what string) projector.Sink {
	if what == "" {
		return sink
	}
	return &brokenSink{Sink: sink, what: strings.Split(what, ","), last: map[[2]string][]byte{}}
}

type brokenSink struct {
	projector.Sink
	what []string

	mu   sync.Mutex
	last map[[2]string][]byte // bodies, by target and id
}

// broken tells whether a document is to be broken in some way.
func (s *brokenSink) broken(what, id string) bool {
	return slices.Contains(s.what, what) && strings.HasSuffix(id, unlucky[what])
}

func (s *brokenSink) Apply(ctx context.Context, t projector.Target, generation uint64, writes []projector.Write, results []projector.Result) error {
	var kept []projector.Write
	var at []int
	for i, w := range writes {
		late := w.Version.CSN() > breakAfter
		switch {
		case s.broken(breakDrop, w.ID), s.broken(breakStale, w.ID) && late, s.broken(breakExtra, w.ID) && w.Body == nil:
			results[i] = projector.Result{Outcome: projector.Applied, Stored: w.Version}
			continue
		case s.broken(breakTorn, w.ID) && late:
			w.Body = s.torn(t.Name, w)
		}
		kept, at = append(kept, w), append(at, i)
	}
	if len(kept) == 0 {
		return nil
	}
	some := make([]projector.Result, len(kept))
	if err := s.Sink.Apply(ctx, t, generation, kept, some); err != nil {
		return err
	}
	for i, r := range some {
		results[at[i]] = r
	}
	return nil
}

// torn returns a document of which one field is still as it was in the one before.
func (s *brokenSink) torn(target string, w projector.Write) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [2]string{target, w.ID}
	before := s.last[key]
	s.last[key] = w.Body
	var old, now map[string]json.RawMessage
	if json.Unmarshal(before, &old) != nil || json.Unmarshal(w.Body, &now) != nil {
		return w.Body // there is none before, or none now
	}
	for field := range maps.Keys(now) {
		if string(old[field]) != string(now[field]) {
			now[field] = old[field]
			break
		}
	}
	body, err := json.Marshal(now)
	if err != nil {
		return w.Body
	}
	return body
}
