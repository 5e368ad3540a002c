package projector_test

import (
	"testing"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/shop"
	"github.com/millrace-go/millrace/projector"
)

// TestScale: in a shop of any size, a change of stock builds one card, a document of its own or a part of its catalog's, and writes one document. How long
// it takes, `make bench` measures (part scale), with up to a million products.
func TestScale(t *testing.T) {
	const sales, leaves = 20, 50
	for _, products := range []int{250, 2_500, 25_000} {
		log := eventstore.NewMemoryLog()
		s, err := shop.New(t.Context(), log, products, products/leaves)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Open(t.Context(), 1000); err != nil {
			t.Fatal(err)
		}
		models := new(shop.Models)
		for _, model := range []struct {
			name string
			projector.Projector
		}{
			{"a document a product", models.Products(projector.MemoryTarget("products"), 1)},
			{"a document a catalog", models.Catalogs(projector.MemoryTarget("catalogs"), 1)},
		} {
			models.Cards.Store(0)
			f, err := shop.Follow(t.Context(), projector.Config{Log: log, Sinks: []projector.Sink{projector.NewMemorySink()}, Projectors: []projector.Projector{model.Projector}})
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Wait(t.Context(), s.CSN()); err != nil {
				t.Fatal(err)
			}
			if got := models.Cards.Swap(0); got != int64(products) {
				t.Errorf("%d products, %s: %d cards were built at first, want %d", products, model.name, got, products)
			}
			figures, _, err := f.Sales(t.Context(), s, sales)
			if err != nil {
				t.Fatal(err)
			}
			if got := models.Cards.Load(); got != sales || figures.Documents != sales {
				t.Errorf("%d products, %s: %d changes of stock built %d cards and wrote %d documents, want one each", products, model.name, sales, got, figures.Documents)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
