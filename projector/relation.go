package projector

import (
	"errors"
	"fmt"
	"iter"
)

// Many is a relation from a row to any number of rows, made by [HasMany].
type Many[P, C any] struct{ edge *joinEdge }

// One is a relation from a row to at most one row, made by [HasOne] or [BelongsTo].
type One[P, C any] struct{ edge *joinEdge }

// Children are the rows that a [Many] relates to one row: what [Part.All] takes.
type Children[C any] struct {
	edge   *joinEdge
	parent any
}

// joinEdge says that rows of two tables belong together where their keys are equal. Builds read along it, from a row of one to rows of the other; a
// changed row walks the other way.
type joinEdge struct {
	from, to           *joinTable
	fromKey, toKey     func(dst []byte, row any) []byte
	folded             func(dst []byte, row any) []byte // the key at the end that has an index; nil where it has no text
	fromIndex, toIndex *joinIndex                       // nil where the key is the table's own
	err                error
}

// joinIndex finds rows by a key, in the order of order (if any) and of their own key.
type joinIndex struct {
	table *joinTable
	key   func(dst []byte, row any) []byte
	order func(dst []byte, row any) []byte // nil: none
	err   error
}

// HasMany relates each row of parents to the rows of children that hold its key. Keys are compared as Go does it: where text columns of the database do not
// tell cases apart, all key functions have to fold them; see [Join.ExactKeys]. key must depend on nothing but the row; for a child without parent it
// returns a key that no parent has. Parents and children may be the same table, which makes trees.
func HasMany[P, C any, PK, CK comparable](parents *Table[P, PK], children *Table[C, CK], key func(child *C) PK) *Many[P, C] {
	return &Many[P, C]{hasEdge(parents, children, key)}
}

// HasOne relates each row of parents to the row of children that holds its key: the one with the smallest own key, should there be several.
func HasOne[P, C any, PK, CK comparable](parents *Table[P, PK], children *Table[C, CK], key func(child *C) PK) *One[P, C] {
	return &One[P, C]{hasEdge(parents, children, key)}
}

// BelongsTo relates each row of children to the row of parents whose key it holds: the same as [HasMany], read from the other end. A change of a parent
// concerns all of its children.
func BelongsTo[C, P any, CK, PK comparable](children *Table[C, CK], parents *Table[P, PK], key func(child *C) PK) *One[C, P] {
	if err := checkEnds(children, parents, key); err != nil {
		return &One[C, P]{&joinEdge{err: err}}
	}
	e := &joinEdge{from: children.core, to: parents.core, toKey: parents.core.key,
		fromKey: func(dst []byte, row any) []byte { return appendKey(dst, key(row.(*C))) }}
	e.fromIndex, e.folded = &joinIndex{table: e.from, key: e.fromKey}, foldedKey(key)
	return &One[C, P]{e}
}

func hasEdge[P, C any, PK, CK comparable](parents *Table[P, PK], children *Table[C, CK], key func(*C) PK) *joinEdge {
	if err := checkEnds(parents, children, key); err != nil {
		return &joinEdge{err: err}
	}
	e := &joinEdge{from: parents.core, to: children.core, fromKey: parents.core.key,
		toKey: func(dst []byte, row any) []byte { return appendKey(dst, key(row.(*C))) }}
	e.toIndex, e.folded = &joinIndex{table: e.to, key: e.toKey}, foldedKey(key)
	return e
}

func checkEnds[A, B any, AK, BK comparable, C any, K comparable](a *Table[A, AK], b *Table[B, BK], key func(*C) K) error {
	switch {
	case a == nil || b == nil:
		return errors.New("a relation's table is nil")
	case key == nil:
		return fmt.Errorf("relation of tables %s and %s: key is nil", a.core, b.core)
	}
	return nil
}

// Of yields the rows that belong to parent, in the order of their keys.
func (r *Many[P, C]) Of(v *View, parent *P) iter.Seq[*C] {
	return func(yield func(*C) bool) {
		if key, ok := v.edgeKey(r.edge, parent); ok {
			v.find(r.edge.toIndex, key, nil, nil, false, func(row any) bool { return yield(row.(*C)) })
		}
	}
}

// Below names the rows that belong to parent, for [Part.All].
func (r *Many[P, C]) Below(parent *P) Children[C] { return Children[C]{r.edge, parent} }

// Of returns the row that belongs to row, if there is one.
func (r *One[P, C]) Of(v *View, row *P) (other *C, found bool) {
	key, ok := v.edgeKey(r.edge, row)
	if !ok {
		return nil, false
	}
	if r.edge.toIndex == nil {
		if found := v.get(r.edge.to, key, false); found != nil {
			other = found.(*C)
		}
	} else {
		v.find(r.edge.toIndex, key, nil, nil, false, func(row any) bool {
			other = row.(*C)
			return false
		})
	}
	if other == nil {
		return nil, false
	}
	if v.follows(r.edge, row, other); v.err != nil {
		return nil, false
	}
	return other, true
}

func (r *Many[P, C]) join(p *joinPlan) {
	if r == nil {
		p.bad(errors.New("a relation is nil"))
		return
	}
	p.edge(r.edge)
}

func (r *One[P, C]) join(p *joinPlan) {
	if r == nil {
		p.bad(errors.New("a relation is nil"))
		return
	}
	p.edge(r.edge)
}
