package snapshot

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"strings"

	"github.com/millrace-go/millrace/internal/integration/history"
)

// Verdict is what a check found.
type Verdict struct {
	Rows     int // in the tables at the end
	Changes  int // records of the log, tombstones left out
	Reads    int // of these, rows that a chunk has brought
	Repeated int // of these, rows that the log had already

	Mismatched int // rows whose last state in the log is not the table's
	Lost       int // rows of the tables that the log does not have
	Invented   int // rows of the log that the tables do not have
	OutOfOrder int // records that cannot stand where they stand: see Checker
	Examples   []string
}

// OK tells whether nothing is wrong, and something was compared.
func (v *Verdict) OK() bool {
	return v.Rows > 0 && v.Reads > 0 && v.Mismatched+v.Lost+v.Invented+v.OutOfOrder == 0
}

// String is the findings in one line.
func (v *Verdict) String() string {
	return fmt.Sprintf("lost %d invented %d out of order %d mismatched %d", v.Lost, v.Invented, v.OutOfOrder, v.Mismatched)
}

func (v *Verdict) found(count *int, format string, args ...any) {
	if *count++; *count <= 5 {
		v.Examples = append(v.Examples, fmt.Sprintf(format, args...))
	}
}

// Checker follows a log in commit order, and keeps a hash of each row's state. It is out of order
//
//   - when a record stands in its partition behind a later one, or twice;
//   - when a change's before image, or its lack of one, is not the state that the log has for that key at that place;
//   - when a row that a chunk has read is not the state that the log has for that key at that place, or when the log knows at that place that
//     there is no such row. A chunk that is placed wrongly is caught by this even if a later change makes good for it.
//
// Of a key that no record has named yet nothing is known, unless the table was made or emptied since the log began.
type Checker struct {
	Verdict
	schema string
	keys   map[string][]string // the key's columns, by table
	tables map[string]*table
	last   map[partition]place
	seed   maphash.Seed
}

type partition struct {
	topic  string
	number int32
}

type place struct{ csn, index uint64 }

// table is a table as the log tells it.
type table struct {
	rows  map[uint64]uint64 // image by key, both as hashes; absent for a row that is gone
	whole bool              // a row that is not named is not there
}

// absent is the image of no row.
const absent = 0

// NewChecker returns a checker for the tables of one schema; keys are the columns of their primary keys.
func NewChecker(schema string, keys map[string][]string) *Checker {
	return &Checker{schema: schema, keys: keys, tables: map[string]*table{}, last: map[partition]place{}, seed: maphash.MakeSeed()}
}

func (c *Checker) table(name string) *table {
	t := c.tables[name]
	if t == nil {
		t = &table{rows: map[uint64]uint64{}}
		c.tables[name] = t
	}
	return t
}

// Add takes the next record in commit order, as [history.MergeLog] hands them out.
func (c *Checker) Add(r *history.Record) error {
	if r.Statement != "define" { // may stand there more than once
		c.order(r)
	}
	if r.Tombstone || r.Schema != c.schema && r.ToSchema != c.schema {
		return nil
	}
	if r.Statement != "" {
		c.statement(r)
		return nil
	}
	c.Changes++
	t := c.table(r.Table)
	switch r.Op {
	case 't':
		c.tables[r.Table] = &table{rows: map[uint64]uint64{}, whole: true}
	case 'c', 'u', 'd', 'r':
		c.change(t, r)
	default:
		return fmt.Errorf("%s: op %c", r.At(), r.Op)
	}
	return nil
}

// order checks a record's place in its partition.
func (c *Checker) order(r *history.Record) {
	p, at := partition{r.Topic, r.Partition}, place{r.CSN, r.Index}
	last, known := c.last[p]
	if known && cmp.Or(cmp.Compare(last.csn, at.csn), cmp.Compare(last.index, at.index)) >= 0 {
		c.found(&c.OutOfOrder, "out of order: %s stands behind csn %d index %d", r.At(), last.csn, last.index)
	}
	c.last[p] = at
}

