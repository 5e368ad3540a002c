package orders

import (
	"testing"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

func put(table string, row any) projectortest.Change { return projectortest.Put("shop."+table, row) }

func del(table string, row any) projectortest.Change { return projectortest.Del("shop."+table, row) }

// object is JSON as a test writes it down.
type object = map[string]any

func document(id int64, name, city string, items ...object) object {
	if items == nil {
		items = []object{}
	}
	return object{"id": id, "customer": object{"name": name, "city": city}, "items": items}
}

var (
	twoTeas = object{"line": 1, "product": "Tea", "price": "3.50", "n": 2, "tags": []string{"green", "leaves"}}
	oneCup  = object{"line": 2, "product": "Cup", "price": "9.00", "n": 1}
)

// given is an order 7 of two teas and a cup, and an order 8 of a tea, by different customers.
func given(t *testing.T) *projectortest.Scenario {
	t.Parallel()
	return projectortest.Of(t, Projector(projector.MemoryTarget("orders"))).
		Key("shop.item", "order_id", "line").Key("shop.product", "sku").Key("shop.product_tag", "sku", "tag_id").
		Given(put("tag", tag{1, "green"}), put("tag", tag{2, "leaves"}), put("product", product{"T", "Tea"}), put("product", product{"C", "Cup"}),
			put("product_tag", productTag{"T", 1}), put("product_tag", productTag{"T", 2})).
		Given(put("customer", customer{1, "Ann", "Bonn"}), put("customer", customer{2, "Bob", "Rome"})).
		Given(put("orders", order{7, 1}), put("item", item{7, 1, "T", "3.50", 2}), put("item", item{7, 2, "C", "9.00", 1})).
		Given(put("orders", order{8, 2}), put("item", item{8, 1, "T", "3.50", 2}))
}

func TestOrders(t *testing.T) {
	given(t).
		Then("7", document(7, "Ann", "Bonn", twoTeas, oneCup)).
		Then("8", document(8, "Bob", "Rome", twoTeas))
}

func TestCustomerMoves(t *testing.T) {
	given(t).When(put("customer", customer{1, "Ann", "Cork"})).
		Then("7", document(7, "Ann", "Cork", twoTeas, oneCup)).
		ThenWrote("7")
}

func TestOrderChangesHands(t *testing.T) {
	given(t).When(put("orders", order{7, 2})).Then("7", document(7, "Bob", "Rome", twoTeas, oneCup)).
		When(put("customer", customer{1, "Ann", "Cork"})). // she has no order any more
		ThenWrote("7")
}

func TestTagIsTakenAway(t *testing.T) {
	plainTea := object{"line": 1, "product": "Tea", "price": "3.50", "n": 2, "tags": []string{"leaves"}}
	given(t).When(del("product_tag", productTag{"T", 1})).
		Then("7", document(7, "Ann", "Bonn", plainTea, oneCup)).
		Then("8", document(8, "Bob", "Rome", plainTea)).
		ThenWrote("7", "8")
}

func TestTagIsRenamed(t *testing.T) {
	fairTea := object{"line": 1, "product": "Tea", "price": "3.50", "n": 2, "tags": []string{"fair", "leaves"}}
	given(t).When(put("tag", tag{1, "fair"})).
		Then("7", document(7, "Ann", "Bonn", fairTea, oneCup)).
		Then("8", document(8, "Bob", "Rome", fairTea))
}

// An item that moves to another order leaves the one it was in.
func TestItemMoves(t *testing.T) {
	given(t).When(projectortest.Rekey("shop.item", item{OrderID: 7, Line: 2}, item{8, 2, "C", "9.00", 1})).
		Then("7", document(7, "Ann", "Bonn", twoTeas)).
		Then("8", document(8, "Bob", "Rome", twoTeas, oneCup)).
		ThenWrote("7", "8")
}

// A customer or product may come later than what belongs to it, or go earlier.
func TestLateAndEarly(t *testing.T) {
	given(t).When(put("orders", order{9, 3}), put("item", item{9, 1, "P", "5.00", 1})).ThenNone("9").
		When(put("customer", customer{3, "Eve", "Oslo"})).Then("9", document(9, "Eve", "Oslo")).
		When(put("product", product{"P", "Pot"})).
		Then("9", document(9, "Eve", "Oslo", object{"line": 1, "product": "Pot", "price": "5.00", "n": 1})).
		When(del("product", product{SKU: "T"})).
		Then("8", document(8, "Bob", "Rome")).
		When(del("customer", customer{ID: 2})).ThenNone("8")
}

func TestDifferential(t *testing.T) {
	t.Parallel()
	projectortest.Differential(t, Projector(projector.MemoryTarget("orders")), 3_000, 7, customers, orders, items, products, productTags, tags)
}
