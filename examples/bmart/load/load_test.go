package load

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func newWorker(seed uint64) *worker {
	w := &worker{shops: newShops(1, 4), rand: rand.New(rand.NewPCG(seed, 1)), leastCategories: 2, leastProducts: 2}
	for range 50 {
		w.openShop(&transaction{})
	}
	return w
}

// What a connection believes of its rows stays one tree, and every kind of change comes up.
func TestTransactionsKeepTheTree(t *testing.T) {
	w := newWorker(7)
	verbs := map[string]bool{}
	rollbacks := 0
	for range 20_000 {
		tx := w.transaction()
		for _, s := range tx.statements {
			words := strings.Fields(s.query)
			verbs[words[0]+" "+words[1]+" "+words[2]] = true
			if got, want := strings.Count(s.query, "?"), len(s.args); got != want {
				t.Fatalf("%q has %d arguments", s.query, want)
			}
		}
		if tx.rollback {
			rollbacks++
		}
	}
	if rollbacks == 0 {
		t.Error("nothing was rolled back")
	}
	for _, want := range []string{"UPDATE catalog SET", "UPDATE category SET", "UPDATE product SET", "UPDATE stock SET",
		"INSERT INTO catalog", "INSERT INTO category", "INSERT INTO product", "INSERT INTO stock",
		"DELETE FROM catalog", "DELETE FROM category", "DELETE FROM product", "DELETE FROM stock"} {
		if !verbs[want] {
			t.Errorf("no %s", want)
		}
	}
	categories, products := 0, 0
	for _, c := range w.catalogs {
		for _, k := range c.categories {
			if k.catalog != c || !slices.Contains(w.categories, k) {
				t.Fatalf("category %d is not where it thinks", k.id)
			}
			categories++
			for _, p := range k.products {
				if p.category != k || !slices.Contains(w.products, p) {
					t.Fatalf("product %d is not where it thinks", p.id)
				}
				products++
			}
		}
	}
	if categories != len(w.categories) || products != len(w.products) {
		t.Errorf("%d categories and %d products in the tree, %d and %d in all", categories, products, len(w.categories), len(w.products))
	}
}

// Connections never give the same id twice.
func TestIDsAreApart(t *testing.T) {
	seen := map[uint64]bool{}
	for number := range 4 {
		s := newShops(number, 4)
		for range 100 {
			id := s.next(&s.productID)
			if id == 0 || seen[id] {
				t.Fatalf("id %d again", id)
			}
			seen[id] = true
		}
	}
}

func TestChangesAddUp(t *testing.T) {
	sum := 0
	for _, c := range changes {
		sum += c.often
	}
	if sum != 100 {
		t.Errorf("the frequencies add up to %d, want 100", sum)
	}
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := newPace(1000)
		if !p.wait(t.Context(), 500) || time.Since(start) != 500*time.Millisecond {
			t.Errorf("row 500 after %v, want 500ms", time.Since(start))
		}
		if !p.wait(t.Context(), 200) || time.Since(start) != 500*time.Millisecond {
			t.Error("a row that is due had to wait")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if p.wait(ctx, 1_000_000) {
			t.Error("went on after the context's end")
		}
		if !newPace(0).wait(t.Context(), 1_000_000) {
			t.Error("no rate, and yet not at once")
		}
	})
}
