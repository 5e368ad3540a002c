package binlog

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

// partialRows says what the rows of an event have, where that is not everything: images without some columns (binlog_row_image
// MINIMAL, NOBLOB), or diffs of JSON documents (binlog_row_value_options PARTIAL_JSON). Events share it.
type partialRows struct {
	before, after presence
	absent        *eventstore.Absent // nil when the images have all columns
	// diffs says that JSON columns of the image after an update may be diffs; documents is how many the table has.
	diffs     bool
	documents int
}

// presence says which columns an image has.
type presence struct {
	bitmap []byte // by column
	count  int
}

func newPresence(bitmap []byte, columns int) presence {
	p := presence{bitmap: bitmap}
	for i, b := range bitmap {
		if spare := 8*(i+1) - columns; spare > 0 {
			b &= 0xff >> spare
		}
		p.count += bits.OnesCount8(b)
	}
	return p
}

func (p presence) has(i int) bool { return p.bitmap[i>>3]&(1<<(i&7)) != 0 }

// absent names the columns that the image lacks, of those that are captured.
func (p presence) absent(t *table) (names []string) {
	for i := range t.columns {
		if c := &t.columns[i]; !p.has(i) && !c.excluded {
			names = append(names, c.name)
		}
	}
	return names
}

// document is a JSON column in the image before an update.
type document struct {
	known bool
	value []byte // nil for NULL
}

var (
	errRowImage = errors.New("the row image is not FULL: columns are missing. Fix: SET GLOBAL binlog_row_image = 'FULL' (sessions keep " +
		"their own setting), and start behind the changes that were written before; or accept them: Config.PartialRows")
	errKeyAbsent = errors.New("the row's images lack the value of this key column: it took its DEFAULT, or is not part of the primary key. " +
		"Fix: SET GLOBAL binlog_row_image = 'FULL' (sessions keep their own setting), and start behind this transaction")
	errNoDocument = errors.New("the update holds only what has changed in the JSON document, and the image before it lacks the document. Fix: " +
		"SET GLOBAL binlog_row_image = 'FULL' or 'NOBLOB', or SET GLOBAL binlog_row_value_options = '' (sessions keep their own setting), and start " +
		"behind this transaction")
	errNullDocument = errors.New("the update changes a part of a JSON document that is NULL: corrupt event")
)

// maxPartialRows bounds how many kinds of images a table keeps: servers write a bitmap for each set of columns that a statement names.
const maxPartialRows = 64

// partialRows prepares an event's rows, once for all with such images. The bitmaps are those of the event; of an insert or delete both are
// the only one.
func (t *table) partialRows(op cdc.Op, before, after []byte, diffs bool) *partialRows {
	var room [64]byte
	key := append(room[:0], byte(op), 0)
	if diffs {
		key[1] = 1
	}
	key = append(append(key, before...), after...)
	p := t.partial[string(key)]
	if p == nil {
		if t.partial == nil || len(t.partial) >= maxPartialRows {
			t.partial = map[string]*partialRows{}
		}
		bitmaps := slices.Clone(key[2:])
		p = newPartialRows(t, op, bitmaps[:len(before)], bitmaps[len(before):], diffs)
		t.partial[string(key)] = p
	}
	return p
}

func newPartialRows(t *table, op cdc.Op, before, after []byte, diffs bool) *partialRows {
	p := &partialRows{before: newPresence(before, len(t.columns)), after: newPresence(after, len(t.columns)), diffs: diffs}
	for i := range t.columns {
		if t.columns[i].json {
			p.documents++
		}
	}
	var absent eventstore.Absent
	if op != cdc.Create {
		absent.Before = p.before.absent(t)
	}
	if op != cdc.Delete {
		absent.After = p.after.absent(t)
	}
	if absent.Before != nil || absent.After != nil {
		p.absent = &absent
	}
	return p
}

// lacks tells whether images lack columns.
func (p *partialRows) lacks() bool { return p != nil && p.absent != nil }

