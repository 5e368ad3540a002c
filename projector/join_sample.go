package projector

import (
	"bytes"
	"errors"
	"time"

	"github.com/millrace-go/millrace/internal/safeguard"
)

// docSample is some of the documents that are written and have not changed since.
type docSample struct {
	keys  [][]byte
	sums  []docSum
	seen  int
	every int
}

const sampleDocs = 64

// add takes every so many-th document: half as many whenever there are too many.
func (s *docSample) add(key []byte, sum docSum) {
	s.every = max(s.every, 1)
	if s.seen++; s.seen%s.every != 0 {
		return
	}
	s.keys, s.sums = append(s.keys, bytes.Clone(key)), append(s.sums, sum)
	if len(s.keys) < 2*sampleDocs {
		return
	}
	for i := range sampleDocs {
		s.keys[i], s.sums[i] = s.keys[2*i+1], s.sums[2*i+1]
	}
	s.keys, s.sums, s.every = s.keys[:sampleDocs], s.sums[:sampleDocs], 2*s.every
}

// sampleTime is how long a start may take to compare documents.
const sampleTime = time.Second

// checkSample makes some documents again that have not changed, without the pieces that are kept of them. They must be what they were.
func (e *joinEngine) checkSample(s docSample) error {
	if len(e.meta.Short) > 0 || e.meta.Broken != nil || !safeguard.Sample {
		return nil // there are rows that are not to be built from, or documents that are not marked yet
	}
	began := time.Now()
	for i, key := range s.keys {
		id, body, err := e.makeAnew(key)
		if err == nil && sumOf(body) != s.sums[i] {
			err = ErrDefinitionChanged
		}
		if err != nil {
			return &DocumentError{Projector: e.loop.def.name, ID: id, CSN: e.meta.CSN, Err: err}
		}
		if time.Since(began) > sampleTime {
			break
		}
	}
	return nil
}

// makeAnew makes a document from the rows alone, and keeps nothing.
func (e *joinEngine) makeAnew(key []byte) (id string, body []byte, err error) {
	if id, err = e.id(key); err != nil {
		return id, nil, err
	}
	row, err := e.get(e.tables[0].joinTable, key)
	if err != nil || row == nil {
		return id, nil, err
	}
	v := &View{rows: anewRows{e}, mark: e.mark}
	body, err = v.make(e.build, row)
	return id, body, err
}

// anewRows are the engine's rows, without the pieces that it keeps.
type anewRows struct{ *joinEngine }

func (r anewRows) piece(v *View, part *joinPart, row any) ([]byte, error) {
	below, err := v.below()
	if err != nil {
		return nil, err
	}
	return below.make(part.build, row)
}

func (r anewRows) pieces(v *View, part *joinPart, e *joinEdge, key []byte) (list []byte, n int, err error) {
	return piecesOf(r, v, part, e, key)
}

// piecesOf makes the pieces of all rows below a parent.
func piecesOf(rows joinRows, v *View, part *joinPart, e *joinEdge, key []byte) (list []byte, n int, err error) {
	var made [][]byte
	find := rows.find(e.toIndex, key, nil, nil, func(row any) bool {
		var piece []byte
		if piece, err = rows.piece(v, part, row); piece != nil {
			made = append(made, piece)
		}
		return err == nil
	})
	if err = errors.Join(find, err); err != nil {
		return nil, 0, err
	}
	list = append([]byte{'['}, bytes.Join(made, []byte{','})...)
	return append(list, ']'), len(made), nil
}
