package projector

import (
	"errors"
	"fmt"
)

// maxJoinDepth is how deep parts may lie in parts.
const maxJoinDepth = 256

// ErrTooDeep says that parts lie deeper in parts than 256 levels: most likely the rows of a tree go round in a circle.
var ErrTooDeep = errors.New("parts are nested too deep, do the rows go round in a circle?")

// View is what [Join.Build] and parts read rows through: the rows of one cut. It is valid during the call that it was given to, and not safe for
// concurrent use. Rows must not be modified or kept.
//
// Reading has no errors: what cannot be read looks empty, and the document is not made.
type View struct {
	rows    joinRows
	reads   joinReads // free reads, to be recorded
	depth   int
	mark    string
	splices [][]byte
	err     error // the first one; nothing is read any more
}

// joinRows is what a view reads from.
type joinRows interface {
	// get returns a row, nil where there is none.
	get(t *joinTable, key []byte) (any, error)
	// find calls yield for the rows with a key in an index, in order; low and high bound the order, where they are not nil.
	find(ix *joinIndex, key, low, high []byte, yield func(row any) bool) error
	// piece returns a part's JSON of a row, nil where it is left out. pieces returns the array of all the rows below a parent. v is the view that they
	// are made for.
	piece(v *View, p *joinPart, row any) ([]byte, error)
	pieces(v *View, p *joinPart, e *joinEdge, key []byte) (list []byte, n int, err error)
	// knows fails for what is not among [Join.Reads].
	knows(what any) error
}

// joinRead is a free read: of the row with a key, or of all rows with a key in an index.
type joinRead struct {
	table *joinTable
	index *joinIndex
	key   string
}

// joinReads is a set of free reads.
type joinReads map[joinRead]struct{}

func (v *View) fail(err error) {
	if err != nil && v.err == nil {
		v.err = err
	}
}

func (v *View) record(r joinRead) {
	if v.reads == nil {
		v.reads = joinReads{}
	}
	v.reads[r] = struct{}{}
}

// may tells whether something may be read.
func (v *View) may(what any) bool {
	if v.err == nil {
		v.fail(v.rows.knows(what))
	}
	return v.err == nil
}

func (v *View) get(t *joinTable, key []byte, free bool) any {
	if free {
		if !v.may(t) {
			return nil
		}
		v.record(joinRead{table: t, key: string(key)})
	} else if v.err != nil {
		return nil
	}
	row, err := v.rows.get(t, key)
	v.fail(err)
	return row
}

func (v *View) find(ix *joinIndex, key, low, high []byte, free bool, yield func(any) bool) {
	if free {
		if !v.may(ix) {
			return
		}
		v.record(joinRead{index: ix, key: string(key)})
	} else if v.err != nil {
		return
	}
	v.fail(v.rows.find(ix, key, low, high, yield))
}

// edgeKey returns the key by which a row's relatives are found.
func (v *View) edgeKey(e *joinEdge, row any) (key []byte, ok bool) {
	if !v.may(e) {
		return nil, false
	}
	return e.fromKey(nil, row), true
}

func (v *View) piece(p *joinPart, row any) []byte {
	if !v.may(p) {
		return nil
	}
	made, err := v.rows.piece(v, p, row)
	v.fail(err)
	return made
}

func (v *View) pieces(p *joinPart, e *joinEdge, parent any) ([]byte, int) {
	if e == nil {
		v.fail(errors.New("children of no relation"))
	}
	if !v.may(p) {
		return nil, 0
	}
	key, ok := v.edgeKey(e, parent)
	if !ok {
		return nil, 0
	}
	list, n, err := v.rows.pieces(v, p, e, key)
	v.fail(err)
	return list, n
}

// below returns a view for a part that is made for a document.
func (v *View) below() (*View, error) {
	if v.depth == maxJoinDepth {
		return nil, ErrTooDeep
	}
	return &View{rows: v.rows, depth: v.depth + 1, mark: v.mark}, nil
}

// make calls a user's function for a row.
func (v *View) make(build func(v *View, row any) ([]byte, error), row any) (made []byte, err error) {
	err = guard(func() (err error) {
		made, err = build(v, row)
		return err
	})
	if v.err != nil { // what the user's function made of it does not matter
		return nil, v.err
	}
	if err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	return made, nil
}
