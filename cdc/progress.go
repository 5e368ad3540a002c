package cdc

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace-go/millrace/eventstore"
)

// progress is how far the tables are in the log, as it goes into positions, and what follows from it: what to read next, and what a
// statement does to it. It is pure.
type progress struct {
	eventstore.SnapshotProgress
	tables []TableSize // those that there were when the source listed them, as far as they are not begun, by the names they have now
	listed bool
}

// newProgress goes on from the text of a position, under a filter that may be another one than before.
func newProgress(text string, filter Filter) (*progress, error) {
	read, err := eventstore.ParseSnapshot(text)
	if err != nil {
		return nil, err
	}
	p := &progress{SnapshotProgress: read}
	switch n := len(p.Filters); {
	case n == 0: // a log that has its tables from their beginning
		p.Filters = []eventstore.SnapshotFilter{{Include: filter.Include, Exclude: filter.Exclude, Done: true}}
	case !slices.Equal(p.Filters[n-1].Include, filter.Include) || !slices.Equal(p.Filters[n-1].Exclude, filter.Exclude):
		p.Filters = append(p.Filters, eventstore.SnapshotFilter{Include: filter.Include, Exclude: filter.Exclude})
	}
	p.Tables = slices.DeleteFunc(p.Tables, func(t *eventstore.SnapshotTable) bool { return !filter.Match(t.Schema, t.Table) })
	return p, nil
}

// beginning is the text of a new log: what the tables have now is missing, or nothing is.
func beginning(filter Filter, missing bool) string {
	return eventstore.SnapshotProgress{Filters: []eventstore.SnapshotFilter{{Include: filter.Include, Exclude: filter.Exclude, Done: !missing}}}.Text()
}

// last is the choice of tables that is captured.
func (p *progress) last() *eventstore.SnapshotFilter { return &p.Filters[len(p.Filters)-1] }

// pending tells whether there is something to read, as far as is known.
func (p *progress) pending() bool { return len(p.Tables) > 0 || !p.last().Done }

// list takes what the source has listed. It must be what there is at this place of the stream: the name of a table that was renamed since
// would be taken for read once a later one is begun.
func (p *progress) list(tables []TableSize) {
	last := p.last()
	p.tables, p.listed = nil, true
	for _, t := range tables {
		if last.Match(t.Schema, t.Name) && !p.Complete(t.Schema, t.Name) && p.find(t.Schema, t.Name, "") == nil {
			p.tables = append(p.tables, t)
		}
	}
}

// begin takes up the next table of the list. Nil: there is none, or the source has to list them first.
func (p *progress) begin() *eventstore.SnapshotTable {
	if len(p.tables) == 0 || p.last().Done {
		return nil
	}
	next := p.tables[0]
	p.tables = p.tables[1:]
	t := &eventstore.SnapshotTable{Schema: next.Schema, Table: next.Name, Estimate: next.Rows}
	p.last().Schema, p.last().Table = next.Schema, next.Name
	p.Tables = append(p.Tables, t)
	return t
}

// finish tells whether everything that the captured choice of tables lacked has been read, and notes it.
func (p *progress) finish() bool {
	lacking := slices.ContainsFunc(p.Tables, func(t *eventstore.SnapshotTable) bool { return t.Request == "" })
	if p.last().Done || !p.listed || len(p.tables) > 0 || lacking {
		return false
	}
	last := *p.last()
	last.Done, last.Schema, last.Table = true, "", ""
	p.Filters = []eventstore.SnapshotFilter{last}
	return true
}

// split sets the ranges of a table, if it is still there and as it was.
func (p *progress) split(t *eventstore.SnapshotTable, ranges []ChunkRange) {
	if t.Ranges != nil || !slices.Contains(p.Tables, t) {
		return
	}
	if len(ranges) == 0 {
		ranges = []ChunkRange{{}}
	}
	for _, r := range ranges {
		t.Ranges = append(t.Ranges, &r)
	}
}

// read notes that a chunk of a range is in the log, and tells whether its table is done with it.
func (p *progress) read(t *eventstore.SnapshotTable, r *ChunkRange, chunk *Chunk, rows int) (done bool) {
	t.Rows += uint64(rows)
	if !chunk.Done {
		*r = chunk.Rest
		return false
	}
	t.Ranges = slices.DeleteFunc(t.Ranges, func(other *ChunkRange) bool { return other == r })
	if len(t.Ranges) > 0 {
		return false
	}
	p.remove(t)
	return true
}

func (p *progress) remove(t *eventstore.SnapshotTable) {
	p.Tables = slices.DeleteFunc(p.Tables, func(other *eventstore.SnapshotTable) bool { return other == t })
}

// find returns the table that a request asked for, or that is read because it is not whole (request "").
func (p *progress) find(schema, table, request string) *eventstore.SnapshotTable {
	for _, t := range p.Tables {
		if t.Schema == schema && t.Table == table && t.Request == request {
			return t
		}
	}
	return nil
}

