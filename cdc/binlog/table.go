package binlog

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/millrace-go/millrace/cdc"
)

// table is what the rows of one table map are decoded with.
type table struct {
	schema, name string
	columns      []column
	nulls        int // bytes of a full row's null bitmap

	public *cdc.Table // nil when the filter leaves the table out: its rows are only counted
	key    []*column  // by place in the key
	keyed  [][]byte   // `{"id":` of the first key column, `,"other":` of the others

	refused error // why rows of the table cannot be decoded

	// sized says that all columns' lengths are known, so that rows can be counted.
	sized bool
	body  []byte // the event this was made from
}

var (
	errNoKey = errors.New("table without primary key: choosing keys is not supported yet. " +
		"Fix: ALTER TABLE … ADD PRIMARY KEY (an invisible column will do), or exclude the table")
	errNoMetadata = errors.New("the event has no column names. Fix: SET GLOBAL binlog_row_metadata = 'FULL', and start behind the " +
		"changes that were written before")
)

// columnError says which column of a table cannot be decoded.
type columnError struct {
	column string
	err    error
}

func (e *columnError) Error() string { return fmt.Sprintf("column %s: %v", e.column, e.err) }
func (e *columnError) Unwrap() error { return e.err }

// newTable prepares a table that the filter takes.
func newTable(m *tableMap, charsets *charsets) (*table, error) {
	t := &table{schema: m.schema, name: m.name, nulls: (len(m.columns) + 7) / 8, sized: true}
	t.public = &cdc.Table{Schema: m.schema, Name: m.name, Key: m.key, Columns: make([]cdc.Column, len(m.columns))}
	if !m.named {
		return nil, errNoMetadata
	}
	if len(m.key) == 0 {
		return nil, errNoKey
	}
	t.columns = make([]column, len(m.columns))
	for i := range m.columns {
		from := &m.columns[i]
		t.public.Columns[i] = cdc.Column{Name: from.name, Type: from.typeName()}
		col, err := newColumn(from, charsets)
		if err != nil {
			return nil, &columnError{from.name, err}
		}
		if col.prefix, err = member(i == 0, from.name); err != nil {
			return nil, &columnError{from.name, err}
		}
		t.columns[i] = *col
	}
	for place, i := range m.key {
		col := &t.columns[i]
		if col.key >= 0 {
			return nil, &columnError{col.name, errors.New("stands twice in the primary key: corrupt event")}
		}
		col.key = place
		prefix, err := member(place == 0, col.name)
		if err != nil {
			return nil, &columnError{col.name, err}
		}
		t.key, t.keyed = append(t.key, col), append(t.keyed, prefix)
	}
	return t, nil
}

// newSkipped prepares a table that the filter leaves out.
func newSkipped(m *tableMap) *table {
	t := &table{schema: m.schema, name: m.name, nulls: (len(m.columns) + 7) / 8, sized: true, columns: make([]column, len(m.columns))}
	for i := range m.columns {
		t.columns[i].setSize(&m.columns[i])
		t.sized = t.sized && t.columns[i].size != nil
	}
	return t
}

// member renders what stands in front of a value in an object.
func member(first bool, name string) ([]byte, error) {
	prefix := []byte{','}
	if first {
		prefix[0] = '{'
	}
	prefix, err := appendJSONString(prefix, []byte(name))
	return append(prefix, ':'), err
}

// tables is a cache of prepared tables, by table id. A server gives a table a new id when its definition changes; the body is
// compared all the same, since ids begin again when a server restarts or another one takes over.
type tables struct {
	byID map[uint64]*table
}

// maxTables bounds the cache. A server with more tables in use costs some preparing again.
const maxTables = 4096

func (c *tables) get(id uint64, body []byte) *table {
	if t := c.byID[id]; t != nil && bytes.Equal(t.body, body) {
		return t
	}
	return nil
}

func (c *tables) put(id uint64, body []byte, t *table) {
	if c.byID == nil || len(c.byID) >= maxTables {
		c.byID = map[uint64]*table{}
	}
	t.body = append([]byte(nil), body...)
	c.byID[id] = t
}
