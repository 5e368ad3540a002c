package tree

import (
	"testing"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// put stores a category; parent 0 is none.
func put(id, parent int64, name string) projectortest.Change {
	c := category{ID: id, Name: name}
	if parent != 0 {
		c.ParentID = &parent
	}
	return projectortest.Put("shop.category", c)
}

// object is JSON as a test writes it down.
type object = map[string]any

func node(id int64, name string, children ...object) object {
	if children == nil {
		return object{"id": id, "name": name}
	}
	return object{"id": id, "name": name, "children": children}
}

func path(id int64, names ...string) object { return object{"id": id, "path": names} }

// food has drinks, which have teas; and things have cups. Rows come in no order.
func food(s *projectortest.Scenario) *projectortest.Scenario {
	return s.Given(put(3, 2, "teas"), put(1, 0, "food"), put(2, 1, "drinks")).Given(put(8, 0, "things"), put(9, 8, "cups"))
}

func menus(t *testing.T) *projectortest.Scenario {
	t.Parallel()
	return food(projectortest.Of(t, Menus(projector.MemoryTarget("menus"))))
}

func TestMenus(t *testing.T) {
	menus(t).
		Then("1", node(1, "food", node(2, "drinks", node(3, "teas")))).
		Then("8", node(8, "things", node(9, "cups"))).
		ThenNone("2", "3", "9")
}

// A change at the bottom writes the document of its tree, and no other.
func TestLeafIsRenamed(t *testing.T) {
	menus(t).When(put(3, 2, "infusions")).
		Then("1", node(1, "food", node(2, "drinks", node(3, "infusions")))).
		ThenWrote("1")
}

// A branch moves with all that is below it; one without parent is a tree of its own.
func TestBranchMoves(t *testing.T) {
	menus(t).When(put(2, 9, "drinks")).
		Then("1", node(1, "food")).
		Then("8", node(8, "things", node(9, "cups", node(2, "drinks", node(3, "teas"))))).
		When(put(2, 0, "drinks")).
		Then("2", node(2, "drinks", node(3, "teas"))).
		Then("8", node(8, "things", node(9, "cups"))).
		When(put(2, 1, "drinks")).
		Then("1", node(1, "food", node(2, "drinks", node(3, "teas")))).
		ThenNone("2")
}

// Children of a deleted parent are nowhere until it is there again.
func TestParentIsDeleted(t *testing.T) {
	menus(t).When(projectortest.Del("shop.category", category{ID: 2})).Then("1", node(1, "food")).ThenNone("2", "3").
		When(put(2, 8, "warm drinks")).
		Then("8", node(8, "things", node(2, "warm drinks", node(3, "teas")), node(9, "cups")))
}

// Rows in a circle have no top; when it opens, they have.
func TestCircle(t *testing.T) {
	menus(t).When(put(1, 3, "food")).ThenNone("1", "2", "3").Then("8", node(8, "things", node(9, "cups"))).
		When(put(2, 8, "drinks")).
		Then("8", node(8, "things", node(2, "drinks", node(3, "teas", node(1, "food"))), node(9, "cups")))
}

func paths(t *testing.T) *projectortest.Scenario {
	t.Parallel()
	return food(projectortest.Of(t, Paths(projector.MemoryTarget("paths"))))
}

func TestPaths(t *testing.T) {
	paths(t).Then("1", path(1, "food")).Then("3", path(3, "food", "drinks", "teas")).Then("9", path(9, "things", "cups"))
}

// A change at the top concerns everything below it.
func TestTopIsRenamed(t *testing.T) {
	paths(t).When(put(1, 0, "fine food")).
		Then("3", path(3, "fine food", "drinks", "teas")).
		ThenWrote("1", "2", "3")
}

func TestPathMoves(t *testing.T) {
	paths(t).When(put(2, 9, "drinks")).
		Then("3", path(3, "things", "cups", "drinks", "teas")).
		ThenWrote("2", "3")
}

// Random rows are in circles most of the time, which have to end, too.
func TestDifferential(t *testing.T) {
	t.Parallel()
	projectortest.Differential(t, Menus(projector.MemoryTarget("menus")), 3_000, 7, categories)
	projectortest.Differential(t, Paths(projector.MemoryTarget("paths")), 3_000, 8, categories)
}