// statement does to the tables what a schema change did.
func (c *Checker) statement(r *history.Record) {
	switch r.Statement {
	case "rename":
		if r.Schema != c.schema { // with rows that the log has never seen
			c.tables[r.To] = &table{rows: map[uint64]uint64{}}
			return
		}
		if r.ToSchema == c.schema {
			c.tables[r.To] = c.table(r.Table)
		}
		c.tables[r.Table] = &table{rows: map[uint64]uint64{}, whole: true}
	case "create", "drop":
		c.tables[r.Table] = &table{rows: map[uint64]uint64{}, whole: true}
	}
}

func (c *Checker) change(t *table, r *history.Record) {
	key, before, after := c.hash(r.Key), c.image(r.Before), c.image(r.After)
	for _, image := range []map[string]history.Value{r.Before, r.After} {
		if image != nil && c.key(r.Table, image) != key {
			c.found(&c.Mismatched, "mismatched: %s has an image with another key", r.At())
			return
		}
	}
	state, known := t.rows[key]
	known = known || t.whole
	if r.Op == 'r' {
		c.Reads++
		if known {
			c.Repeated++
		}
		before = after // it changes nothing
	}
	if known && state != before {
		c.found(&c.OutOfOrder, "out of order: %s: %s op %c %v %s", r.At(), r.Table, r.Op, r.Key, contradiction(state, before))
	}
	t.rows[key] = after
}

func contradiction(state, before uint64) string {
	switch {
	case state == absent:
		return "is about a row that the log does not have there"
	case before == absent:
		return "makes a row that the log has there already"
	}
	return "says that the row was another than in the log there"
}

// Compare compares a table with its rows by the server's own SELECT. It is called once for each table, when all records were added.
func (c *Checker) Compare(name string, rows func(each func(row map[string]history.Value)) error) error {
	t := c.table(name)
	err := rows(func(row map[string]history.Value) {
		c.Rows++
		key := c.key(name, row)
		state := t.rows[key]
		delete(t.rows, key)
		switch state {
		case absent:
			c.found(&c.Lost, "lost: %s %v", name, c.columns(name, row))
		case c.image(row):
		default:
			c.found(&c.Mismatched, "mismatched: %s %v", name, c.columns(name, row))
		}
	})
	for _, state := range t.rows {
		if state != absent {
			c.found(&c.Invented, "invented: a row of %s", name)
		}
	}
	t.rows = nil
	return err
}

func (c *Checker) columns(table string, row map[string]history.Value) map[string]history.Value {
	key := map[string]history.Value{}
	for _, name := range c.keys[table] {
		key[name] = row[name]
	}
	return key
}

func (c *Checker) key(table string, row map[string]history.Value) (sum uint64) {
	for _, name := range c.keys[table] {
		sum += c.column(name, row[name])
	}
	return sum
}

// hash is the same whatever the order of the columns.
func (c *Checker) hash(row map[string]history.Value) (sum uint64) {
	for name, v := range row {
		sum += c.column(name, v)
	}
	return sum
}

// image is the hash of an image. A column that was added while the table had rows counts only where it is not the default, so that images from
// before and behind the ALTER are the same row.
func (c *Checker) image(row map[string]history.Value) (sum uint64) {
	if row == nil {
		return absent
	}
	for name, v := range row {
		if byDefault, added := strings.CutPrefix(name, addedColumn); !added || v.Null || v.Text != byDefault {
			sum += c.column(name, v)
		}
	}
	return max(sum, 1)
}

// addedColumn begins the name of a column that was added later; its default is the rest of its name.
const addedColumn = "added_"

func (c *Checker) column(name string, v history.Value) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	_, _ = h.WriteString(name) // never fails
	if v.Null {
		_ = h.WriteByte(1)
	} else {
		_ = h.WriteByte(0)
		_, _ = h.WriteString(v.Text)
	}
	return h.Sum64()
}
