package documents

import (
	"fmt"
	"slices"

	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/projector"
)

// Verdict is what a check found.
type Verdict struct {
	Documents int // comparisons
	Equal     int
	Missing   int // should be there, and are not
	Extra     int // should not be there
	Torn      int // are no state that the rows have ever been in at that document's version
	Stale     int // were right at their version, and did not follow; missing and extra ones are counted here, too
	Wrong     int // at cuts, documents of the recomputation from the log that are not those of the SQL: the log or the check is wrong
	Examples  []string
}

// OK tells whether everything that was compared is equal.
func (v *Verdict) OK() bool {
	return v.Documents > 0 && v.Equal == v.Documents && v.Torn+v.Stale+v.Missing+v.Extra+v.Wrong == 0
}

// String is the findings in one line.
func (v *Verdict) String() string {
	return fmt.Sprintf("missing %d extra %d wrong %d documents %d equal %d torn %d stale %d", v.Missing, v.Extra, v.Wrong, v.Documents, v.Equal, v.Torn, v.Stale)
}

func (v *Verdict) found(count *int, format string, args ...any) {
	if *count++; *count <= 5 {
		v.Examples = append(v.Examples, fmt.Sprintf(format, args...))
	}
}

// docKey names a document.
type docKey struct {
	model string
	id    string
}

// cut is a place of the log at which nothing was under way.
type cut struct {
	csn  uint64
	want map[docKey]sum // what the SQL says
}

// sighting is a document with its version, as it was read at some moment.
type sighting struct {
	kind servers.Kind
	docKey
	version projector.Version
	sum     sum
}

// evidence is what a run has collected.
type evidence struct {
	cuts []cut
	// seen are documents that were read at random moments, each once; differ those that were not equal at a cut.
	seen, differ map[sighting]bool
}

// compare compares the documents of a kind, as readers see them, with what the SQL says at a cut, and returns the ids that differ.
func (v *Verdict) compare(c *cut, kind servers.Kind, model string, got map[string]sum) (differ []string) {
	for id, is := range got {
		want, exists := c.want[docKey{model, id}]
		v.Documents++
		switch {
		case !exists:
			v.found(&v.Extra, "extra: %s %s of %s at csn %d", model, id, kind, c.csn)
			v.Stale++
		case want == is:
			v.Equal++
		default:
			differ = append(differ, id)
		}
	}
	for doc := range c.want {
		if _, exists := got[doc.id]; doc.model == model && !exists {
			v.Documents++
			v.found(&v.Missing, "missing: %s %s of %s at csn %d", model, doc.id, kind, c.csn)
			v.Stale++
		}
	}
	return differ
}

// replay follows the log, and makes every document that was seen anew at its own version, and all documents at every cut.
type replay struct {
	verdict  *Verdict
	evidence *evidence
	models   map[string]*readModel
	at       map[uint64][]sighting // by csn
	cuts     []cut                 // that are not reached yet
	rows     *rows
	next     uint64 // csn; everything below it is judged
	changes  int    // of the tables
}

func newReplay(v *Verdict, e *evidence) *replay {
	p := &replay{verdict: v, evidence: e, models: map[string]*readModel{}, at: map[uint64][]sighting{}, cuts: e.cuts, rows: newRows()}
	for _, m := range readModels() {
		p.models[m.name] = m
	}
	for _, sightings := range []map[sighting]bool{e.seen, e.differ} {
		for s := range sightings {
			if all := p.at[uint64(s.version.CSN())]; !slices.Contains(all, s) {
				p.at[uint64(s.version.CSN())] = append(all, s)
			}
		}
	}
	return p
}

// take takes the next record of the log.
func (p *replay) take(rec *history.Record) error {
	if err := p.reach(rec.CSN); err != nil {
		return err
	}
	if p.rows.apply(rec) {
		p.changes++
	}
	return nil
}

// reach judges what is at places below csn, at which the rows stand now.
func (p *replay) reach(csn uint64) error {
	for ; p.next < csn; p.next++ {
		for _, s := range p.at[p.next] {
			if err := p.verdict.judge(p.rows, p.models[s.model], s, p.evidence.seen[s], p.evidence.differ[s]); err != nil {
				return err
			}
		}
		delete(p.at, p.next)
		for len(p.cuts) > 0 && p.cuts[0].csn == p.next {
			if err := p.verdict.audit(p.rows, &p.cuts[0]); err != nil {
				return err
			}
			p.cuts = p.cuts[1:]
		}
	}
	return nil
}

// end judges what is behind the last record.
func (p *replay) end() error {
	last := p.next
	for csn := range p.at {
		last = max(last, csn)
	}
	for _, c := range p.cuts {
		last = max(last, c.csn)
	}
	return p.reach(last + 1)
}

// judge makes a document that was seen anew. One that differed at a cut was stale if it is right at its own version.
func (v *Verdict) judge(r *rows, m *readModel, s sighting, seen, differed bool) error {
	if m.recompute == nil {
		v.found(&v.Stale, "stale: %s %s of %s with csn %d", s.model, s.id, s.kind, s.version.CSN())
		return nil
	}
	want, err := r.sum(m, s.id)
	if err != nil {
		return err
	}
	if seen {
		v.Documents++
	}
	switch {
	case want != s.sum:
		v.found(&v.Torn, "torn: %s %s of %s with csn %d", s.model, s.id, s.kind, s.version.CSN())
	case seen:
		v.Equal++
	}
	if differed && want == s.sum {
		v.found(&v.Stale, "stale: %s %s of %s with csn %d", s.model, s.id, s.kind, s.version.CSN())
	}
	return nil
}

// audit compares the recomputation with the SQL.
func (v *Verdict) audit(r *rows, c *cut) error {
	for _, m := range readModels() {
		if m.recompute == nil {
			continue
		}
		n := 0
		for _, id := range m.ids(r) {
			is, err := r.sum(m, id)
			if err != nil {
				return err
			}
			if is != absent {
				n++
			}
			if want := c.want[docKey{m.name, id}]; want != is {
				v.found(&v.Wrong, "wrong: %s %s at csn %d is not what the SQL says", m.name, id, c.csn)
			}
		}
		for doc := range c.want {
			if doc.model == m.name {
				n--
			}
		}
		if n != 0 {
			v.found(&v.Wrong, "wrong: at csn %d the log gives %d more documents %s than the SQL", c.csn, n, m.name)
		}
	}
	return nil
}
