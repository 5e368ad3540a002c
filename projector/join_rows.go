package projector

import (
	"bytes"
	"hash/maphash"
)

// scanKeys is how many keys are taken from the state at a time.
const scanKeys = 1_000

// storedRow is a row of the local state.
type storedRow struct {
	row any    // nil: there is none
	sum uint64 // of its image
}

// foundKeys is how many rows may be found by a key of an index so that they are remembered.
const foundKeys = 8

// foundOverhead estimates what a remembered key takes besides its bytes.
const foundOverhead = 30

// stored returns a row as the state has it.
func (e *joinEngine) stored(t *planTable, key []byte) (storedRow, error) {
	if r, found := e.rows[t.no].get(key); found {
		return r, nil
	}
	image, err := e.imageOf(t, key)
	if err != nil || image == nil {
		return storedRow{}, err
	}
	row, err := t.decode(image)
	if err != nil {
		return storedRow{}, lost("a row of table %s: %v", t, err)
	}
	return e.keepRow(t, key, row, image), nil
}

// imageOf returns a row's image, nil where there is none. It is valid until the state is changed.
func (e *joinEngine) imageOf(t *planTable, key []byte) ([]byte, error) {
	at := e.rowKey(e.borrow(), t, key)
	defer e.release(at)
	image, found, err := e.state.Get(at)
	if err != nil || !found {
		return nil, err
	}
	return image, nil
}

func (e *joinEngine) keepRow(t *planTable, key []byte, row any, image []byte) storedRow {
	r := storedRow{row, e.sumOf(image)}
	e.rows[t.no].set(key, r, rowOverhead+len(image))
	return r
}

// rowOverhead estimates what a decoded row takes besides its values.
const rowOverhead = 50

// sumOf returns what tells images of rows apart: two of the same row have the same sum by chance only, once in 2^64 times.
func (e *joinEngine) sumOf(image []byte) uint64 { return maphash.Bytes(e.seed, image) }

func (e *joinEngine) get(core *joinTable, key []byte) (any, error) {
	r, err := e.stored(e.byTable[core], key)
	return r.row, err
}

func (e *joinEngine) find(ix *joinIndex, key, low, high []byte, yield func(any) bool) error {
	t, known := e.byTable[ix.table], e.found[e.known[ix]]
	if low == nil {
		if keys, found := known.get(key); found {
			_, err := e.yieldRows(t, keys, yield)
			return err
		}
	}
	at := e.indexKey(e.borrow(), ix, key)
	defer e.release(at)
	from, to := prefix(at)
	if low != nil {
		if bytes.Compare(low, high) >= 0 {
			return nil
		}
		from, to = append(bytes.Clone(at), low...), append(bytes.Clone(at), high...)
	}
	for whole := low == nil; ; whole = false {
		var keys [][]byte
		var last []byte
		err := e.state.Scan(from, to, func(entry, value []byte) bool {
			if ix.order != nil {
				keys = append(keys, bytes.Clone(value))
			} else {
				keys = append(keys, bytes.Clone(entry[len(at):]))
			}
			if len(keys) == scanKeys {
				last = append(bytes.Clone(entry), 0)
			}
			return len(keys) < scanKeys
		})
		if err != nil {
			return err
		}
		if whole && len(keys) <= foundKeys {
			size := 0
			for _, key := range keys {
				size += len(key) + foundOverhead
			}
			known.set(key, keys, size)
		}
		if more, err := e.yieldRows(t, keys, yield); err != nil || !more || last == nil {
			return err
		}
		from = last
	}
}

// yieldRows calls yield for the rows with these keys, and tells whether it wants more.
func (e *joinEngine) yieldRows(t *planTable, keys [][]byte, yield func(any) bool) (more bool, err error) {
	for _, key := range keys {
		row, err := e.get(t.joinTable, key)
		if err != nil {
			return false, err
		}
		if row == nil {
			return false, lost("an index of table %s has a row that is not there", t)
		}
		if !yield(row) {
			return false, nil
		}
	}
	return true, nil
}

// keys returns what stands behind the first skip bytes of at most scanKeys keys of a range.
func (e *joinEngine) keys(low, high []byte, skip int) (keys [][]byte, err error) {
	var arena []byte
	err = e.state.Scan(low, high, func(key, _ []byte) bool {
		start := len(arena)
		arena = append(arena, key[skip:]...)
		keys = append(keys, arena[start:len(arena):len(arena)])
		return len(keys) < scanKeys
	})
	return keys, err
}
