package binlog

import (
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// The operations of a JSON diff.
const (
	jsonReplace = 0
	jsonInsert  = 1
	jsonRemove  = 2
)

var (
	errJSONDiff = errors.New("impossible JSON diff: corrupt event")
	errJSONPath = errors.New("a JSON diff does not fit the document in the image before the update: corrupt event")
)

// renderJSONDiffs renders a JSON column that the event holds as what has changed since the image before: a length and a list of
// diffs. No diffs say that the document has not changed.
func renderJSONDiffs(dst, src []byte, before document) ([]byte, int, error) {
	c := cursor{rest: src}
	diffs := c.take(c.uint(4))
	switch {
	case c.bad:
		return dst, 0, errShort
	case !before.known:
		return dst, 0, errNoDocument
	case before.value == nil:
		return dst, 0, errNullDocument
	}
	n := len(src) - len(c.rest)
	root := newJSONNode(before.value)
	for list := (cursor{rest: diffs}); len(list.rest) > 0; {
		if err := root.apply(&list); err != nil {
			return dst, 0, err
		}
	}
	r := jsonReader{limit: len(dst) + 64 + 32*(len(before.value)+len(diffs))}
	dst, err := r.node(dst, &root, jsonDepth)
	return dst, n, err
}

// apply applies the diff at the list's head as the server's replica does: operation, path, and the value unless it removes. The path
// leads to one place, nothing is wrapped into an array, and the root cannot be meant: then the event has the whole document.
func (n *jsonNode) apply(list *cursor) error {
	operation := list.uint(1)
	path := list.text()
	var value []byte
	if operation == jsonReplace || operation == jsonInsert {
		value = list.text()
	} else if operation != jsonRemove {
		return errJSONDiff
	}
	if list.bad || len(path) == 0 || path[0] != '$' {
		return errJSONDiff
	}
	leg, path, err := parseJSONLeg(path[1:])
	if err != nil {
		return err
	}
	for len(path) > 0 { // to the container of the last leg
		at, err := n.find(leg)
		if err != nil {
			return err
		}
		if !at.found {
			return errJSONPath
		}
		if n, err = n.child(at); err != nil {
			return err
		}
		if leg, path, err = parseJSONLeg(path); err != nil {
			return err
		}
	}
	at, err := n.find(leg)
	switch {
	case err != nil:
		return err
	case at.found == (operation == jsonInsert) && !leg.array, !at.found && operation != jsonInsert:
		return errJSONPath
	}
	switch operation {
	case jsonReplace:
		child, err := n.child(at)
		if err != nil {
			return err
		}
		*child = newJSONNode(value)
	case jsonInsert:
		n.insert(at, leg.name, newJSONNode(value))
	case jsonRemove:
		n.remove(at)
	}
	return nil
}

// jsonLeg is a step of a path: to an object's member, or to an array's element.
type jsonLeg struct {
	array bool
	name  []byte
	index uint64
	last  bool // the index counts from the array's end
}

// parseJSONLeg reads the leg at a path's head: .name, ."any name", [7], [last], or [last-7].
func parseJSONLeg(path []byte) (leg jsonLeg, rest []byte, err error) {
	if len(path) < 2 {
		return leg, nil, errJSONDiff
	}
	if path[0] == '[' {
		return parseJSONIndex(path[1:])
	}
	if path[0] != '.' {
		return leg, nil, errJSONDiff
	}
	path = path[1:]
	end := 0
	if path[0] != '"' {
		for end < len(path) && path[end] != '.' && path[end] != '[' {
			end++
		}
		if leg.name = path[:end]; end == 0 || !utf8.Valid(leg.name) {
			return leg, nil, errJSONDiff
		}
		return leg, path[end:], nil
	}
	for end = 1; end < len(path) && path[end] != '"'; end++ {
		if path[end] == '\\' {
			end++
		}
	}
	if end++; end > len(path) {
		return leg, nil, errJSONDiff
	}
	var name string
	if json.Unmarshal(path[:end], &name) != nil {
		return leg, nil, errJSONDiff
	}
	leg.name = []byte(name)
	return leg, path[end:], nil
}

// parseJSONIndex reads what follows the bracket of an element's leg.
func parseJSONIndex(path []byte) (leg jsonLeg, rest []byte, err error) {
	leg.array = true
	end := 0
	for end < len(path) && path[end] != ']' {
		end++
	}
	if end == len(path) {
		return leg, nil, errJSONDiff
	}
	text := string(path[:end])
	const last = "last"
	if len(text) >= len(last) && text[:len(last)] == last {
		leg.last = true
		switch text = text[len(last):]; {
		case text == "":
			return leg, path[end+1:], nil
		case text[0] != '-':
			return leg, nil, errJSONDiff
		}
		text = text[1:]
	}
	if leg.index, err = strconv.ParseUint(text, 10, 32); err != nil {
		return leg, nil, errJSONDiff
	}
	return leg, path[end+1:], nil
}
