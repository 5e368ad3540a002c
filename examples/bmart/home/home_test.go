package home

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

func projectorUnderTest() projector.Join[catalogRow, uint64, Document] {
	return Projector(projector.MemoryTarget(Name))
}

func catalogOf(id uint64) projectortest.Change {
	return projectortest.Put("bmart.catalog", catalogRow{id, fmt.Sprint("catalog ", id)})
}

func categoryOf(id, catalog uint64, position int) projectortest.Change {
	return projectortest.Put("bmart.category", categoryRow{id, catalog, position, fmt.Sprint("category ", id)})
}

func productOf(id, category uint64) projectortest.Change {
	return projectortest.Put("bmart.product", productRow{ID: id, CategoryID: category, Name: fmt.Sprint("product ", id), Price: "1.50"})
}

func stock(product uint64, qty int) projectortest.Change {
	return projectortest.Put("bmart.stock", stockRow{product, qty})
}

// object is JSON as a test writes it down.
type object = map[string]any

func document(id uint64, categories ...object) object {
	return object{"id": id, "title": fmt.Sprint("catalog ", id), "categories": categories}
}

func category(id uint64, products ...object) object {
	return object{"id": id, "title": fmt.Sprint("category ", id), "products": products}
}

func inStock(id uint64, qty int) object {
	return object{"id": id, "name": fmt.Sprint("product ", id), "price": "1.50", "qty": qty}
}

// shop has a catalog 1 of two categories with a product each, and a catalog 2 with nothing in stock.
func shop(t *testing.T) *projectortest.Scenario {
	return projectortest.Of(t, projectorUnderTest()).
		Key("bmart.stock", "product_id").
		Given(catalogOf(1), categoryOf(11, 1, 2), categoryOf(12, 1, 1), productOf(111, 11), productOf(121, 12), stock(111, 5), stock(121, 6)).
		Given(catalogOf(2), categoryOf(21, 2, 1), productOf(211, 21), stock(211, 0))
}

func TestShop(t *testing.T) {
	t.Parallel()
	shop(t).
		Then("1", document(1, category(12, inStock(121, 6)), category(11, inStock(111, 5)))).
		ThenNone("2")
}

func TestSale(t *testing.T) {
	t.Parallel()
	shop(t).When(stock(111, 4)).
		Then("1", document(1, category(12, inStock(121, 6)), category(11, inStock(111, 4)))).
		ThenWrote("1")
}

// A catalog whose last product is sold has no document, until there is stock again.
func TestSoldOut(t *testing.T) {
	t.Parallel()
	sold := shop(t).When(stock(111, 0), stock(121, 0)).ThenNone("1", "2")
	sold.When(stock(121, 1), stock(211, 2)).
		Then("1", document(1, category(12, inStock(121, 1)))).
		Then("2", document(2, category(21, inStock(211, 2))))
}

// What moves leaves one document and comes into the other.
func TestMoves(t *testing.T) {
	t.Parallel()
	shop(t).When(productOf(111, 21)).
		Then("1", document(1, category(12, inStock(121, 6)))).
		Then("2", document(2, category(21, inStock(111, 5)))).
		When(categoryOf(12, 2, 0)).
		ThenNone("1").
		Then("2", document(2, category(12, inStock(121, 6)), category(21, inStock(111, 5)))).
		ThenWrote("1", "2")
}

func TestDeletes(t *testing.T) {
	t.Parallel()
	shop(t).When(projectortest.Del("bmart.category", categoryRow{ID: 12})).
		Then("1", document(1, category(11, inStock(111, 5)))).
		When(projectortest.Del("bmart.stock", stockRow{ProductID: 111})).
		ThenNone("1").
		When(stock(111, 1), projectortest.Del("bmart.catalog", catalogRow{ID: 1})).
		ThenNone("1")
}

// What readers do not see is not written: the price of what is not in stock, a category's place where there is no other.
func TestUnseen(t *testing.T) {
	t.Parallel()
	shop(t).When(projectortest.Put("bmart.product", productRow{ID: 211, CategoryID: 21, Price: "2.00"}), categoryOf(21, 2, 7)).ThenWrote()
}

func TestDifferential(t *testing.T) {
	t.Parallel()
	projectortest.Differential(t, projectorUnderTest(), 3_000, 7, catalogs, categories, products, stocks)
}

// A sale reads as much, and writes as much, in a shop of 500 catalogs as in one of ten.
func TestSaleDoesNotGrowWithTheShop(t *testing.T) {
	t.Parallel()
	reads := map[uint64]int64{}
	for _, size := range []uint64{10, 500} {
		states := &countingStates{LocalStates: projector.NewMemoryStates()}
		run(t, states, size, func(ctx context.Context, commit func(...projectortest.Change)) {
			commit(stock(111, 90)) // makes what is not kept yet
			before := states.reads.Load()
			commit(stock(111, 91))
			reads[size] = states.reads.Load() - before
		})
	}
	if reads[10] != reads[500] || reads[10] == 0 {
		t.Errorf("a sale reads %d entries of the local state in a shop of 10 catalogs, %d in one of 500", reads[10], reads[500])
	}
}

// run follows a shop of a number of catalogs, each with one product, and then what do commits.
func run(t *testing.T, states projector.LocalStates, catalogs uint64, do func(ctx context.Context, commit func(...projectortest.Change))) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log := eventstore.NewMemoryLog()
	feed, err := projectortest.NewFeed(ctx, log)
	if err != nil {
		t.Fatal(err)
	}
	feed.Keys = map[string][]string{"bmart.stock": {"product_id"}}
	runner, err := projector.NewRunner(projector.Config{Log: log, Sinks: []projector.Sink{projector.NewMemorySink()},
		Projectors: []projector.Projector{projectorUnderTest()}, States: states})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- runner.Run(ctx) }()
	commit := func(changes ...projectortest.Change) {
		csn, err := feed.Commit(ctx, changes...)
		if err == nil {
			err = runner.WaitFor(ctx, Name, csn)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var all []projectortest.Change
	for c := range catalogs {
		all = append(all, catalogOf(c+1), categoryOf(10*c+11, c+1, 1), productOf(100*c+111, 10*c+11), stock(100*c+111, 9))
	}
	commit(all...)
	do(ctx, commit)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// countingStates count the entries that are read, but for the documents' records: a pass over those is a matter of the start.
type countingStates struct {
	projector.LocalStates
	reads atomic.Int64
}

func (s *countingStates) Open(ctx context.Context, name string) (projector.LocalState, error) {
	state, err := s.LocalStates.Open(ctx, name)
	return &countingState{state, &s.reads}, err
}

type countingState struct {
	projector.LocalState
	reads *atomic.Int64
}

func (s *countingState) Get(key []byte) ([]byte, bool, error) {
	s.reads.Add(1)
	return s.LocalState.Get(key)
}

func (s *countingState) Scan(low, high []byte, yield func(key, value []byte) bool) error {
	return s.LocalState.Scan(low, high, func(key, value []byte) bool {
		s.reads.Add(1)
		return yield(key, value)
	})
}
