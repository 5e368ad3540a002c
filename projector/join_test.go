package projector_test

import (
	"testing"

	"github.com/millrace-go/millrace/projector/projectortest"
)

// TestJoinScenario: changes four tables away, moved keys, late parents and deletes.
func TestJoinScenario(t *testing.T) {
	put, del, rekey := projectortest.Put, projectortest.Del, projectortest.Rekey
	doc := func(title string, shelves ...any) any {
		return map[string]any{"Title": title, "shelves": shelves}
	}
	shelf := func(name string, items ...any) any { return map[string]any{"Name": name, "items": items} }
	projectortest.Of(t, jHomes()).Key("shop.stock", "product_id").
		Given(put("shop.stock", jStock{7, 1}), put("shop.product", jProduct{7, 20, "cup"})). // before their parents
		Given(put("shop.catalog", jCatalog{1, "one"}), put("shop.catalog", jCatalog{2, "two"}), put("shop.catalog", jCatalog{3, "three"})).
		When(put("shop.category", jCategory{20, 1, "kitchen"})).
		Then("1", doc("one", shelf("kitchen", jLeaf{7, "cup", 1}))).ThenNone("2", "3").
		ThenWrote("1").
		When(put("shop.stock", jStock{7, 2})). // four tables away
		Then("1", doc("one", shelf("kitchen", jLeaf{7, "cup", 2}))).
		When(put("shop.category", jCategory{20, 2, "kitchen"})). // moves a subtree
		ThenNone("1", "3").Then("2", doc("two", shelf("kitchen", jLeaf{7, "cup", 2}))).
		ThenWrote("1", "2").
		When(rekey("shop.product", jProduct{ID: 7}, jProduct{8, 20, "mug"})). // the stock's parent has gone
		ThenNone("1", "2", "3").
		When(put("shop.stock", jStock{8, 4})).
		Then("2", doc("two", shelf("kitchen", jLeaf{8, "mug", 4}))).
		When(del("shop.category", jCategory{ID: 20})).
		ThenNone()
}
