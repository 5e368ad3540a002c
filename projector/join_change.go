package projector

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/safeguard"
)

var errNotKey = errors.New("the key function of its NewTable gives two keys for one row: it has to return the table's primary key")

func (e *joinEngine) change(row *eventstore.RowChange) error {
	t := e.byName[table{row.Schema, row.Table}]
	if err := e.taken(row, func() error { return e.apply(t, row) }); err != nil {
		return &RowError{Projector: e.loop.def.name, Table: t.String(), Place: row.Place, Err: err}
	}
	return nil
}

// taken does something that a record of the log says, and commits now and then.
func (e *joinEngine) taken(row *eventstore.RowChange, do func() error) error {
	if row.CSN != e.csn {
		e.whole, e.csn = e.csn, row.CSN
	}
	e.place = row.Place
	if err := guard(do); err != nil {
		return err
	}
	if e.broken(row.Place) <= 0 {
		e.meta.Broken = nil
	}
	if e.uncommitted++; e.uncommitted < commitChanges {
		return nil
	}
	return e.commit(e.whole)
}

// breathe counts a row of a walk, and ends the group at hand when it is large. The change is then applied again after a crash, as if it had not been.
func (e *joinEngine) breathe() error {
	if e.uncommitted++; e.uncommitted < commitChanges {
		return nil
	}
	if place := e.place; e.broken(place) < 0 {
		e.meta.Broken = &place
	}
	return e.commit(e.whole)
}

// broken compares the change that a group has ended in the middle of, if any, with a place: every change before it is done.
func (e *joinEngine) broken(place eventstore.Place) int {
	if e.meta.Broken == nil {
		return -1
	}
	return e.meta.Broken.Compare(place)
}

// apply takes one changed row: the walk from its image before, the row, the walk from its image after. Walks see the state with all earlier changes
// applied; so the topmost relation that has changed on any old path from a row to a document is walked from its own row's old image, over relations that
// are still as they were.
func (e *joinEngine) apply(t *planTable, row *eventstore.RowChange) (err error) {
	e.image = e.image[:0]
	var now, logged any
	whole := true
	if row.After != nil {
		if e.image, whole, err = t.trim(e.image, row.After); err != nil {
			return fmt.Errorf("after image: %w", err)
		}
		if now, err = t.decode(e.image); err != nil {
			return fmt.Errorf("after image: %w", err)
		}
	} else if row.Before != nil {
		if logged, err = t.decode(row.Before); err != nil {
			return fmt.Errorf("before image: %w", err)
		}
	} else {
		return errors.New("neither a before nor an after image")
	}
	key := e.borrow()
	defer func() { e.release(key) }()
	if now != nil {
		key = t.key(key, now)
	} else {
		key = t.key(key, logged)
	}
	stored, err := e.stored(t, key)
	if err != nil {
		return err
	}
	old := stored.row
	unchanged := now != nil && old != nil && stored.sum == e.sumOf(e.image) && // no column that counts
		e.broken(row.Place) != 0
	if now != nil && row.Before != nil {
		if logged, err = e.loggedBefore(t, key, row.Before, stored); err != nil {
			return err
		}
	}
	if logged != nil && (old == nil || now != nil) {
		// The log knows another state of the row than this one; whatever that concerned is made, too.
		if err := e.walkFrom(t, key, logged); err != nil {
			return err
		}
	}
	switch {
	case now == nil && old == nil:
		return nil
	case now == nil:
		return e.remove(t, key, old)
	case unchanged:
		return nil
	}
	return e.put(t, key, old, now, whole)
}

// loggedBefore returns the log's image before a change where it differs from the stored row.
func (e *joinEngine) loggedBefore(t *planTable, key, before []byte, stored storedRow) (any, error) {
	image, _, err := t.trim(e.borrow(), before)
	defer e.release(image)
	if err != nil {
		return nil, fmt.Errorf("before image: %w", err)
	}
	if stored.row != nil && stored.sum == e.sumOf(image) {
		return nil, nil
	}
	row, err := t.decode(image)
	if err != nil {
		return nil, fmt.Errorf("before image: %w", err)
	}
	if own := t.key(nil, row); !bytes.Equal(own, key) {
		return nil, errNotKey
	}
	return row, nil
}

