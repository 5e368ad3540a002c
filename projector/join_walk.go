package projector

import (
	"bytes"
	"encoding/binary"
)

// walk is the way up from one image of a changed row.
type walk struct {
	seen map[string]bool // rows: table number and key
	path []byte
}

// walkFrom finds the documents that show what a row with this image leads to, and lets go of the pieces on the way.
func (e *joinEngine) walkFrom(t *planTable, key []byte, row any) error {
	if e.virgin && e.csn <= e.floor {
		return nil
	}
	if e.virgin && e.floor == 0 && (e.loop.catchingUp() || e.loop.held) {
		// All documents are made when the log's end, or that of the snapshot, is reached, and each has a change of its root row.
		if t.no == 0 {
			return e.touch(key)
		}
		return nil
	}
	clear(e.walk.seen)
	if err := e.visit(t, key, row); err != nil {
		return err
	}
	return e.touched()
}

// visit takes one row of a walk.
func (e *joinEngine) visit(t *planTable, key []byte, row any) error {
	if len(t.up) > 0 || t.free || len(t.found) > 0 {
		path := append(binary.BigEndian.AppendUint16(e.walk.path[:0], uint16(t.no)), key...)
		if e.walk.path = path; e.walk.seen[string(path)] {
			return nil
		}
		e.walk.seen[string(path)] = true
	}
	if t.no == 0 {
		if err := e.touch(key); err != nil {
			return err
		}
	}
	if err := e.forgetPieces(t, key); err != nil {
		return err
	}
	if t.free {
		if err := e.readers(t.no, key); err != nil {
			return err
		}
	}
	for _, ix := range t.found {
		if err := e.readers(indexSpace|e.known[ix], ix.key(nil, row)); err != nil {
			return err
		}
	}
	for _, edge := range t.up {
		if err := e.climb(t, edge, key, row); err != nil {
			return err
		}
	}
	return e.breathe()
}

// climb goes back over one relation.
func (e *joinEngine) climb(t *planTable, edge *joinEdge, key []byte, row any) error {
	up := edge.toKey(e.borrow(), row)
	defer func() { e.release(up) }()
	if edge.toIndex != nil && len(t.parts) > 0 {
		if err := e.forgetPiecesBelow(edge.toIndex, up, key); err != nil {
			return err
		}
	}
	from := e.byTable[edge.from]
	if edge.fromIndex == nil {
		parent, err := e.get(edge.from, up)
		if err != nil || parent == nil {
			return err
		}
		return e.visit(from, up, parent)
	}
	at := e.indexKey(e.borrow(), edge.fromIndex, up)
	defer e.release(at)
	low, high := prefix(at)
	// Of rows that lead nowhere else, the key is enough.
	last := len(from.up) == 0 && !from.free && len(from.found) == 0
	for {
		keys, err := e.keys(low, high, len(at))
		if err != nil {
			return err
		}
		for _, child := range keys {
			var row any
			if !last {
				if row, err = e.get(edge.from, child); err != nil {
					return err
				}
				if row == nil {
					return lost("an index of table %s has a row that is not there", from)
				}
			}
			if err := e.visit(from, child, row); err != nil {
				return err
			}
		}
		if len(keys) < scanKeys {
			return nil
		}
		low = append(append(bytes.Clone(at), keys[len(keys)-1]...), 0)
	}
}
