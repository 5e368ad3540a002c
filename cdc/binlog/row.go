package binlog

import (
	"bytes"
	"fmt"

	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

// rows is a row event being read: its rows come one after the other until rest is empty.
type rows struct {
	table *table
	op    cdc.Op
	rest  []byte
	// opaque says that the rows cannot be told apart, which is allowed for tables that the filter leaves out.
	opaque bool
	// partial is nil for rows with all columns, each as a whole value: most are.
	partial *partialRows
}

const (
	rowsEndOfStatement = 1        // flag: the table ids mean nothing any more
	dummyTableID       = 0xffffff // an event that only ends a statement
)

// parseRows reads a row event's head. find gives the table of an id.
func parseRows(e event, find func(id uint64) *table) (r rows, endOfStatement bool, err error) {
	op, version := rowsKind(e.kind)
	c := cursor{rest: e.body}
	id := c.uint(tableIDSize)
	endOfStatement = c.uint(2)&rowsEndOfStatement != 0
	if version == 2 {
		if extra := c.uint(2); extra >= 2 { // it counts itself
			c.take(extra - 2)
		} else {
			c.bad = true
		}
	}
	columns := c.lenenc()
	if c.bad || columns > 1<<16 {
		return rows{}, endOfStatement, errShort
	}
	if id == dummyTableID {
		return rows{}, endOfStatement, nil
	}
	present := c.take((columns + 7) / 8) // in the image, or in the one before an update
	after := present
	if op == cdc.Update {
		after = c.take((columns + 7) / 8)
	}
	if c.bad {
		return rows{}, endOfStatement, errShort
	}
	whole := fullBitmap(present, int(columns)) && fullBitmap(after, int(columns)) && e.kind != replication.PARTIAL_UPDATE_ROWS_EVENT
	t := find(id)
	if t == nil {
		return rows{}, endOfStatement, fmt.Errorf("%s for table id %d, which no table map has named", e.name(), id)
	}
	r = rows{table: t, op: op, rest: c.rest}
	if t.refused != nil {
		return r, endOfStatement, t.refused
	}
	if t.public == nil {
		r.opaque = !t.sized || !whole || int(columns) != len(t.columns)
		return r, endOfStatement, nil
	}
	if int(columns) != len(t.columns) {
		return r, endOfStatement, fmt.Errorf("%s has %d columns, the table map %d", e.name(), columns, len(t.columns))
	}
	if !whole {
		r.partial = t.partialRows(op, present, after, e.kind == replication.PARTIAL_UPDATE_ROWS_EVENT)
	}
	return r, endOfStatement, nil
}

// rowsKind tells what a row event does and the layout of its head; 0 for other events.
func rowsKind(kind replication.EventType) (cdc.Op, int) {
	switch kind {
	case replication.WRITE_ROWS_EVENTv1, replication.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1:
		return cdc.Create, 1
	case replication.UPDATE_ROWS_EVENTv1, replication.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT_V1:
		return cdc.Update, 1
	case replication.DELETE_ROWS_EVENTv1, replication.MARIADB_DELETE_ROWS_COMPRESSED_EVENT_V1:
		return cdc.Delete, 1
	case replication.WRITE_ROWS_EVENTv2:
		return cdc.Create, 2
	case replication.UPDATE_ROWS_EVENTv2, replication.PARTIAL_UPDATE_ROWS_EVENT:
		return cdc.Update, 2
	case replication.DELETE_ROWS_EVENTv2:
		return cdc.Delete, 2
	}
	return 0, 0
}

func fullBitmap(bitmap []byte, columns int) bool {
	for i, b := range bitmap {
		if want := byte(0xff); i < columns/8 && b != want || i == columns/8 && b&(1<<(columns%8)-1) != 1<<(columns%8)-1 {
			return false
		}
	}
	return true
}

// span is a part of the slice's buffer.
type span struct{ from, to int }

// change is a cdc.Change whose parts are still places in the buffer, which moves when it grows.
type change struct {
	table                      *cdc.Table
	op                         cdc.Op
	row                        uint64
	key, oldKey, before, after span
	absent                     *eventstore.Absent
}

// next decodes one row into the buffer.
func (r *rows) next(buf *buffer, row uint64) error {
	if r.partial != nil {
		return r.nextPartial(buf, row)
	}
	c := change{table: r.table.public, op: r.op, row: row}
	var err error
	if r.op != cdc.Create {
		if c.before, err = r.image(buf, &buf.oldKey); err != nil {
			return err
		}
	}
	if r.op != cdc.Delete {
		if c.after, err = r.image(buf, &buf.newKey); err != nil {
			return err
		}
	}
	buf.add(r.table, c)
	return nil
}

// image decodes one row image and notes where the key's values are.
func (r *rows) image(buf *buffer, key *[]span) (span, error) {
	t := r.table
	if len(r.rest) < t.nulls {
		return span{}, errShort
	}
	if cap(*key) < len(t.key) {
		*key = make([]span, len(t.key))
	}
	*key = (*key)[:len(t.key)]
	nulls, src := r.rest[:t.nulls], r.rest[t.nulls:]
	dst := buf.json
	start := len(dst)
	for i := range t.columns {
		c := &t.columns[i]
		dst = append(dst, c.prefix...)
		from := len(dst)
		if nulls[i>>3]&(1<<(i&7)) == 0 {
			var n int
			var err error
			if dst, n, err = c.render(c, dst, src); err != nil {
				return span{}, &columnError{c.name, err}
			}
			src = src[n:]
		} else if !c.excluded {
			dst = append(dst, "null"...)
		}
		if c.special {
			if c.mask != nil {
				dst = c.mask.Replace(dst, from)
			}
			if c.key >= 0 {
				(*key)[c.key] = span{from, len(dst)}
			}
		}
	}
	buf.json, r.rest = append(dst, '}'), src
	return span{start, len(buf.json)}, nil
}

// pass returns how many bytes of src the value of an excluded column is.
func (c *column) pass(src []byte, null bool) (int, error) {
	if null {
		return 0, nil
	}
	n, err := c.size(c, src)
	if err != nil {
		return 0, &columnError{c.name, err}
	}
	return n, nil
}

// skip passes over one row of a table that the filter leaves out. Where the rows cannot be told apart they count as one, which every
// pass over the binlog will do.
func (r *rows) skip() {
	images := 1
	if r.op == cdc.Update {
		images = 2
	}
	t, src := r.table, r.rest
	r.rest = nil
	if r.opaque {
		return
	}
	for range images {
		if len(src) < t.nulls {
			return
		}
		nulls := src[:t.nulls]
		src = src[t.nulls:]
		for i := range t.columns {
			if nulls[i>>3]&(1<<(i&7)) != 0 {
				continue
			}
			n, err := t.columns[i].size(&t.columns[i], src)
			if err != nil {
				return
			}
			src = src[n:]
		}
	}
	r.rest = src
}

// buffer collects the decoded rows of a slice. It is reused.
type buffer struct {
	json           []byte
	changes        []change
	oldKey, newKey []span     // of the row at hand: the key's values in json
	docs           []document // of the row at hand, by JSON column: what diffs are applied to
	out            []cdc.Change
}

// add appends the keys of the row at hand, and its change.
func (b *buffer) add(t *table, c change) {
	switch {
	case c.op == cdc.Delete:
		c.key = b.appendKey(t, b.oldKey)
	case c.op == cdc.Update && !b.sameKey():
		c.oldKey = b.appendKey(t, b.oldKey)
		fallthrough
	default:
		c.key = b.appendKey(t, b.newKey)
	}
	b.changes = append(b.changes, c)
}

// sameKey tells whether both images of the row at hand have the same key.
func (b *buffer) sameKey() bool {
	for i, old := range b.oldKey {
		now := b.newKey[i]
		if !bytes.Equal(b.json[old.from:old.to], b.json[now.from:now.to]) {
			return false
		}
	}
	return true
}

func (b *buffer) appendKey(t *table, values []span) span {
	start := len(b.json)
	for i, prefix := range t.keyed {
		b.json = append(b.json, prefix...)
		b.json = append(b.json, b.json[values[i].from:values[i].to]...)
	}
	b.json = append(b.json, '}')
	return span{start, len(b.json)}
}

// export returns the first n changes as the slice's. They are valid until the buffer is used again.
func (b *buffer) export(n int) []cdc.Change {
	b.out = b.out[:0]
	for i := range b.changes[:n] {
		c := &b.changes[i]
		b.out = append(b.out, cdc.Change{
			Table: c.table, Op: c.op, Row: c.row,
			Key: b.bytes(c.key), OldKey: b.bytes(c.oldKey), Before: b.bytes(c.before), After: b.bytes(c.after),
			Absent: c.absent,
		})
	}
	return b.out
}

func (b *buffer) bytes(s span) []byte {
	if s.from == s.to {
		return nil
	}
	return b.json[s.from:s.to:s.to]
}

// drop forgets the first n changes and moves the others to the front. The slice made of them becomes invalid.
func (b *buffer) drop(n int) {
	if n == len(b.changes) {
		b.changes, b.json = b.changes[:0], keep(b.json)
		if b.json == nil {
			clear(b.out)
		}
		return
	}
	rest := b.changes[n:]
	by := rest[0].first()
	b.json = b.json[:copy(b.json, b.json[by:])]
	for i := range rest {
		for _, s := range []*span{&rest[i].key, &rest[i].oldKey, &rest[i].before, &rest[i].after} {
			if s.from != s.to {
				s.from, s.to = s.from-by, s.to-by
			}
		}
	}
	b.changes = append(b.changes[:0], rest...)
}

// keep empties a buffer for reuse. A huge value is no reason to hold its memory for good.
func keep(buf []byte) []byte {
	if cap(buf) > 16<<20 {
		return nil
	}
	return buf[:0]
}

// first is where the change's bytes begin.
func (c *change) first() int {
	if c.before.from != c.before.to {
		return c.before.from
	}
	return c.after.from
}
