package projector

import (
	"errors"
	"fmt"
)

const (
	// maxJoinDepth is how deep parts may lie in parts, and loops over rows in loops over rows.
	maxJoinDepth = 256
	// maxJoinReads is how many rows one document or piece may read, not counting kept pieces.
	maxJoinReads = 10_000_000
	// maxFreeReads is how many free reads one document or piece may do, and maxSameReads how many for each thing that it reads: it may do more only if
	// it does not read the same things over and over.
	maxFreeReads = 200_000
	maxSameReads = 100
	// maxJoinChain is how often a relation of a table with itself may be followed from the row that it has just led to.
	maxJoinChain = 10_000
)

// ErrTooDeep says that a document reads without end: most likely the rows of a tree go round in a circle. Limits are parts in parts, and loops in loops,
// 256 levels deep, 10,000 steps from row to row along one relation, 200,000 free reads of less than 2,000 different things, and 10 million rows. The
// document is parked: see [Join].
var ErrTooDeep = errors.New("it reads rows without end, do they go round in a circle?")

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

	read  int       // rows
	free  int       // free reads
	loops int       // that are open
	led   *joinEdge // the last relation of a table with itself that was followed, to which row, and how often without a pause
	ledTo any
	chain int
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
	if v.free++; v.free > maxFreeReads && v.free > maxSameReads*len(v.reads) {
		v.fail(ErrTooDeep)
	}
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
	v.count()
	return row
}

// count counts a row that is read.
func (v *View) count() {
	if v.read++; v.read > maxJoinReads {
		v.fail(ErrTooDeep)
	}
}

// follows says that a relation led from one row to another.
func (v *View) follows(e *joinEdge, row, other any) {
	if e.from != e.to {
		return
	}
	if v.led != e || v.ledTo != row {
		v.chain = 0
	}
	v.led, v.ledTo = e, other
	if v.chain++; v.chain > maxJoinChain {
		v.fail(ErrTooDeep)
	}
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
	if v.loops == maxJoinDepth {
		v.fail(ErrTooDeep)
		return
	}
	v.loops++
	defer func() { v.loops-- }()
	v.fail(v.rows.find(ix, key, low, high, func(row any) bool {
		if v.count(); v.err != nil {
			return false
		}
		return yield(row)
	}))
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
