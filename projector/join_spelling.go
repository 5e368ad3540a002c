package projector

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
)

// ErrSpelling says that two rows of a [Join] do not belong together because their keys differ in case, or in spaces at the end, only: by most collations the
// database takes them for equal. See [Join.ExactKeys].
var ErrSpelling = errors.New("two keys differ in case or in spaces at the end only, and the database may take them for equal")

// A relation leads from a table's own key (the parent's) to an index of another (the children's). Of keys that are not as foldText would have them there are
// entries with the folded key, so that those that differ in spelling only can be found; they are left when the rows go. A key of children that has no parent, while there is a
// parent of another spelling, is noted with that, and looked at again when documents are to be written: by then there may be one.

// ends returns a relation's parents and its index of children.
func (edge *joinEdge) ends() (parents *joinTable, children *joinIndex) {
	if edge.toIndex != nil {
		return edge.from, edge.toIndex
	}
	return edge.to, edge.fromIndex
}

// spelled notes the keys of a row that is stored, as far as they are new.
func (e *joinEngine) spelled(t *planTable, key []byte, old, now any) error {
	if e.settings.exactKeys {
		return nil
	}
	for i, edge := range e.edges {
		parents, children := edge.ends()
		if edge.folded == nil || parents.folded == nil {
			continue
		}
		if parents == t.joinTable && old == nil {
			folded := parents.folded(nil, now)
			if err := e.keepSpelling(parentLetter, i, folded, key); err != nil {
				return err
			}
			if err := e.eachSpelling(childLetter, i, folded, func(child []byte) error { return e.suspect(i, child, key) }); err != nil {
				return err
			}
		}
		if children.table != t.joinTable {
			continue
		}
		child := children.key(nil, now)
		if old != nil && bytes.Equal(child, children.key(nil, old)) {
			continue
		}
		folded := edge.folded(nil, now)
		if err := e.keepSpelling(childLetter, i, folded, child); err != nil {
			return err
		}
		if parent, err := e.get(parents, child); err != nil {
			return err
		} else if parent != nil {
			continue
		}
		if err := e.eachSpelling(parentLetter, i, folded, func(parent []byte) error { return e.suspect(i, child, parent) }); err != nil {
			return err
		}
	}
	return nil
}

func (e *joinEngine) keepSpelling(letter byte, edge int, folded, key []byte) error {
	if bytes.Equal(folded, key) {
		return nil
	}
	return e.state.Set(append(spelling(letter, edge, folded), key...), nil)
}

// spelling begins the entries of keys that are the same when folded.
func spelling(letter byte, edge int, folded []byte) []byte {
	h := fnv.New64a()
	h.Write(folded)
	return h.Sum(appendNumbered(nil, letter, edge))
}

// eachSpelling calls f for the keys that there are, or were, with this folded key.
func (e *joinEngine) eachSpelling(letter byte, edge int, folded []byte, f func(key []byte) error) error {
	at := spelling(letter, edge, folded)
	for low, high := prefix(at); ; {
		keys, err := e.keys(low, high, len(at))
		if err != nil {
			return err
		}
		for _, key := range keys {
			if err := f(key); err != nil {
				return err
			}
		}
		if len(keys) < scanKeys {
			return f(folded)
		}
		low = append(append(bytes.Clone(at), keys[len(keys)-1]...), 0)
	}
}

// suspect notes keys of children and of a parent that differ in spelling only.
func (e *joinEngine) suspect(edge int, child, parent []byte) error {
	if apart, err := e.apart(edge, child, parent); err != nil || !apart {
		return err
	}
	e.note()
	h := fnv.New64a()
	h.Write(parent)
	return e.state.Set(h.Sum(append(appendNumbered(nil, suspectLetter, edge), child...)), parent)
}

// firstSuspect returns a note of suspect's, nil when there is none.
func (e *joinEngine) firstSuspect() (at, parent []byte, err error) {
	low, high := prefix([]byte{suspectLetter})
	err = e.state.Scan(low, high, func(key, value []byte) bool {
		at, parent = bytes.Clone(key), bytes.Clone(value)
		return false
	})
	return at, parent, err
}

// apart tells whether there are children with one key and no parent that has it, and a parent with the other key.
func (e *joinEngine) apart(edge int, child, parent []byte) (apart bool, err error) {
	if bytes.Equal(child, parent) {
		return false, nil
	}
	parents, children := e.edges[edge].ends()
	for _, want := range []struct {
		key   []byte
		there bool
	}{{child, false}, {parent, true}} {
		row, err := e.get(parents, want.key)
		if err != nil || (row != nil) != want.there {
			return false, err
		}
	}
	low, high := prefix(e.indexKey(nil, children, child))
	err = e.state.Scan(low, high, func(_, _ []byte) bool { apart = true; return false })
	return apart, err
}

// checkSpelling fails when a noted pair of keys is still there, and forgets the others.
func (e *joinEngine) checkSpelling() error {
	for e.noted > 0 {
		at, parent, err := e.firstSuspect()
		if err != nil || at == nil {
			return err
		}
		if len(at) < 3+8 || int(binary.BigEndian.Uint16(at[1:])) >= len(e.edges) {
			return lost("a note of keys is of no relation")
		}
		edge := int(binary.BigEndian.Uint16(at[1:]))
		apart, err := e.apart(edge, at[3:len(at)-8], parent)
		if err != nil {
			return err
		}
		if apart {
			parents, children := e.edges[edge].ends()
			return fmt.Errorf("relation of tables %s and %s: a row of %s has the key of no row of %s, but for its spelling: %w: fold the case in the tables' and the "+
				"relation's key functions, or set ExactKeys if the columns compare bytes", parents, children.table, children.table, parents, ErrSpelling)
		}
		if err := e.state.Delete(at); err != nil {
			return err
		}
	}
	return nil
}
