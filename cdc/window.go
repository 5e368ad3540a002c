package cdc

import (
	"slices"

	"github.com/millrace-go/millrace/eventstore"
)

// window is what the stream delivers of one table while a chunk of it is read, from the place where it was opened up to the one where
// the chunk's rows are placed. It is pure: transactions and marks go in, and a decision comes out. Opened, asked and closed between two
// transactions only, it may note keys as their slices come. One of no table stands around a list of the tables, which a rename makes
// worthless.
type window struct {
	schema, table string
	limit         int // bytes of what it keeps

	begun     Coordinates         // where a transaction ended before it was opened; zero where that is not known
	matched   Coordinates         // a place that views were shown to cover before this one's was taken
	completed map[string]struct{} // the XA transactions that were completed before, as far as they may not be visible
	prepared  map[string]struct{} // those that were open then, or were prepared since
	keys      map[string]bool     // of the rows that changed; true where an image lacked columns
	ends      []Coordinates       // where transactions ended
	bytes     int                 // of keys and ends
	broken    discard

	last    *Table // the table of the change before, and whether it is this one
	isTable bool

	chunk *Chunk
	// Once the chunk is there, only its rows count, and whether a transaction ends at its low mark: however long it waits for its place, nothing
	// else is kept.
	rowKeys map[string]struct{}
	low     bool
}

// discard is why a chunk is worth nothing; empty while it may be worth something.
type discard string

const (
	otherKey     discard = "its range is of another key of the table"
	tableChanged discard = "the table's definition changed"
	tooMuch      discard = "too much changed meanwhile"
	wrongLow     discard = "no transaction ends where the view was said to be"
	unseenXA     discard = "the view may lack an XA transaction that was delivered before"
	otherServer  discard = "it was read from another server"
	sharedKey    discard = "rows changed whose key is not theirs alone"
	partialRow   discard = "rows changed whose images lack columns"
)

// endBytes is about what a place in ends or a key takes beside its text.
const endBytes = 64

func newWindow(schema, table string, limit int) *window {
	return &window{schema: schema, table: table, limit: limit, keys: map[string]bool{}}
}

// open begins the window at a place of the stream.
func (w *window) open(at, matched Coordinates, completed map[string]struct{}, prepared []eventstore.Prepare) {
	w.begun, w.matched = at, matched
	w.completed, w.prepared = completed, map[string]struct{}{}
	for _, p := range prepared {
		w.prepared[p.XID] = struct{}{}
	}
}

// pass notes a slice that has been delivered.
func (w *window) pass(s *Slice) {
	for i := range s.Schema {
		if c := &s.Schema[i]; w.table == "" && c.Op == eventstore.SchemaRename || c.Schema == w.schema && (c.Table == w.table || c.Table == "") || c.ToSchema == w.schema && c.ToTable == w.table {
			w.spoil(tableChanged)
		}
	}
	for i := range s.Changes {
		c := &s.Changes[i]
		if c.Table != w.last {
			w.last, w.isTable = c.Table, c.Table.Schema == w.schema && c.Table.Name == w.table
		}
		if !w.isTable {
			continue
		}
		w.note(c.Key, c.Absent != nil)
		if c.OldKey != nil {
			w.note(c.OldKey, c.Absent != nil)
		}
	}
	if s.Prepared != nil {
		w.prepared[s.Prepared.XID] = struct{}{}
	}
	if s.Last {
		w.end(Coordinates{s.Server, s.File, s.Offset})
	}
}

// read gives the window its chunk.
func (w *window) read(c *Chunk) {
	w.chunk, w.rowKeys = c, make(map[string]struct{}, len(c.Rows))
	for i := range c.Rows {
		w.rowKeys[string(c.Rows[i].Key)] = struct{}{}
	}
}

// end notes where a transaction ended.
func (w *window) end(at Coordinates) {
	switch {
	case w.broken != "":
	case w.chunk != nil:
		w.low = w.low || w.chunk.Low != nil && at == *w.chunk.Low
	default:
		w.ends = append(w.ends, at)
		w.grow(endBytes)
	}
}

func (w *window) note(key []byte, partial bool) {
	if w.broken != "" {
		return
	}
	if w.chunk != nil {
		if _, row := w.rowKeys[string(key)]; !row {
			return
		}
	}
	before, known := w.keys[string(key)]
	if !known && w.chunk == nil {
		w.grow(len(key) + endBytes)
	}
	if !known || partial && !before {
		w.keys[string(key)] = partial
	}
}

func (w *window) grow(n int) {
	if w.bytes += n; w.bytes > w.limit {
		w.spoil(tooMuch)
	}
}

// spoil makes the chunk worthless, and the window small.
func (w *window) spoil(why discard) {
	if w.broken == "" {
		w.broken = why
	}
	w.keys, w.ends, w.rowKeys = nil, nil, nil
}

// decide tells whether the chunk, which has been read, can be placed at a place of the stream between two transactions, or never. foreign are XA
// transactions that the stream does not know. Where it waits, both results are false and empty.
func (w *window) decide(at Coordinates, foreign map[string]bool) (place bool, why discard) {
	c := w.chunk
	switch {
	case w.broken != "":
		return false, w.broken
	case at.Server == "":
		return false, ""
	case at.Server != c.High.Server:
		return false, otherServer
	case at.Compare(c.High) < 0:
		return false, ""
	case !w.covers():
		return false, wrongLow
	}
	if slices.ContainsFunc(c.Unseen, func(xid string) bool { return w.lacks(xid) && !foreign[xid] }) {
		return false, unseenXA
	}
	for i := range c.Rows {
		switch partial, changed := w.keys[string(c.Rows[i].Key)]; {
		case partial:
			return false, partialRow
		case changed && c.Shared:
			return false, sharedKey
		}
	}
	return true, ""
}

// lacks tells whether the view may lack a transaction's rows although its XA COMMIT came before the window: the server lists it as
// prepared, and the stream does not. One that this session did not see committed may also be one that the log never knew.
func (w *window) lacks(xid string) bool {
	_, completed := w.completed[xid]
	_, open := w.prepared[xid]
	return completed || !open
}

// covers tells whether the view has everything that was delivered when the window was opened.
func (w *window) covers() bool {
	return w.chunk.Low == nil || w.endsAtLow() || w.begun.Server != "" && w.matched.Server == w.begun.Server && w.matched.Compare(w.begun) >= 0
}

// endsAtLow tells whether a transaction of the window ends at the chunk's low mark, or the window begins there, which is where one ended.
func (w *window) endsAtLow() bool {
	return w.low || *w.chunk.Low == w.begun || slices.Contains(w.ends, *w.chunk.Low)
}

// rows are those of the chunk that the stream does not tell better.
func (w *window) rows() []Change {
	return slices.DeleteFunc(w.chunk.Rows, func(c Change) bool {
		_, changed := w.keys[string(c.Key)]
		return changed
	})
}