// roomFor refuses a request with which positions would say too much.
func (p *progress) roomFor(where string) error {
	const names = 64 // and punctuation
	have := 0
	for _, t := range p.Tables {
		have += names + len(t.Schema) + len(t.Table) + len(t.Request) + len(t.Where)
		for _, r := range t.Ranges {
			have += names + len(r.After) + len(r.Until)
		}
	}
	if have+len(where) > maxProgress {
		return fmt.Errorf("%w: about %d bytes stand in each watermark, at most %d may, and this condition has %d", ErrTooManyRequests, have, maxProgress, len(where))
	}
	return nil
}

// ask adds a request to read a table, or a part of it, once more.
func (p *progress) ask(id, schema, table, where string) {
	if p.find(schema, table, id) == nil {
		p.Tables = append(p.Tables, &eventstore.SnapshotTable{Schema: schema, Table: table, Request: id, Where: where})
	}
}

// statements notes what the schema changes of a slice do to what is being read, and tells whether they did something to it.
func (p *progress) statements(changes []SchemaChange) (changed bool) {
	before, listed, tables := p.Text(), len(p.tables), slices.Clone(p.Tables)
	moved := map[tableName]was{} // what was renamed in this statement, and what is of that name now
	for i := range changes {
		c := &changes[i]
		switch c.Op {
		case eventstore.SchemaDrop:
			p.drop(c.Schema, c.Table)
		case eventstore.SchemaRename:
			p.rename(c, moved, tables)
		default:
			p.restart(c.Schema, c.Table)
		}
	}
	return p.Text() != before || len(p.tables) != listed
}

// drop forgets a table, or all of a schema.
func (p *progress) drop(schema, table string) {
	gone := func(s, t string) bool { return s == schema && (table == "" || t == table) }
	p.Tables = slices.DeleteFunc(p.Tables, func(t *eventstore.SnapshotTable) bool { return gone(t.Schema, t.Table) })
	p.tables = slices.DeleteFunc(p.tables, func(t TableSize) bool { return gone(t.Schema, t.Name) })
}

// restart begins a table again that is not what it was: its ranges may mean nothing any more. Who reads one of them has the former.
func (p *progress) restart(schema, table string) {
	for i, t := range p.Tables {
		if t.Schema == schema && t.Table == table {
			p.Tables[i] = &eventstore.SnapshotTable{Schema: schema, Table: table, Request: t.Request, Where: t.Where, Estimate: t.Estimate}
		}
	}
}

// was is what a table was before the statement that renamed it.
type was struct {
	whole    bool
	estimate uint64
}

// rename keeps what a table lacks with its new name. A table from outside of the captured ones lacks everything, unless it takes the
// place of one that left in the same statement (an online schema change): then it has the same rows.
func (p *progress) rename(c *SchemaChange, moved map[tableName]was, tables []*eventstore.SnapshotTable) {
	from, to := tableName{c.Schema, c.Table}, tableName{c.ToSchema, c.ToTable}
	table, known := moved[from]
	left, replaces := moved[to]
	switch {
	case known:
	case p.last().Match(from.schema, from.table):
		table = was{p.Complete(from.schema, from.table), p.estimate(from)}
	default:
		table = left
	}
	moved[from], moved[to] = table, table
	p.drop(from.schema, from.table)
	p.drop(to.schema, to.table)
	if !p.last().Match(to.schema, to.table) {
		return
	}
	if !table.whole {
		p.lacks(to, table.estimate)
	}
	for _, t := range tables {
		if name := (tableName{t.Schema, t.Table}); t.Request != "" && (name == from || replaces && name == to) {
			p.ask(t.Request, to.schema, to.table, t.Where)
		}
	}
}

// estimate is about how many rows a table has that is not whole, 0 when that is not known.
func (p *progress) estimate(name tableName) uint64 {
	if t := p.find(name.schema, name.table, ""); t != nil {
		return t.Estimate
	}
	for _, t := range p.tables {
		if t.Schema == name.schema && t.Name == name.table {
			return t.Rows
		}
	}
	return 0
}

// lacks notes that a table has to be read. One whose turn comes anyhow is in no text, however many are renamed at a time.
func (p *progress) lacks(name tableName, estimate uint64) {
	if p.Complete(name.schema, name.table) {
		p.Tables = append(p.Tables, &eventstore.SnapshotTable{Schema: name.schema, Table: name.table, Estimate: estimate})
		return
	}
	if !p.listed { // the list will have it
		return
	}
	next := TableSize{Schema: name.schema, Name: name.table, Rows: estimate}
	at, _ := slices.BinarySearchFunc(p.tables, next, func(a, b TableSize) int {
		return cmp.Or(strings.Compare(a.Schema, b.Schema), strings.Compare(a.Name, b.Name))
	})
	p.tables = slices.Insert(p.tables, at, next)
}
