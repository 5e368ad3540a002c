package product

import (
	"testing"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

func put(id, category uint64, price string) projectortest.Change {
	return projectortest.Put("bmart.product", productRow{ID: id, CategoryID: category, Name: "tea", Price: price, UpdatedAt: "2026-11-23T04:00:00.000001"})
}

func stock(product uint64, qty int) projectortest.Change {
	return projectortest.Put("bmart.stock", stockRow{product, qty})
}

func want(id, category uint64, price string, qty int) Document {
	return Document{ID: id, Category: category, Name: "tea", Price: price, Qty: qty, UpdatedAt: "2026-11-23T04:00:00.000001"}
}

func TestProducts(t *testing.T) {
	t.Parallel()
	projectortest.Of(t, Projector(projector.MemoryTarget(Name))).Key("bmart.stock", "product_id").
		Given(put(1, 7, "1.50"), stock(1, 5), put(2, 7, "2.50"), stock(2, 6)).
		When(stock(1, 4)).
		Then("1", want(1, 7, "1.50", 4)).
		Then("2", want(2, 7, "2.50", 6)).
		ThenWrote("1").
		When(put(1, 8, "1.60")).
		When(projectortest.Del("bmart.stock", stockRow{ProductID: 2})).
		Then("1", want(1, 8, "1.60", 4)).
		Then("2", want(2, 7, "2.50", 0)).
		When(projectortest.Rekey("bmart.product", productRow{ID: 1}, productRow{ID: 3, CategoryID: 8, Name: "tea", Price: "1.60", UpdatedAt: "2026-11-23T04:00:00.000001"})).
		ThenNone("1").
		Then("3", want(3, 8, "1.60", 0)).
		When(projectortest.Rekey("bmart.stock", stockRow{ProductID: 1}, stockRow{3, 4})).
		Then("3", want(3, 8, "1.60", 4)).
		When(projectortest.Del("bmart.product", productRow{ID: 3})).
		ThenNone("3")
}

func TestDifferential(t *testing.T) {
	t.Parallel()
	projectortest.Differential(t, Projector(projector.MemoryTarget(Name)), 3_000, 7, products, stocks)
}
