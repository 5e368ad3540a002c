package binlog

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/millrace-go/millrace/cdc"
)

// table is what the rows of one table map are decoded with.
type table struct {
	schema, name string
	columns      []column
	nulls        int // bytes of a full row's null bitmap

	public *cdc.Table // nil when the filter leaves the table out: its rows are only counted
	key    []*column  // by place in the record's key
	keyed  [][]byte   // `{"id":` of the first key column, `,"other":` of the others

	refused error // why rows of the table cannot be decoded

	// partial are the kinds of images without everything that have come, by operation and bitmaps.
	partial map[string]*partialRows

	// sized says that all columns' lengths are known, so that rows can be counted.
	sized bool
	body  []byte // the event this was made from
}

var errNoMetadata = errors.New("the event has no column names. Fix: SET GLOBAL binlog_row_metadata = 'FULL', and start behind the " +
	"changes that were written before")

// columnError says which column of a table cannot be decoded.
type columnError struct {
	column string
	err    error
}

func (e *columnError) Error() string { return fmt.Sprintf("column %s: %v", e.column, e.err) }
func (e *columnError) Unwrap() error { return e.err }

// newTable prepares a table that the filter takes.
func newTable(m *tableMap, charsets *charsets, choice choice) (*table, error) {
	t := &table{schema: m.schema, name: m.name, nulls: (len(m.columns) + 7) / 8, sized: true}
	t.public = &cdc.Table{Schema: m.schema, Name: m.name}
	if !m.named {
		return nil, errNoMetadata
	}
	if err := checkKey(m); err != nil {
		return nil, err
	}
	candidates := make([]candidate, len(m.columns))
	for i := range m.columns {
		from := &m.columns[i]
		candidates[i] = candidate{from.name, from.typeName(), from.holdsText()}
	}
	chosen, problems := choice.of(m.schema, m.name, candidates, m.key)
	if len(problems) > 0 {
		return nil, problems[0]
	}
	t.columns = make([]column, len(m.columns))
	shown := make([]int, len(m.columns)) // places in t.public
	for i := range m.columns {
		from := &m.columns[i]
		if chosen.excluded[i] {
			if err := t.columns[i].exclude(from); err != nil {
				return nil, &columnError{from.name, err}
			}
			continue
		}
		col, err := newColumn(from, charsets)
		if err != nil {
			return nil, &columnError{from.name, err}
		}
		shown[i] = len(t.public.Columns)
		if col.prefix, err = member(shown[i] == 0, from.name); err != nil {
			return nil, &columnError{from.name, err}
		}
		col.mask = chosen.masks[i]
		col.special = col.mask != nil
		t.columns[i] = *col
		t.public.Columns = append(t.public.Columns, cdc.Column{Name: from.name, Type: from.typeName(), Mask: maskName(col.mask)})
	}
	for place, i := range chosen.key {
		col := &t.columns[i]
		col.key, col.special = place, true
		prefix, err := member(place == 0, col.name)
		if err != nil {
			return nil, &columnError{col.name, err}
		}
		t.key, t.keyed = append(t.key, col), append(t.keyed, prefix)
		t.public.Key = append(t.public.Key, shown[i])
	}
	return t, nil
}

// checkKey finds a primary key that no table can have.
func checkKey(m *tableMap) error {
	for place, i := range m.key {
		if slices.Contains(m.key[:place], i) {
			return &columnError{m.columns[i].name, errors.New("stands twice in the primary key: corrupt event")}
		}
	}
	return nil
}

func maskName(m *cdc.Mask) string {
	if m == nil {
		return ""
	}
	return m.String()
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
