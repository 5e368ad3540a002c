package projector

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
)

// Index finds rows of a table by a key that is not the table's own. What is found by it is a free read: see [Join].
type Index[R any, K comparable] struct{ core *joinIndex }

// OrderedIndex finds rows of a table by a key, and among those by an order. What is found by it is a free read: see [Join].
type OrderedIndex[R any, K comparable, O cmp.Ordered] struct{ core *joinIndex }

// NewIndex declares an index. key must depend on nothing but the row.
func NewIndex[R any, RK, K comparable](t *Table[R, RK], key func(row *R) K) *Index[R, K] {
	return &Index[R, K]{newIndex(t, key)}
}

// NewOrderedIndex declares an index of rows that are ordered below their key. Both functions must depend on nothing but the row.
func NewOrderedIndex[R any, RK, K comparable, O cmp.Ordered](t *Table[R, RK], key func(row *R) K, order func(row *R) O) *OrderedIndex[R, K, O] {
	ix := newIndex(t, key)
	if ix.err == nil && order == nil {
		ix.err = fmt.Errorf("index of table %s: order is nil", ix.table)
	}
	ix.order = func(dst []byte, row any) []byte { return appendKey(dst, order(row.(*R))) }
	return &OrderedIndex[R, K, O]{ix}
}

func newIndex[R any, RK, K comparable](t *Table[R, RK], key func(row *R) K) *joinIndex {
	if t == nil {
		return &joinIndex{err: errors.New("an index's table is nil")}
	}
	ix := &joinIndex{table: t.core, key: func(dst []byte, row any) []byte { return appendKey(dst, key(row.(*R))) }, err: checkKey[K]()}
	if key == nil {
		ix.err = errors.New("key is nil")
	}
	if ix.err != nil {
		ix.err = fmt.Errorf("index of table %s: %w", t.core, ix.err)
	}
	return ix
}

// Find yields the rows with this key, in the order of their own keys.
func (ix *Index[R, K]) Find(v *View, key K) iter.Seq[*R] {
	return func(yield func(*R) bool) {
		v.find(ix.core, appendKey(nil, key), nil, nil, true, func(row any) bool { return yield(row.(*R)) })
	}
}

// Find yields the rows with this key, in order.
func (ix *OrderedIndex[R, K, O]) Find(v *View, key K) iter.Seq[*R] {
	return func(yield func(*R) bool) {
		v.find(ix.core, appendKey(nil, key), nil, nil, true, func(row any) bool { return yield(row.(*R)) })
	}
}

// Range yields the rows with this key whose order is at least low and below high, in order. A change of any row with this key makes the document
// anew, also of one outside the range.
func (ix *OrderedIndex[R, K, O]) Range(v *View, key K, low, high O) iter.Seq[*R] {
	return func(yield func(*R) bool) {
		v.find(ix.core, appendKey(nil, key), appendKey(nil, low), appendKey(nil, high), true, func(row any) bool { return yield(row.(*R)) })
	}
}

func (ix *Index[R, K]) join(p *joinPlan) {
	if ix == nil {
		p.bad(errors.New("an Index is nil"))
		return
	}
	p.index(ix.core)
}

func (ix *OrderedIndex[R, K, O]) join(p *joinPlan) {
	if ix == nil {
		p.bad(errors.New("an OrderedIndex is nil"))
		return
	}
	p.index(ix.core)
}
