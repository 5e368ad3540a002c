package projector

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrace-go/millrace/eventstore"
)

// Join keeps one document for each row of a root table, made from that row and the rows of other tables that belong to it. It works from the log alone: the
// rows of all its tables lie in a local state ([Config.States]), and a changed row finds the documents it concerns by walking up the declared
// relations, from its image before and its image after the change, so that deletes, moves and late parents need no code.
//
// A document at CSN n is exactly what Build makes of the rows at n. Documents concerned are collected over a window and built once. What the sink holds already is
// not written again where that is safe.
//
// # Free reads
//
// Reads that follow no relation ([Table.Get], [Index.Find], [OrderedIndex.Range]) are recorded with the document or part that did them, found or
// not, and a change of what was read makes those anew. They cost memory for each document: declare a relation where there is one. Where the local state is lost, a Join with
// free reads writes all its documents again.
//
// # Rows that go round in a circle
//
// A document that would read rows without end ([ErrTooDeep]) is parked: it stays in the sink as it was, the others go on, and a change of any row on the circle
// makes it again. [Status.Parked] counts such documents, the log has a warning, and waiters get [ErrParked]. A new process tries them again.
//
// # Rows that many documents show
//
// A change that concerns more than SpreadAbove documents does not hold the others up: those documents are marked in the local state, and made between the
// windows. [Status.Spread] counts them; progress stays below their change until all are written.
type Join[R any, K comparable, D any] struct {
	// Name identifies the projector, its progress in the sink and its local state. It must not change.
	Name string
	// Version is that of the definition, from 1. Raise it with every change that makes other documents: they are then built anew
	// beside the old ones, and readers switch when they are complete.
	Version int
	// Target is where the documents are kept.
	Target Target
	// Root is the table whose rows have documents.
	Root *Table[R, K]
	// Reads is what Build reads besides the root row: relations, parts, and tables and indexes that are read freely. All of their tables are
	// followed. To read anything else is an error.
	//
	// A changed row concerns every document to which any path over these relations leads. A tree whose nodes show both their parents and their children
	// ([BelongsTo] and [HasMany] of one table) is made anew as a whole with each change of a node; two Joins are not.
	Reads []Readable
	// Build makes the document of a root row, or nil where there is none. It must depend on nothing but the row and what it reads through the view. D
	// is marshalled by encoding/json and must give a JSON object; the same D must give the same bytes each time.
	//
	// An error or panic halts the projector.
	Build func(v *View, root *R) (*D, error)
	// ID returns a document's id, another one for each key: two keys with one id halt the projector when both are written in one request, and otherwise
	// overwrite each other's document unseen. Nil is right for integers and strings, which are written as they are.
	ID func(key K) string

	// SpreadAbove is the number of documents that one changed row may concern before they are spread. Default 1,000.
	SpreadAbove int
	// BytesPerSecond bounds how much of the writing one document may have: a large one is written at most so often that it takes that many
	// bytes a second, and small ones are not late for it. A waiter ([Runner.WaitFor]) does not wait for that. Default 1 MiB.
	BytesPerSecond int
	// CacheBytes bounds the memory for what was read of late: decoded rows, what indexes have found, what is known of documents. Default 160 MiB.
	CacheBytes int
	// ExactKeys says that text by which rows belong together is compared byte by byte in the database (a binary collation). Without it the projector halts
	// with [ErrSpelling] on a row that belongs to none, where there is one whose key is the same but for case or spaces at the end: by most collations these
	// belong together, and by Go's comparison they do not. Where the database takes them for equal, have the key functions of the tables and relations fold them, e.g. by
	// strings.ToLower. Other letters that a collation does not tell apart (é and e) are not seen.
	ExactKeys bool
}

// Readable is what a [Join] reads: a [Many] or [One], a [Part], a [Table], an [Index] or [OrderedIndex].
type Readable interface{ join(p *joinPlan) }

// joinPlan is a [Join]'s tables with what is known of them, in the order in which the definition names them.
type joinPlan struct {
	tables  []*planTable
	indexes []*joinIndex
	edges   []*joinEdge
	parts   []*joinPart
	byTable map[*joinTable]*planTable
	known   map[any]int // the place of each index, edge and part

	build    func(v *View, row any) ([]byte, error)
	id       func(key []byte) (string, error)
	problems []error
}

// planTable is a table of a plan.
type planTable struct {
	*joinTable
	no      int
	free    bool         // Get may read it
	up      []*joinEdge  // that lead to it; a walk goes back over them
	indexes []*joinIndex // of it
	parts   []int        // made of its rows
	found   []*joinIndex // user's indexes: free reads may have found its rows by them
}

func (p *joinPlan) bad(err error) { p.problems = append(p.problems, err) }

func (p *joinPlan) table(t *joinTable) *planTable {
	if known := p.byTable[t]; known != nil {
		return known
	}
	for _, other := range p.tables {
		if other.table == t.table {
			p.bad(fmt.Errorf("table %s is declared twice: use one NewTable for all", t))
		}
	}
	if t.err != nil {
		p.bad(t.err)
	}
	known := &planTable{joinTable: t, no: len(p.tables)}
	p.tables, p.byTable[t] = append(p.tables, known), known
	return known
}

