// Package freshness measures how long it takes from a commit's return, in the program that committed, until a document that contains the commit
// is written in the sink.
//
// A commit is recognised in the log by a product and the updated_at it gave it, which tells its CSN; a document contains it when it was
// written from that CSN or a later one. The reports come from different processes, in any order. A commit that leaves its document as it is
// (a price of something that is not in stock, say) is no sample: its document is not written.
package freshness

import (
	"slices"
	"sync"
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// Tracker collects reports. It is safe for concurrent use, and its memory is bounded.
type Tracker struct {
	mu      sync.Mutex
	commits recent[mark, *commit]
	waiting map[Document][]*commit // commits whose CSN is known, by the document they should reach
	written map[Document][]write
	// complete are the CSNs up to which a kind has every document, rising.
	complete map[string][]eventstore.CSN
	samples  map[string][]sample // by kind
}

// Document names a document of a read model.
type Document struct {
	Kind, ID string
}

// mark is how a commit is recognised in the log.
type mark struct {
	product   uint64
	updatedAt string
}

type commit struct {
	at        time.Time // zero: not reported yet
	documents []Document
	csn       eventstore.CSN // 0: not reported yet
}

type write struct {
	at  time.Time
	csn eventstore.CSN
}

type sample struct {
	at   time.Time // of the write
	took time.Duration
}

const (
	maxCommits  = 50_000  // that wait for the other report
	maxWrites   = 8       // remembered of a document
	maxWaiting  = 64      // commits that wait for one document
	maxComplete = 1_000   // remembered of a kind
	maxSamples  = 200_000 // of a kind
	dropSamples = maxSamples / 4
)

// NewTracker returns a tracker that knows nothing.
func NewTracker() *Tracker {
	return &Tracker{waiting: map[Document][]*commit{}, written: map[Document][]write{}, complete: map[string][]eventstore.CSN{}, samples: map[string][]sample{}}
}

// Committed says that a commit which gave the product this updated_at returned at a time, and which documents it should change.
func (t *Tracker) Committed(product uint64, updatedAt string, at time.Time, documents ...Document) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.commit(mark{product, updatedAt})
	c.at, c.documents = at, documents
	t.match(c)
}

// Logged says under which CSN the change stands in the log.
func (t *Tracker) Logged(product uint64, updatedAt string, csn eventstore.CSN) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.commit(mark{product, updatedAt})
	if c.csn == 0 {
		c.csn = csn
		t.match(c)
	}
}

// Written says that the sink acknowledged a document's write from a CSN, at a time. A delete is a write.
func (t *Tracker) Written(d Document, csn eventstore.CSN, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting[d] = slices.DeleteFunc(t.waiting[d], func(c *commit) bool {
		if c.csn > csn {
			return false
		}
		t.add(d.Kind, at, at.Sub(c.at))
		return true
	})
	if len(t.waiting[d]) == 0 {
		delete(t.waiting, d)
	}
	t.written[d] = append(t.written[d], write{at, csn})
	if n := len(t.written[d]); n > maxWrites {
		t.written[d] = slices.Delete(t.written[d], 0, n-maxWrites)
	}
}

// Complete says that the sink has every document of a kind as it is after a CSN. Commits up to it that wait for a document have left it as it was.
func (t *Tracker) Complete(kind string, csn eventstore.CSN) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.complete[kind]
	if n := len(known); n > 0 && known[n-1] >= csn {
		return
	}
	if known = append(known, csn); len(known) > 2*maxComplete {
		known = slices.Delete(known, 0, maxComplete)
	}
	t.complete[kind] = known
	for d, waiting := range t.waiting {
		if d.Kind != kind {
			continue
		}
		if t.waiting[d] = slices.DeleteFunc(waiting, func(c *commit) bool { return c.csn <= csn }); len(t.waiting[d]) == 0 {
			delete(t.waiting, d)
		}
	}
}

// Reached returns the last CSN up to which a kind was said to be complete.
func (t *Tracker) Reached(kind string) eventstore.CSN {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.complete[kind]; len(known) > 0 {
		return known[len(known)-1]
	}
	return 0
}

// unchanged tells whether a kind was complete with a commit before a later write, whose CSN is 0 where there is none.
func (t *Tracker) unchanged(kind string, commit, written eventstore.CSN) bool {
	known := t.complete[kind]
	i, _ := slices.BinarySearch(known, commit)
	return i < len(known) && (written == 0 || known[i] < written)
}

func (t *Tracker) commit(m mark) *commit {
	c, ok := t.commits.get(m)
	if !ok {
		c = &commit{}
		t.commits.put(m, c)
	}
	return c
}

// match pairs a commit with the first write of each of its documents that contains it, or lets it wait for that.
func (t *Tracker) match(c *commit) {
	if c.csn == 0 || c.at.IsZero() {
		return
	}
	for _, d := range c.documents {
		var w write
		if i := slices.IndexFunc(t.written[d], func(w write) bool { return w.csn >= c.csn }); i >= 0 {
			w = t.written[d][i]
		}
		switch {
		case t.unchanged(d.Kind, c.csn, w.csn):
		case w.csn != 0:
			t.add(d.Kind, w.at, w.at.Sub(c.at))
		case len(t.waiting[d]) < maxWaiting:
			t.waiting[d] = append(t.waiting[d], c)
		}
	}
}

// add takes a sample. A document may be there before the commit's return is seen: that is as fresh as can be.
func (t *Tracker) add(kind string, at time.Time, took time.Duration) {
	if len(t.samples[kind]) >= maxSamples {
		t.samples[kind] = slices.Delete(t.samples[kind], 0, dropSamples)
	}
	t.samples[kind] = append(t.samples[kind], sample{at, max(0, took)})
}

// Summary is what the samples say.
type Summary struct {
	Samples  int
	P50, P99 time.Duration
	Max      time.Duration
}

// Summary returns the percentiles of a kind's samples whose documents were written since a time; the zero time is all.
func (t *Tracker) Summary(kind string, since time.Time) Summary {
	t.mu.Lock()
	var took []time.Duration
	for _, s := range t.samples[kind] {
		if !s.at.Before(since) {
			took = append(took, s.took)
		}
	}
	t.mu.Unlock()
	if len(took) == 0 {
		return Summary{}
	}
	slices.Sort(took)
	return Summary{Samples: len(took), P50: percentile(took, 50), P99: percentile(took, 99), Max: took[len(took)-1]}
}

// percentile returns the smallest element that at least p in a hundred are not above.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}

// Open returns how many commits wait for a document of the kind.
func (t *Tracker) Open(kind string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for d, waiting := range t.waiting {
		if d.Kind == kind {
			n += len(waiting)
		}
	}
	return n
}

// recent is a map that forgets its oldest entries: between half of and all of the last maxCommits are there.
type recent[K comparable, V any] struct {
	young, old map[K]V
}

func (r *recent[K, V]) get(k K) (V, bool) {
	v, ok := r.young[k]
	if !ok {
		v, ok = r.old[k]
	}
	return v, ok
}

func (r *recent[K, V]) put(k K, v V) {
	if r.young == nil || len(r.young) >= maxCommits/2 {
		r.old, r.young = r.young, map[K]V{}
	}
	r.young[k] = v
}
