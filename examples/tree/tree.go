// Package tree is an example of read models of a table that refers to itself: categories, each with its parent. [Menus] is a document for each tree, nested as
// deep as it goes; [Paths] is a document for each category, with the way to it from the top.
package tree

import "github.com/millrace-go/millrace/projector"

// category is a row. One at the top has no parent.
type category struct {
	ID       int64  `json:"id"`
	ParentID *int64 `json:"parent_id"`
	Name     string `json:"name"`
}

// parent is the key by which a category finds its parent: 0 at the top, which no category has.
func parent(c *category) int64 {
	if c.ParentID == nil {
		return 0
	}
	return *c.ParentID
}

// One table, related to itself: downwards, and upwards.
var (
	categories = projector.NewTable("shop.category", func(c *category) int64 { return c.ID })
	childrenOf = projector.HasMany(categories, categories, parent)
	parentOf   = projector.BelongsTo(categories, categories, parent)
)

// Menu is a category with all that is below it.
type Menu struct {
	ID       int64                `json:"id"`
	Name     string               `json:"name"`
	Children projector.List[Menu] `json:"children,omitzero"`
}

// branch is a part that contains itself. Only the branches from a changed row to the top are made anew.
var branch *projector.Part[category, Menu]

func init() { branch = projector.NewPart(categories, menu) } // a variable could not mention itself

func menu(v *projector.View, c *category) (*Menu, error) {
	return &Menu{ID: c.ID, Name: c.Name, Children: branch.All(v, childrenOf.Below(c))}, nil
}

// Menus returns the read model of whole trees, with its documents in target. Rows that go round in a circle have no top, and so no document.
func Menus(target projector.Target) projector.Join[category, int64, Menu] {
	return projector.Join[category, int64, Menu]{
		Name: "menus", Version: 1, Target: target,
		Root:  categories,
		Reads: []projector.Readable{childrenOf, branch},
		Build: func(v *projector.View, c *category) (*Menu, error) {
			if c.ParentID != nil {
				return nil, nil // a part of another document
			}
			return menu(v, c)
		},
	}
}

// Path is a category with the way to it.
type Path struct {
	ID   int64    `json:"id"`
	Path []string `json:"path"` // names from the top to the category itself
}

const deepest = 32 // that a category may lie; in a circle, a path would have no end

// Paths returns the read model of single categories, with its documents in target.
func Paths(target projector.Target) projector.Join[category, int64, Path] {
	return projector.Join[category, int64, Path]{
		Name: "paths", Version: 1, Target: target,
		Root:  categories,
		Reads: []projector.Readable{parentOf},
		Build: func(v *projector.View, c *category) (*Path, error) {
			path := []string{c.Name}
			for above, found := parentOf.Of(v, c); found && len(path) < deepest; above, found = parentOf.Of(v, above) {
				path = append([]string{above.Name}, path...)
			}
			return &Path{ID: c.ID, Path: path}, nil
		},
	}
}
