package projector

import "bytes"

// scanKeys is how many keys are taken from the state at a time.
const scanKeys = 1_000

// rowCache holds decoded rows of a table: those used of late in one of two maps. When one is full, the older is let go.
type rowCache struct {
	limit       int // bytes in one map
	size        int
	young, aged map[string]cachedRow
}

type cachedRow struct {
	row  any
	size int32 // of the image
}

func newRowCache(bytes int) rowCache {
	return rowCache{limit: bytes / 2, young: map[string]cachedRow{}}
}

// rowOverhead estimates what a row takes besides its values.
const rowOverhead = 150

func (c *rowCache) get(key []byte) any {
	if r, found := c.young[string(key)]; found {
		return r.row
	}
	if r, found := c.aged[string(key)]; found {
		c.set(key, r.row, int(r.size))
		return r.row
	}
	return nil
}

func (c *rowCache) set(key []byte, row any, size int) {
	if c.size += size + len(key) + rowOverhead; c.size > c.limit {
		c.aged, c.young, c.size = c.young, map[string]cachedRow{}, size+len(key)+rowOverhead
	}
	c.young[string(key)] = cachedRow{row, int32(min(size, 1<<30))}
}

func (c *rowCache) remove(key []byte) {
	delete(c.young, string(key))
	delete(c.aged, string(key))
}

// stored returns a row with its image. The image is valid until the state is changed.
func (e *joinEngine) stored(t *planTable, key []byte) (row any, image []byte, err error) {
	at := e.rowKey(e.borrow(), t, key)
	defer e.release(at)
	image, found, err := e.state.Get(at)
	if err != nil || !found {
		return nil, nil, err
	}
	if row = e.rows[t.no].get(key); row != nil {
		return row, image, nil
	}
	if row, err = t.decode(image); err != nil {
		return nil, nil, lost("a row of table %s: %v", t, err)
	}
	e.rows[t.no].set(key, row, len(image))
	return row, image, nil
}

func (e *joinEngine) get(core *joinTable, key []byte) (any, error) {
	t := e.byTable[core]
	if row := e.rows[t.no].get(key); row != nil {
		return row, nil
	}
	row, _, err := e.stored(t, key)
	return row, err
}

func (e *joinEngine) find(ix *joinIndex, key, low, high []byte, yield func(any) bool) error {
	t := e.byTable[ix.table]
	at := e.indexKey(e.borrow(), ix, key)
	defer e.release(at)
	from, to := prefix(at)
	if low != nil {
		if bytes.Compare(low, high) >= 0 {
			return nil
		}
		from, to = append(bytes.Clone(at), low...), append(bytes.Clone(at), high...)
	}
	for {
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
		for _, key := range keys {
			row, err := e.get(t.joinTable, key)
			if err != nil {
				return err
			}
			if row == nil {
				return lost("an index of table %s has a row that is not there", t)
			}
			if !yield(row) {
				return nil
			}
		}
		if last == nil {
			return nil
		}
		from = last
	}
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
