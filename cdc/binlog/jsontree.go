package binlog

import (
	"bytes"
	"cmp"
	"slices"
)

// jsonNode is a value of a binary JSON document that is being changed. What is not on the way to a change stays in its bytes, so that a
// change takes memory for itself only, however large the document.
type jsonNode struct {
	kind byte
	raw  []byte // the value's bytes, and whatever follows them
	// expanded says that the members of an object or array are in pieces: an object's in the server's order.
	expanded bool
	entries  jsonEntries
	pieces   []jsonPiece
}

// jsonPiece is a member that was changed, added, or has a change inside; or else a run of those that are as they were.
type jsonPiece struct {
	changed  *jsonNode
	key      []byte // of a changed member of an object
	from, to int    // of a run, among the container's entries
}

// newJSONNode returns the node of a whole document: a kind and the value. None at all is null, as it is for the server.
func newJSONNode(doc []byte) jsonNode {
	if len(doc) == 0 {
		return jsonNode{kind: jsonLiteral, raw: []byte{0}}
	}
	return jsonNode{kind: doc[0], raw: doc[1:]}
}

func (n *jsonNode) expand() error {
	if n.expanded {
		return nil
	}
	switch n.kind {
	case jsonSmallObject, jsonLargeObject, jsonSmallArray, jsonLargeArray:
	default:
		return errJSONPath
	}
	var err error
	if n.entries, err = openJSON(n.kind, n.raw); err != nil {
		return err
	}
	if n.expanded = true; n.entries.count > 0 {
		n.pieces = []jsonPiece{{to: n.entries.count}}
	}
	return nil
}

// length is how many members the piece has.
func (p *jsonPiece) length() int {
	if p.changed != nil {
		return 1
	}
	return p.to - p.from
}

// jsonPlace is a place among a node's members.
type jsonPlace struct {
	piece, offset int
	found         bool // a member is there; otherwise one can be inserted
}

// find returns the place that leg means.
func (n *jsonNode) find(leg jsonLeg) (jsonPlace, error) {
	if err := n.expand(); err != nil {
		return jsonPlace{}, err
	}
	if leg.array == n.entries.object {
		return jsonPlace{}, errJSONPath
	}
	if !leg.array {
		return n.member(leg.name)
	}
	index := leg.index
	if leg.last {
		length := uint64(0)
		for i := range n.pieces {
			length += uint64(n.pieces[i].length())
		}
		if index >= length {
			return jsonPlace{}, nil
		}
		index = length - 1 - index
	}
	for i := range n.pieces {
		length := uint64(n.pieces[i].length())
		if index < length {
			return jsonPlace{i, int(index), true}, nil
		}
		index -= length
	}
	return jsonPlace{piece: len(n.pieces)}, nil
}

// member returns the place of an object's member.
func (n *jsonNode) member(name []byte) (jsonPlace, error) {
	for i := range n.pieces {
		p := &n.pieces[i]
		low, high := 0, p.length() // the first key that is not before name lies between
		for low < high {
			middle := (low + high) / 2
			key, err := n.key(p, middle)
			if err != nil {
				return jsonPlace{}, err
			}
			switch order := compareJSONKeys(key, name); {
			case order == 0:
				return jsonPlace{i, middle, true}, nil
			case order < 0:
				low = middle + 1
			default:
				high = middle
			}
		}
		if low < p.length() {
			return jsonPlace{i, low, false}, nil
		}
	}
	return jsonPlace{piece: len(n.pieces)}, nil
}

// key returns the key of a member in a piece.
func (n *jsonNode) key(p *jsonPiece, offset int) ([]byte, error) {
	if p.changed != nil {
		return p.key, nil
	}
	return n.entries.key(p.from + offset)
}

// compareJSONKeys is the order of an object's members: short names first.
func compareJSONKeys(a, b []byte) int {
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return bytes.Compare(a, b)
}

// child returns the node of the member at a place, to be changed.
func (n *jsonNode) child(at jsonPlace) (*jsonNode, error) {
	p := n.pieces[at.piece]
	if p.changed != nil {
		return p.changed, nil
	}
	i := p.from + at.offset
	kind, raw, err := n.entries.value(i)
	if err != nil {
		return nil, err
	}
	changed := jsonPiece{changed: &jsonNode{kind: kind, raw: raw}}
	if n.entries.object {
		if changed.key, err = n.entries.key(i); err != nil {
			return nil, err
		}
	}
	n.replace(at, 1, changed)
	return changed.changed, nil
}

// insert adds a member in front of a place.
func (n *jsonNode) insert(at jsonPlace, key []byte, value jsonNode) {
	n.replace(at, 0, jsonPiece{changed: &value, key: key})
}

// remove drops the member at a place.
func (n *jsonNode) remove(at jsonPlace) { n.replace(at, 1) }

// replace puts pieces in the place of so many members, none or one.
func (n *jsonNode) replace(at jsonPlace, members int, by ...jsonPiece) {
	if at.piece == len(n.pieces) {
		n.pieces = append(n.pieces, by...)
		return
	}
	p := n.pieces[at.piece]
	if p.changed != nil {
		n.pieces = slices.Replace(n.pieces, at.piece, at.piece+members, by...)
		return
	}
	pieces := make([]jsonPiece, 0, 3)
	if at.offset > 0 {
		pieces = append(pieces, jsonPiece{from: p.from, to: p.from + at.offset})
	}
	pieces = append(pieces, by...)
	if from := p.from + at.offset + members; from < p.to {
		pieces = append(pieces, jsonPiece{from: from, to: p.to})
	}
	n.pieces = slices.Replace(n.pieces, at.piece, at.piece+1, pieces...)
}

// node appends a node.
func (r *jsonReader) node(dst []byte, n *jsonNode, depth int) ([]byte, error) {
	if !n.expanded {
		return r.value(dst, n.kind, n.raw, depth)
	}
	if depth == 0 || len(dst) > r.limit {
		return dst, errJSON
	}
	open, end := byte('['), byte(']')
	if n.entries.object {
		open, end = '{', '}'
	}
	dst = append(dst, open)
	for i := range n.pieces {
		var err error
		p := &n.pieces[i]
		for at := range p.length() {
			if i+at > 0 {
				dst = append(dst, ',')
			}
			if p.changed == nil {
				dst, err = r.member(dst, &n.entries, p.from+at, depth-1)
			} else {
				dst, err = r.changed(dst, p, n.entries.object, depth-1)
			}
			if err != nil {
				return dst, err
			}
		}
	}
	return append(dst, end), nil
}

// changed appends a changed member.
func (r *jsonReader) changed(dst []byte, p *jsonPiece, object bool, depth int) ([]byte, error) {
	if object {
		var err error
		if dst, err = appendJSONString(dst, p.key); err != nil {
			return dst, err
		}
		dst = append(dst, ':')
	}
	return r.node(dst, p.changed, depth)
}