// add numbers an index, edge or part, unless it is known.
func (p *joinPlan) add(what any, number int, err error) bool {
	if _, known := p.known[what]; known {
		return false
	}
	p.known[what] = number
	if err != nil {
		p.bad(err)
	}
	return err == nil
}

func (p *joinPlan) lookup(ix *joinIndex) {
	if ix != nil && p.add(ix, len(p.indexes), ix.err) {
		p.indexes = append(p.indexes, ix)
		t := p.table(ix.table)
		t.indexes = append(t.indexes, ix)
	}
}

func (p *joinPlan) index(ix *joinIndex) {
	if _, known := p.known[ix]; !known && ix.err == nil {
		t := p.table(ix.table)
		t.found = append(t.found, ix)
	}
	p.lookup(ix)
}

func (p *joinPlan) edge(e *joinEdge) {
	if !p.add(e, len(p.edges), e.err) {
		return
	}
	p.edges = append(p.edges, e)
	p.table(e.from)
	to := p.table(e.to)
	to.up = append(to.up, e)
	p.lookup(e.toIndex)
	p.lookup(e.fromIndex)
}

func (p *joinPlan) part(part *joinPart) {
	if p.add(part, len(p.parts), part.err) {
		t := p.table(part.table)
		t.parts = append(t.parts, len(p.parts))
		p.parts = append(p.parts, part)
	}
}

// free tells whether anything may be read freely.
func (p *joinPlan) free() bool {
	for _, t := range p.tables {
		if t.free || len(t.found) > 0 {
			return true
		}
	}
	return false
}

func (p *joinPlan) knows(what any) error {
	switch w := what.(type) {
	case *joinTable:
		if t := p.byTable[w]; t == nil || !t.free {
			return fmt.Errorf("table %s was read by Get, and is not in Join.Reads", w)
		}
		return nil
	case *joinEdge:
		if _, known := p.known[w]; !known {
			return fmt.Errorf("a relation of tables %s and %s was read that is not in Join.Reads", w.from, w.to)
		}
		return nil
	}
	if _, known := p.known[what]; !known {
		return errors.New("an index or part was read that is not in Join.Reads")
	}
	return nil
}

func (j Join[R, K, D]) plan() *joinPlan {
	p := &joinPlan{byTable: map[*joinTable]*planTable{}, known: map[any]int{}}
	id := j.ID
	if id == nil {
		id = plainID[K]()
	}
	if id == nil {
		p.bad(errors.New("ID is missing, and the root's key is no integer or string"))
	}
	if j.Root == nil {
		p.bad(errors.New("Root is missing"))
		return p
	}
	p.table(j.Root.core)
	for _, r := range j.Reads {
		if r == nil {
			p.bad(errors.New("Reads has a nil"))
			continue
		}
		r.join(p)
	}
	if j.Build == nil {
		p.bad(errors.New("Build is missing"))
	}
	for _, n := range []struct {
		name  string
		value int
	}{{"SpreadAbove", j.SpreadAbove}, {"BytesPerSecond", j.BytesPerSecond}, {"CacheBytes", j.CacheBytes}} {
		if n.value < 0 {
			p.bad(fmt.Errorf("%s is %d, want a positive number, or 0 for the default", n.name, n.value))
		}
	}
	p.build = func(v *View, row any) ([]byte, error) {
		doc, err := j.Build(v, row.(*R))
		if err != nil || doc == nil {
			return nil, err
		}
		body, err := v.marshal(doc)
		if err == nil && (len(body) == 0 || body[0] != '{') {
			err = errors.New("marshal: the document is not a JSON object")
		}
		return body, err
	}
	p.id = func(key []byte) (text string, err error) {
		k, err := readKey[K](key)
		if err != nil {
			return "", err
		}
		if err := guard(func() error { text = id(k); return nil }); err != nil {
			return "", err
		}
		return text, CheckID(text)
	}
	return p
}

func (j Join[R, K, D]) definition() definition {
	p := j.plan()
	d := definition{name: j.Name, version: j.Version, target: j.Target, problems: p.problems}
	for _, t := range p.tables {
		d.tables = append(d.tables, t.table)
	}
	return d
}

func (j Join[R, K, D]) check(context.Context) error { return nil }

func (j Join[R, K, D]) start(ctx context.Context, l *loop, progress eventstore.CSN) (engine, error) {
	settings := joinSettings{spreadAbove: j.SpreadAbove, bytesPerSecond: j.BytesPerSecond, cacheBytes: j.CacheBytes, exactKeys: j.ExactKeys}
	if settings.spreadAbove == 0 {
		settings.spreadAbove = 1_000
	}
	if settings.bytesPerSecond == 0 {
		settings.bytesPerSecond = 1 << 20
	}
	if settings.cacheBytes == 0 {
		settings.cacheBytes = 160 << 20
	}
	e, err := openJoin(ctx, l, j.plan(), settings, progress)
	if err != nil {
		return nil, err
	}
	return e, nil
}
