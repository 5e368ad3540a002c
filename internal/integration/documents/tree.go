package documents

import (
	"slices"
	"strconv"

	"github.com/millrace-go/millrace/projector"
)

// The tree: nodes of one table, whose parents have smaller ids. Documents are the whole tree of each root, and each node with the way up from it.

var treeTables = []string{
	"CREATE DATABASE tree CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
	"CREATE TABLE tree.node (id INT PRIMARY KEY, parent_id INT, name VARCHAR(100) NOT NULL, KEY (parent_id))",
}

type (
	nodeRow struct {
		ID     int64  `json:"id"`
		Parent *int64 `json:"parent_id"`
		Name   string `json:"name"`
	}
	treeDoc struct {
		ID       int64                   `json:"id"`
		Name     string                  `json:"name"`
		Children projector.List[treeDoc] `json:"children"`
	}
	pathDoc struct {
		Name string     `json:"name"`
		Up   []pathStep `json:"up"`
	}
	pathStep struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
	}
)

var (
	nodeTable  = projector.NewTable("tree.node", func(n *nodeRow) int64 { return n.ID })
	childrenOf = projector.HasMany(nodeTable, nodeTable, func(n *nodeRow) int64 { return parent(n.Parent) })
	parentOf   = projector.BelongsTo(nodeTable, nodeTable, func(n *nodeRow) int64 { return parent(n.Parent) })
	treePart   *projector.Part[nodeRow, treeDoc]
)

func init() {
	treePart = projector.NewPart(nodeTable, func(v *projector.View, n *nodeRow) (*treeDoc, error) { return treeOf(v, n), nil })
}

func treeOf(v *projector.View, n *nodeRow) *treeDoc {
	return &treeDoc{n.ID, n.Name, treePart.All(v, childrenOf.Below(n))}
}

// trees is the tree of each node without parent. Its query writes the JSON in the order in which one walks through a tree: a node opens, and
// the last one on its way closes what is open.
func trees() *readModel {
	return &readModel{
		name: "tree",
		projector: func(name string, target projector.Target, _ projector.Database) projector.Projector {
			return projector.Join[nodeRow, int64, treeDoc]{
				Name: name, Version: 1, Target: target, Root: nodeTable, Reads: []projector.Readable{childrenOf, treePart},
				Build: func(v *projector.View, n *nodeRow) (*treeDoc, error) {
					if n.Parent != nil {
						return nil, nil
					}
					return treeOf(v, n), nil
				},
			}
		},
		oracle: `WITH RECURSIVE walk (root, id, name, depth, path) AS (
				SELECT id, id, name, 0, CAST(LPAD(id, 8, '0') AS CHAR(2000)) FROM tree.node WHERE parent_id IS NULL
				UNION ALL
				SELECT w.root, n.id, n.name, w.depth + 1, CONCAT(w.path, '/', LPAD(n.id, 8, '0')) FROM walk w JOIN tree.node n ON n.parent_id = w.id),
			steps AS (SELECT walk.*, LAG(depth) OVER (PARTITION BY root ORDER BY path) AS before_, LEAD(depth) OVER (PARTITION BY root ORDER BY path) AS after_ FROM walk)
			SELECT root, GROUP_CONCAT(CONCAT(IF(before_ >= depth, ',', ''), '{"id":', id, ',"name":', JSON_QUOTE(name), ',"children":[',
				IF(after_ > depth, '', REPEAT(']}', 1 + depth - COALESCE(after_, 0)))) ORDER BY path SEPARATOR '')
			FROM steps GROUP BY root`,
		ids: func(r *rows) []string { return r.keys("node") },
		recompute: func(r *rows, id string) any {
			n := r.get("node", id)
			if n == nil || n.value("parent_id") != nil {
				return nil
			}
			return r.tree(n)
		},
	}
}

func (r *rows) tree(n row) any {
	children := []any{}
	for _, child := range r.where("node", "parent_id", n.text("id")) {
		children = append(children, r.tree(child))
	}
	return object{"id": n.number("id"), "name": n.text("name"), "children": children}
}

// paths is each node with its ancestors, the nearest first.
func paths() *readModel {
	return &readModel{
		name: "path",
		projector: func(name string, target projector.Target, _ projector.Database) projector.Projector {
			return projector.Join[nodeRow, int64, pathDoc]{
				Name: name, Version: 1, Target: target, Root: nodeTable, Reads: []projector.Readable{parentOf}, SpreadAbove: 50,
				Build: func(v *projector.View, n *nodeRow) (*pathDoc, error) {
					d := &pathDoc{Name: n.Name, Up: []pathStep{}}
					for p, found := parentOf.Of(v, n); found; p, found = parentOf.Of(v, p) {
						d.Up = append(d.Up, pathStep{p.ID, p.Name})
					}
					return d, nil
				},
			}
		},
		oracle: `WITH RECURSIVE up (id, depth, parent, name) AS (
				SELECT n.id, 0, p.id, p.name FROM tree.node n JOIN tree.node p ON p.id = n.parent_id
				UNION ALL
				SELECT u.id, u.depth + 1, p.id, p.name FROM up u JOIN tree.node n ON n.id = u.parent JOIN tree.node p ON p.id = n.parent_id),
			ups AS (SELECT id, CONCAT('[', GROUP_CONCAT(JSON_OBJECT('id', parent, 'name', name) ORDER BY depth SEPARATOR ','), ']') AS up FROM up GROUP BY id)
			SELECT n.id, JSON_OBJECT('name', n.name, 'up', JSON_EXTRACT(COALESCE(u.up, '[]'), '$'))
			FROM tree.node n LEFT JOIN ups u ON u.id = n.id`,
		ids: func(r *rows) []string { return r.keys("node") },
		recompute: func(r *rows, id string) any {
			n := r.get("node", id)
			if n == nil {
				return nil
			}
			up := []any{}
			for p := r.get("node", n.text("parent_id")); p != nil; p = r.get("node", p.text("parent_id")) {
				up = append(up, object{"id": p.number("id"), "name": p.text("name")})
			}
			return object{"name": n.text("name"), "up": up}
		},
	}
}

// byNumbers sorts rows by columns that are numbers or, where they are not, texts.
func byNumbers(columns []string) func(a, b row) int {
	return func(a, b row) int {
		for _, c := range columns {
			x, errX := strconv.ParseInt(a.text(c), 10, 64)
			y, errY := strconv.ParseInt(b.text(c), 10, 64)
			if errX == nil && errY == nil && x != y {
				if x < y {
					return -1
				}
				return 1
			}
			if d := slices.Compare([]byte(a.text(c)), []byte(b.text(c))); (errX != nil || errY != nil) && d != 0 {
				return d
			}
		}
		return 0
	}
}
