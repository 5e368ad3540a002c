package projector

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/millrace-go/millrace/internal/safeguard"
)

// MemoryKind is the [Target.Sink] of a [MemorySink].
const MemoryKind = "memory"

// MemorySink is a [Sink] that keeps documents in memory: for demos, tests and read models that live in the process. It implements
// the whole contract: versions, tombstones, generations and progress. It is safe for concurrent use and needs no closing.
type MemorySink struct {
	mu       sync.RWMutex
	targets  map[string]*memoryTarget
	progress map[string]Progress
}

type memoryTarget struct {
	published   uint64
	live        bool // a generation is published
	generations map[uint64]map[string]memoryDocument
}

type memoryDocument struct {
	version Version
	body    []byte    // nil for a tombstone
	gone    time.Time // when the tombstone was written
}

// NewMemorySink returns an empty sink.
func NewMemorySink() *MemorySink {
	return &MemorySink{targets: map[string]*memoryTarget{}, progress: map[string]Progress{}}
}

// MemoryTarget returns the target of this name in a [MemorySink].
func MemoryTarget(name string) Target { return Target{Sink: MemoryKind, Name: name} }

// Kind returns [MemoryKind].
func (s *MemorySink) Kind() string { return MemoryKind }

// Check returns nil.
func (s *MemorySink) Check(context.Context) error { return nil }

// Prepare creates the store of a generation, if it does not exist.
func (s *MemorySink) Prepare(_ context.Context, t Target, generation uint64) error {
	if t.Name == "" {
		return errors.New("memory sink: target has no name")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	target := s.targets[t.Name]
	if target == nil {
		target = &memoryTarget{generations: map[uint64]map[string]memoryDocument{}}
		s.targets[t.Name] = target
	}
	if target.generations[generation] == nil {
		target.generations[generation] = map[string]memoryDocument{}
	}
	return nil
}

// store returns the documents of a generation; the caller holds the lock.
func (s *MemorySink) store(t Target, generation uint64) (map[string]memoryDocument, error) {
	if target := s.targets[t.Name]; target != nil {
		if docs := target.generations[generation]; docs != nil {
			return docs, nil
		}
	}
	return nil, fmt.Errorf("memory sink: target %q generation %d was not prepared, or was dropped", t.Name, generation)
}

// Apply writes each document whose version is newer than the stored one. It refuses ids that [CheckID] refuses, and bodies that
// are not JSON objects. Bodies are copied.
func (s *MemorySink) Apply(ctx context.Context, t Target, generation uint64, writes []Write, results []Result) error {
	if len(writes) != len(results) {
		return fmt.Errorf("memory sink: %d writes, but room for %d results", len(writes), len(results))
	}
	for i, w := range writes {
		results[i] = Result{}
		if err := CheckID(w.ID); err != nil {
			results[i] = Result{Outcome: Refused, Err: err}
		} else if w.Body != nil && !isObject(w.Body) {
			results[i] = Result{Outcome: Refused, Err: fmt.Errorf("document %q is not a JSON object", w.ID)}
		}
	}
	if !safeguard.PreparedStores {
		if err := s.Prepare(ctx, t, generation); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	docs, err := s.store(t, generation)
	if err != nil {
		return err
	}
	for i, w := range writes {
		if results[i].Outcome == Refused {
			continue
		}
		stored, found := docs[w.ID]
		if found && stored.version > w.Version {
			results[i] = Result{Outcome: Stale, Stored: stored.version}
			continue
		}
		results[i] = Result{Outcome: Applied, Stored: w.Version}
		if found && stored.version == w.Version && safeguard.EqualVersions {
			continue
		}
		if w.Body == nil && !safeguard.Tombstones {
			delete(docs, w.ID)
			continue
		}
		d := memoryDocument{version: w.Version, body: bytes.Clone(w.Body)}
		if d.body == nil {
			d.gone = time.Now()
		}
		docs[w.ID] = d
	}
	return nil
}

func isObject(body []byte) bool {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	return len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(body)
}

// Get reads one document, tombstones included. The body must not be modified.
func (s *MemorySink) Get(_ context.Context, t Target, generation uint64, id string) (Document, bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	docs, err := s.store(t, generation)
	if err != nil {
		return Document{}, false, err
	}
	d, found := docs[id]
	if !found {
		return Document{}, false, nil
	}
	return Document{ID: id, Version: d.version, Body: d.body}, true, nil
}

// Publish makes a generation what [MemorySink.Find] and [MemorySink.Each] see.
func (s *MemorySink) Publish(_ context.Context, t Target, generation uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.store(t, generation); err != nil {
		return err
	}
	target := s.targets[t.Name]
	target.published, target.live = generation, true
	return nil
}

// Published returns the generation that readers see.
func (s *MemorySink) Published(_ context.Context, t Target) (uint64, bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	target := s.targets[t.Name]
	if target == nil || !target.live {
		return 0, false, nil
	}
	return target.published, true, nil
}

// Progress reads the progress record of a projector.
func (s *MemorySink) Progress(_ context.Context, projector string) (Progress, bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p, found := s.progress[projector]
	return p, found, nil
}

// SaveProgress writes the progress record of a projector, unless a newer one is there.
func (s *MemorySink) SaveProgress(_ context.Context, projector string, p Progress) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, found := s.progress[projector]; found && p.compare(old) < 0 {
		return nil
	}
	s.progress[projector] = p
	return nil
}

// compare orders progress records: by generation, then by csn.
func (p Progress) compare(q Progress) int {
	return cmp.Or(cmp.Compare(p.Generation, q.Generation), cmp.Compare(p.CSN, q.CSN))
}

// Sweep removes tombstones that were written more than age ago.
func (s *MemorySink) Sweep(_ context.Context, t Target, generation uint64, age time.Duration) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	docs, err := s.store(t, generation)
	if err != nil {
		return 0, err
	}
	before, swept := time.Now().Add(-age), 0
	for id, d := range docs {
		if d.body == nil && d.gone.Before(before) {
			delete(docs, id)
			swept++
		}
	}
	return swept, nil
}

// Drop removes the store of a generation with everything in it. Dropping the published one leaves readers nothing.
func (s *MemorySink) Drop(t Target, generation uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	target := s.targets[t.Name]
	if target == nil {
		return
	}
	delete(target.generations, generation)
	if target.published == generation {
		target.live = false
	}
}

// visible returns what readers of a name see; the caller holds the lock.
func (s *MemorySink) visible(name string) map[string]memoryDocument {
	if target := s.targets[name]; target != nil && target.live {
		return target.generations[target.published]
	}
	return nil
}

// Find reads one document of the published generation, as a reader does: tombstones are not found. The body must not be
// modified.
func (s *MemorySink) Find(name, id string) (Document, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d, found := s.visible(name)[id]
	if !found || d.body == nil {
		return Document{}, false
	}
	return Document{ID: id, Version: d.version, Body: d.body}, true
}

// Each yields the documents of the published generation in order of their ids, as they stood when the iteration began.
// Tombstones are left out. Bodies must not be modified.
func (s *MemorySink) Each(name string) iter.Seq[Document] {
	return func(yield func(Document) bool) {
		s.mu.RLock()
		docs := maps.Clone(s.visible(name))
		s.mu.RUnlock()
		for _, id := range slices.Sorted(maps.Keys(docs)) {
			d := docs[id]
			if d.body != nil && !yield(Document{ID: id, Version: d.version, Body: d.body}) {
				return
			}
		}
	}
}
