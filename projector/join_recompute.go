package projector

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// Recompute makes all documents, by id, from the rows of the Join's tables alone: rows yields the images of a table's rows, as they stand in the log. It
// uses no local state, no index and no kept part, and goes through all rows for each read: an oracle for tests, not a way to build read models. A document that
// reads rows without end is nil.
func (j Join[R, K, D]) Recompute(rows func(table string) [][]byte) (map[string][]byte, error) {
	p := j.plan()
	if len(p.problems) > 0 {
		return nil, fmt.Errorf("recompute: %w", p.problems[0])
	}
	plain := &plainRows{joinPlan: p, rows: map[*joinTable][]plainRow{}}
	for _, t := range p.tables {
		for _, image := range rows(t.String()) {
			row, err := t.decode(image)
			if err != nil {
				return nil, fmt.Errorf("recompute: table %s: %w", t, err)
			}
			plain.rows[t.joinTable] = append(plain.rows[t.joinTable], plainRow{t.key(nil, row), row})
		}
		slices.SortFunc(plain.rows[t.joinTable], func(a, b plainRow) int { return bytes.Compare(a.key, b.key) })
	}
	docs := map[string][]byte{}
	for _, root := range plain.rows[j.Root.core] {
		id, err := p.id(root.key)
		if err != nil {
			return nil, fmt.Errorf("recompute: %w", err)
		}
		v := &View{rows: plain, mark: newMark()}
		body, err := v.make(p.build, root.row)
		if errors.Is(err, ErrTooDeep) {
			docs[id] = nil
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("recompute: document %q: %w", id, err)
		}
		if body != nil {
			docs[id] = body
		}
	}
	return docs, nil
}

type plainRow struct {
	key []byte
	row any
}

// plainRows are rows in the order of their keys, and nothing else.
type plainRows struct {
	*joinPlan
	rows map[*joinTable][]plainRow
}

func (p *plainRows) get(t *joinTable, key []byte) (any, error) {
	for _, r := range p.rows[t] {
		if bytes.Equal(r.key, key) {
			return r.row, nil
		}
	}
	return nil, nil
}

func (p *plainRows) find(ix *joinIndex, key, low, high []byte, yield func(any) bool) error {
	var found []plainRow
	for _, r := range p.rows[ix.table] {
		if !bytes.Equal(ix.key(nil, r.row), key) {
			continue
		}
		if ix.order != nil {
			r.key = ix.order(nil, r.row)
			if low != nil && (bytes.Compare(r.key, low) < 0 || bytes.Compare(r.key, high) >= 0) {
				continue
			}
		}
		found = append(found, r)
	}
	slices.SortStableFunc(found, func(a, b plainRow) int { return bytes.Compare(a.key, b.key) })
	for _, r := range found {
		if !yield(r.row) {
			break
		}
	}
	return nil
}

func (p *plainRows) piece(v *View, part *joinPart, row any) ([]byte, error) {
	return anewRows{}.piece(v, part, row)
}

func (p *plainRows) pieces(v *View, part *joinPart, e *joinEdge, key []byte) (list []byte, n int, err error) {
	return piecesOf(p, v, part, e, key)
}
