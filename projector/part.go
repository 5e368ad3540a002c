package projector

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
)

// Part makes a piece of documents from one row and what it reads. Its JSON is kept, and made anew only when one of these rows has changed: a document of
// ten thousand leaves then costs a leaf and some copying.
type Part[R, T any] struct{ core *joinPart }

// joinPart is a [Part] without its types.
type joinPart struct {
	table *joinTable
	build func(v *View, row any) ([]byte, error) // nil: left out
	err   error
}

// List is a JSON array of the pieces that a [Part] has made. Its zero value is an empty one. It is written into the document as it is, wherever the
// document's struct has it; the option omitzero leaves an empty one out.
type List[T any] struct {
	splice string
	n      int
}

// Item is one piece that a [Part] has made, or none, which is null in JSON. It is written as [List] is.
type Item[T any] struct {
	splice string
}

// NewPart declares a part of a table's rows. build is a pure function of the row and of what it reads through the view, with the rules of [Join.Build]; where
// it returns nil, the piece is left out. T is marshalled by encoding/json.
//
// A part that uses itself (a tree) is declared as a variable and assigned in an init function, which Go needs to see no cycle.
func NewPart[R, T any, K comparable](t *Table[R, K], build func(v *View, row *R) (*T, error)) *Part[R, T] {
	if t == nil || build == nil {
		return &Part[R, T]{&joinPart{err: errors.New("a part's table or build is nil")}}
	}
	return &Part[R, T]{&joinPart{table: t.core, build: func(v *View, row any) ([]byte, error) {
		made, err := build(v, row.(*R))
		if err != nil || made == nil {
			return nil, err
		}
		return v.marshal(made)
	}}}
}

// Each makes a list of the pieces of rows, in their order.
func (p *Part[R, T]) Each(v *View, rows iter.Seq[*R]) List[T] {
	list, n := []byte{'['}, 0
	for row := range rows {
		if piece := v.piece(p.core, row); piece != nil {
			if n++; n > 1 {
				list = append(list, ',')
			}
			list = append(list, piece...)
		}
	}
	return List[T]{v.splice(append(list, ']'), n > 0), n}
}

// All makes a list of the pieces of all rows that a relation gives, in the order of their keys. The pieces are kept together under the parent,
// so that rows that have not changed are not read: the way for wide documents.
func (p *Part[R, T]) All(v *View, rows Children[R]) List[T] {
	list, n := v.pieces(p.core, rows.edge, rows.parent)
	return List[T]{v.splice(list, n > 0), n}
}

// Of makes the piece of one row; a nil row has none.
func (p *Part[R, T]) Of(v *View, row *R) Item[T] {
	if row == nil {
		return Item[T]{}
	}
	piece := v.piece(p.core, row)
	return Item[T]{v.splice(piece, piece != nil)}
}

func (p *Part[R, T]) join(plan *joinPlan) {
	if p == nil {
		plan.bad(errors.New("a Part is nil: is it assigned before the Join is made?"))
		return
	}
	plan.part(p.core)
}

// Len returns the number of pieces.
func (l List[T]) Len() int { return l.n }

// IsZero tells whether there are no pieces.
func (l List[T]) IsZero() bool { return l.n == 0 }

// MarshalJSON returns a mark in whose place the pieces are put when the document is complete.
func (l List[T]) MarshalJSON() ([]byte, error) {
	if l.n == 0 {
		return []byte("[]"), nil
	}
	return []byte(l.splice), nil
}

// Exists tells whether there is a piece.
func (i Item[T]) Exists() bool { return i.splice != "" }

// IsZero tells whether there is none.
func (i Item[T]) IsZero() bool { return i.splice == "" }

// MarshalJSON returns a mark in whose place the piece is put when the document is complete.
func (i Item[T]) MarshalJSON() ([]byte, error) {
	if i.splice == "" {
		return []byte("null"), nil
	}
	return []byte(i.splice), nil
}

// splice keeps made JSON and returns its mark: a JSON string that no row can hold, since its text is random. So encoding/json does not go through the
// pieces again.
func (v *View) splice(made []byte, some bool) string {
	if !some || v.err != nil {
		return ""
	}
	v.splices = append(v.splices, made)
	return `"` + v.mark + strconv.Itoa(len(v.splices)-1) + `"`
}

// marshal returns JSON with all pieces in their places.
func (v *View) marshal(value any) ([]byte, error) {
	skeleton, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("marshal: %w", err)
	}
	if len(v.splices) == 0 {
		return skeleton, nil
	}
	size := len(skeleton)
	for _, made := range v.splices {
		size += len(made)
	}
	whole, mark := make([]byte, 0, size), []byte(`"`+v.mark)
	for {
		at := bytes.Index(skeleton, mark)
		if at < 0 {
			return append(whole, skeleton...), nil
		}
		number := skeleton[at+len(mark):]
		end := bytes.IndexByte(number, '"')
		if end < 0 {
			return nil, errors.New("marshal: a List or Item stands inside of a string")
		}
		i, err := strconv.Atoi(string(number[:end]))
		if err != nil || i >= len(v.splices) {
			return nil, errors.New("marshal: a List or Item stands inside of a string, or comes from another document")
		}
		whole = append(append(whole, skeleton[:at]...), v.splices[i]...)
		skeleton = number[end+1:]
	}
}