// put stores a row, whose image is in e.image; whole says that it lacks nothing.
func (e *joinEngine) put(t *planTable, key []byte, old, now any, whole bool) error {
	same := old != nil && e.sameKeys(t, old, now)
	if old != nil && !same && safeguard.BothImages {
		if err := e.walkFrom(t, key, old); err != nil {
			return err
		}
	}
	if err := e.countShort(t, key, true, whole); err != nil {
		return err
	}
	at := e.rowKey(e.borrow(), t, key)
	defer e.release(at)
	if err := e.state.Set(at, e.image); err != nil {
		return err
	}
	e.keepRow(t, key, now, e.image)
	if !same {
		if err := e.reindex(t, key, old, now); err != nil {
			return err
		}
		if err := e.spelled(t, key, old, now); err != nil {
			return err
		}
	}
	return e.walkFrom(t, key, now)
}

func (e *joinEngine) remove(t *planTable, key []byte, old any) error {
	if err := e.walkFrom(t, key, old); err != nil {
		return err
	}
	if err := e.countShort(t, key, false, false); err != nil {
		return err
	}
	at := e.rowKey(e.borrow(), t, key)
	defer e.release(at)
	if err := e.state.Delete(at); err != nil {
		return err
	}
	e.rows[t.no].remove(key)
	return e.reindex(t, key, old, nil)
}

// sameKeys tells whether a row leads to the same rows as before, and is found by the same keys.
func (e *joinEngine) sameKeys(t *planTable, old, now any) bool {
	a, b := e.borrow(), e.borrow()
	defer func() { e.release(a); e.release(b) }()
	for _, ix := range t.indexes {
		if a, b = ix.key(a[:0], old), ix.key(b[:0], now); !bytes.Equal(a, b) {
			return false
		}
		if ix.order == nil {
			continue
		}
		if a, b = ix.order(a[:0], old), ix.order(b[:0], now); !bytes.Equal(a, b) {
			return false
		}
	}
	return true // every key that is not the table's own has an index
}

// reindex moves a row in its table's indexes; old or now may be nil.
func (e *joinEngine) reindex(t *planTable, key []byte, old, now any) error {
	for _, ix := range t.indexes {
		var was, is []byte
		if old != nil {
			was = e.entry(ix, key, old)
		}
		if now != nil {
			is = e.entry(ix, key, now)
		}
		if was != nil && !bytes.Equal(was, is) {
			e.forgetFound(ix, old)
			if err := e.state.Delete(was); err != nil {
				return err
			}
		}
		if is != nil && !bytes.Equal(was, is) {
			e.forgetFound(ix, now)
			var value []byte
			if ix.order != nil {
				value = key
			}
			if err := e.state.Set(is, value); err != nil {
				return err
			}
		}
		e.releaseAll(was, is)
	}
	return nil
}

// forgetFound says that other rows than before are found by a row's key in an index.
func (e *joinEngine) forgetFound(ix *joinIndex, row any) {
	key := ix.key(e.borrow(), row)
	e.found[e.known[ix]].remove(key)
	e.release(key)
}

// entry returns a row's key in an index.
func (e *joinEngine) entry(ix *joinIndex, key []byte, row any) []byte {
	entry := appendNumbered(e.borrow(), indexLetter, e.known[ix])
	entry = ix.key(entry, row)
	if ix.order != nil {
		entry = ix.order(entry, row)
	}
	return append(entry, key...)
}

func (e *joinEngine) releaseAll(buffers ...[]byte) {
	for _, b := range buffers {
		if b != nil {
			e.release(b)
		}
	}
}

// truncate removes all rows of a table, in the order of their keys.
func (e *joinEngine) truncate(_ eventstore.SchemaOp, row *eventstore.RowChange) error {
	t := e.byName[table{row.Schema, row.Table}]
	fail := func(err error) error {
		return &RowError{Projector: e.loop.def.name, Table: t.String(), Place: row.Place, Err: err}
	}
	low, high := prefix(e.rowKey(nil, t, nil))
	for {
		keys, err := e.keys(low, high, len(low))
		if err != nil {
			return fail(err)
		}
		for _, key := range keys {
			err := e.taken(row, func() error {
				old, err := e.get(t.joinTable, key)
				if err != nil || old == nil {
					return err
				}
				return e.remove(t, key, old)
			})
			if err != nil {
				return fail(err)
			}
		}
		if len(keys) < scanKeys {
			return nil
		}
	}
}
