package binlog

import (
	"bytes"
	"cmp"
	"slices"
	"sort"
)

// jsonTree is a binary JSON document that is being changed. What is not on the way to a change stays in its bytes.
type jsonTree struct {
	root jsonNode
	// budget is how many members can be listed. Corrupt offsets can let many containers share bytes; the members of an honest document
	// have some bytes of it each.
	budget uint64
}

// smallestMember is the bytes of an entry in a small array.
const smallestMember = 3

// newJSONTree returns the tree of a document that diffs of so many bytes will be applied to.
func newJSONTree(doc []byte, diffs int) *jsonTree {
	return &jsonTree{root: newJSONNode(doc), budget: uint64(len(doc)+diffs) / smallestMember}
}

// jsonNode is a value in a tree.
type jsonNode struct {
	kind byte
	raw  []byte // the value's bytes, and whatever follows them
	// expanded says that members lists a container's members: an array's elements, or an object's members in the server's order.
	expanded, object bool
	members          []jsonMember
}

// jsonMember is small, since a large array has many.
type jsonMember struct {
	changed    *jsonChange // nil as long as the member is what stands in its container's bytes
	key, value uint32      // where they begin there
	length     uint16      // of the key
	kind       byte
}

// jsonChange is a member that was changed, or that holds one.
type jsonChange struct {
	jsonNode
	name  []byte // of an inserted member
	added bool
}

// newJSONNode returns the node of a whole document: a kind and the value. None at all is null, as it is for the server.
func newJSONNode(doc []byte) jsonNode {
	if len(doc) == 0 {
		return jsonNode{kind: jsonLiteral, raw: []byte{0}}
	}
	return jsonNode{kind: doc[0], raw: doc[1:]}
}

// expand lists a container's members.
func (t *jsonTree) expand(n *jsonNode) error {
	if n.expanded {
		return nil
	}
	switch n.kind {
	case jsonSmallObject, jsonLargeObject, jsonSmallArray, jsonLargeArray:
	default:
		return errJSONPath
	}
	e, err := openJSON(n.kind, n.raw)
	if err != nil {
		return err
	}
	if e.count > t.budget {
		return errJSON
	}
	t.budget -= e.count
	n.members = make([]jsonMember, e.count)
	for i := range n.members {
		m := &n.members[i]
		if e.object {
			at, length, err := e.key()
			if err != nil {
				return err
			}
			m.key, m.length = uint32(at), uint16(length)
		}
		kind, at, err := e.value()
		if err != nil {
			return err
		}
		m.kind, m.value = kind, uint32(at)
	}
	n.raw, n.object, n.expanded = e.body, e.object, true
	return nil
}

// name is a member's key.
func (n *jsonNode) name(i int) []byte {
	m := &n.members[i]
	if m.changed != nil && m.changed.added {
		return m.changed.name
	}
	return n.raw[m.key:][:m.length]
}

// compareJSONKeys is the order of an object's members: short names first.
func compareJSONKeys(a, b []byte) int {
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return bytes.Compare(a, b)
}

// find returns the place that leg means in an expanded node: where it is found, or else where it would be inserted.
func (n *jsonNode) find(leg jsonLeg) (int, bool) {
	if leg.array == n.object {
		return 0, false
	}
	if !leg.array {
		i := sort.Search(len(n.members), func(i int) bool { return compareJSONKeys(n.name(i), leg.name) >= 0 })
		return i, i < len(n.members) && bytes.Equal(n.name(i), leg.name)
	}
	length := uint64(len(n.members))
	switch {
	case leg.index < length && leg.last:
		return int(length - 1 - leg.index), true
	case leg.index < length:
		return int(leg.index), true
	case leg.last:
		return 0, false
	}
	return len(n.members), false
}

// child returns a member's node, to be changed.
func (n *jsonNode) child(i int) *jsonNode {
	m := &n.members[i]
	if m.changed == nil {
		m.changed = &jsonChange{jsonNode: jsonNode{kind: m.kind, raw: n.raw[m.value:]}}
	}
	return &m.changed.jsonNode
}

func (n *jsonNode) insert(i int, name []byte, value jsonNode) {
	n.members = slices.Insert(n.members, i, jsonMember{changed: &jsonChange{jsonNode: value, name: name, added: true}})
}

func (n *jsonNode) remove(i int) { n.members = slices.Delete(n.members, i, i+1) }

// node appends a node.
func (r *jsonReader) node(dst []byte, n *jsonNode, depth int) ([]byte, error) {
	if !n.expanded {
		return r.value(dst, n.kind, n.raw, depth)
	}
	if depth == 0 || len(dst) > r.limit {
		return dst, errJSON
	}
	open, end := byte('['), byte(']')
	if n.object {
		open, end = '{', '}'
	}
	dst = append(dst, open)
	for i := range n.members {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if n.object {
			if dst, err = appendJSONString(dst, n.name(i)); err != nil {
				return dst, err
			}
			dst = append(dst, ':')
		}
		if m := &n.members[i]; m.changed != nil {
			dst, err = r.node(dst, &m.changed.jsonNode, depth-1)
		} else {
			dst, err = r.value(dst, m.kind, n.raw[m.value:], depth-1)
		}
		if err != nil {
			return dst, err
		}
	}
	return append(dst, end), nil
}
