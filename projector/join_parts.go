package projector

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Pieces made by [Part.All] are the value of the row's entry in the relation's index, so that one scan reads the relation and the pieces: for each part its
// number, the piece's length and the piece; length 0 is one that is left out. Those made by [Part.Each] and [Part.Of] have an entry of
// their own, which is empty where the piece is left out.

// findPiece returns a part's piece in an index entry's value.
func findPiece(value []byte, part int) (piece []byte, found bool) {
	for len(value) > 0 {
		no, n := binary.Uvarint(value)
		size, m := binary.Uvarint(value[max(n, 0):])
		if n <= 0 || m <= 0 || size > uint64(len(value)-n-m) {
			return nil, false
		}
		value = value[n+m:]
		if int(no) == part {
			return value[:size], true
		}
		value = value[size:]
	}
	return nil, false
}

// pieces scans the pieces below a parent, and makes those that are missing.
func (e *joinEngine) pieces(v *View, p *joinPart, edge *joinEdge, key []byte) (list []byte, n int, err error) {
	if p.table != edge.to {
		return nil, 0, fmt.Errorf("a part of table %s was given rows of table %s", p.table, edge.to)
	}
	type gap struct {
		at  int // in list
		key []byte
	}
	var gaps []gap
	part := e.known[p]
	at := e.indexKey(e.borrow(), edge.toIndex, key)
	defer e.release(at)
	low, high := prefix(at)
	err = e.state.Scan(low, high, func(entry, value []byte) bool {
		piece, found := findPiece(value, part)
		switch {
		case !found:
			gaps = append(gaps, gap{len(list), bytes.Clone(entry[len(at):])})
		case len(piece) > 0:
			n++
			list = append(append(list, ','), piece...)
		}
		return true
	})
	if err != nil {
		return nil, 0, err
	}
	whole, done := make([]byte, 0, len(list)+len(gaps)*64+2), 0
	for _, g := range gaps {
		piece, err := e.makePiece(v, p, g.key)
		if err != nil {
			return nil, 0, err
		}
		if err := e.keepPieceBelow(at, g.key, part, piece); err != nil {
			return nil, 0, err
		}
		whole = append(whole, list[done:g.at]...)
		if done = g.at; len(piece) > 0 {
			n++
			whole = append(append(whole, ','), piece...)
		}
	}
	whole = append(whole, list[done:]...)
	if n == 0 {
		return []byte("[]"), 0, nil
	}
	whole[0] = '['
	return append(whole, ']'), n, nil
}

// keepPieceBelow stores a piece in an index entry.
func (e *joinEngine) keepPieceBelow(at, key []byte, part int, piece []byte) error {
	entry := append(append(e.borrow(), at...), key...)
	defer func() { e.release(entry) }()
	others, found, err := e.state.Get(entry)
	if err != nil {
		return err
	}
	if !found {
		return lost("an index entry has gone while its piece was made")
	}
	value := append(e.borrow(), others...)
	value = binary.AppendUvarint(value, uint64(part))
	value = append(binary.AppendUvarint(value, uint64(len(piece))), piece...)
	defer e.release(value)
	return e.state.Set(entry, value)
}

// makePiece makes a part's piece of a row.
func (e *joinEngine) makePiece(v *View, p *joinPart, key []byte) ([]byte, error) {
	row, err := e.get(p.table, key)
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, lost("an index of table %s has a row that is not there", p.table)
	}
	return e.makePieceOf(v, p, key, row)
}

func (e *joinEngine) makePieceOf(v *View, p *joinPart, key []byte, row any) ([]byte, error) {
	below, err := v.below()
	if err != nil {
		return nil, err
	}
	piece, err := below.make(p.build, row)
	if err != nil {
		for r := range below.reads { // there is no piece, so they are its reader's
			v.record(r)
		}
		return nil, err
	}
	return piece, e.keepReads(e.byTable[p.table].no, e.known[p]+1, key, below.reads)
}

func (e *joinEngine) piece(v *View, p *joinPart, row any) ([]byte, error) {
	key := p.table.key(nil, row)
	part := e.known[p]
	at := e.pieceKey(nil, part, key)
	kept, found, err := e.state.Get(at)
	if err != nil {
		return nil, err
	}
	if found {
		if len(kept) == 0 {
			return nil, nil
		}
		return bytes.Clone(kept), nil
	}
	piece, err := e.makePieceOf(v, p, key, row)
	if err != nil {
		return nil, err
	}
	e.loose[part] = true
	return piece, e.state.Set(at, piece)
}

// forgetPieces lets go of the pieces made of a row that have entries of their own.
func (e *joinEngine) forgetPieces(t *planTable, key []byte) error {
	for _, part := range t.parts {
		if !e.loose[part] {
			continue
		}
		at := e.pieceKey(e.borrow(), part, key)
		err := e.state.Delete(at)
		e.release(at)
		if err != nil {
			return err
		}
	}
	return nil
}

// forgetPiecesBelow lets go of the pieces made of a row below a parent.
func (e *joinEngine) forgetPiecesBelow(ix *joinIndex, parent, key []byte) error {
	entry := append(e.indexKey(e.borrow(), ix, parent), key...)
	defer func() { e.release(entry) }()
	value, found, err := e.state.Get(entry)
	if err != nil || !found || len(value) == 0 {
		return err
	}
	return e.state.Set(entry, nil)
}