// nextPartial is next for rows that have not everything.
func (r *rows) nextPartial(buf *buffer, row uint64) error {
	t, p := r.table, r.partial
	c := change{table: t.public, op: r.op, row: row, absent: p.absent}
	buf.oldKey, buf.newKey = noKey(buf.oldKey, len(t.key)), noKey(buf.newKey, len(t.key))
	buf.docs = buf.docs[:0]
	size := len(r.rest)
	var err error
	if r.op != cdc.Create {
		if c.before, err = r.partialImage(buf, buf.oldKey, p.before, nil, p.diffs); err != nil {
			return err
		}
	}
	if r.op != cdc.Delete {
		diffs, err := r.valueOptions()
		if err != nil {
			return err
		}
		if c.after, err = r.partialImage(buf, buf.newKey, p.after, diffs, false); err != nil {
			return err
		}
	}
	if len(r.rest) == size {
		return errShort // images without columns take no bytes: there would be no end of rows
	}
	for place, col := range t.key {
		old, now := &buf.oldKey[place], &buf.newKey[place]
		if r.op == cdc.Update && now.to == 0 {
			*now = *old // unchanged
		}
		if r.op != cdc.Create && old.to == 0 || r.op != cdc.Delete && now.to == 0 {
			return &columnError{col.name, errKeyAbsent}
		}
	}
	buf.add(t, c)
	return nil
}

// noKey returns a key of n values that are all unknown.
func noKey(key []span, n int) []span {
	if cap(key) < n {
		return make([]span, n)
	}
	key = key[:n]
	clear(key)
	return key
}

// partialJSON is the only value option: JSON columns may be diffs.
const partialJSON = 1

// valueOptions reads what stands between the images of an update with diffs: a bit for each JSON column of the table, set where the
// image after it has diffs.
func (r *rows) valueOptions() ([]byte, error) {
	if !r.partial.diffs {
		return nil, nil
	}
	c := cursor{rest: r.rest}
	options := c.lenenc()
	var diffs []byte
	if options&partialJSON != 0 {
		diffs = c.take(uint64(r.partial.documents+7) / 8)
	}
	if c.bad {
		return nil, errShort
	}
	if options&^partialJSON != 0 {
		return nil, fmt.Errorf("value options %#x are not supported", options)
	}
	r.rest = c.rest
	return diffs, nil
}

// partialImage decodes an image that has the columns of p, and notes where the key's values are. diffs has a bit for each JSON column,
// set where the value is a list of diffs. keep notes the JSON documents.
func (r *rows) partialImage(buf *buffer, key []span, p presence, diffs []byte, keep bool) (span, error) {
	t, size := r.table, (p.count+7)/8
	if len(r.rest) < size {
		return span{}, errShort
	}
	nulls, src := r.rest[:size], r.rest[size:]
	dst := buf.json
	start, at, doc := len(dst), 0, -1
	for i := range t.columns {
		c := &t.columns[i]
		if c.json {
			doc++
		}
		known := p.has(i)
		if keep && c.json {
			buf.docs = append(buf.docs, document{known: known})
		}
		if !known {
			continue
		}
		null := nulls[at>>3]&(1<<(at&7)) != 0
		at++
		if c.excluded {
			n, err := c.pass(src, null)
			if err != nil {
				return span{}, err
			}
			src = src[n:]
			continue
		}
		dst = append(dst, c.prefix...)
		dst[start] = '{' // a prefix begins with a comma, but for the table's first column
		from := len(dst)
		var n int
		var err error
		switch {
		case null:
			dst = append(dst, "null"...)
		case c.json && diffs != nil && diffs[doc>>3]&(1<<(doc&7)) != 0:
			dst, n, err = renderJSONDiffs(dst, src, buf.docs[doc])
		default:
			if dst, n, err = c.render(c, dst, src); err == nil && keep && c.json {
				buf.docs[doc].value = src[c.width:n:n]
			}
		}
		if err != nil {
			return span{}, &columnError{c.name, err}
		}
		src = src[n:]
		if c.mask != nil && !null {
			dst = c.mask.Replace(dst, from)
		}
		if c.key >= 0 {
			key[c.key] = span{from, len(dst)}
		}
	}
	if len(dst) == start {
		dst = append(dst, '{')
	}
	buf.json, r.rest = append(dst, '}'), src
	return span{start, len(buf.json)}, nil
}
