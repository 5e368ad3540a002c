package projector_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// BenchmarkFold follows a backlog into memory: product documents from two tables of 100,000 rows, 70 % stock and 30 % price changes in
// transactions of ten. One operation is one change, from the log's bytes to the sink's.
func BenchmarkFold(b *testing.B) {
	const products, each = 100_000, 10
	type product struct {
		ID       int    `json:"id"`
		Category int    `json:"category_id"`
		Name     string `json:"name"`
		Price    string `json:"price"`
	}
	type stock struct {
		Product int `json:"product_id"`
		Qty     int `json:"qty"`
	}
	type document struct {
		Name  string `json:"name"`
		Price string `json:"price"`
		Qty   int    `json:"qty"`
	}
	fold := projector.Fold[document]{
		Name: "products", Version: 1, Target: projector.MemoryTarget("products"),
		Sources: []projector.Source[document]{
			projector.OnRow("shop.product", func(p *product) []string { return []string{strconv.Itoa(p.ID)} },
				func(d *projector.Doc[document], _, now *product) error {
					d.Data.Name, d.Data.Price = now.Name, now.Price
					return nil
				}),
			projector.OnRow("shop.stock", func(s *stock) []string { return []string{strconv.Itoa(s.Product)} },
				func(d *projector.Doc[document], _, now *stock) error {
					d.Data.Qty = now.Qty
					return nil
				}),
		},
	}
	log, sink := eventstore.NewMemoryLog(), projector.NewMemorySink()
	feed, err := projectortest.NewFeed(b.Context(), log)
	if err != nil {
		b.Fatal(err)
	}
	feed.Keys = map[string][]string{"shop.stock": {"product_id"}}
	transactions := func(n int, change func(int) projectortest.Change) {
		var changes []projectortest.Change
		for i := range n {
			if changes = append(changes, change(i)); len(changes) == each || i == n-1 {
				if err := feed.Append(b.Context(), changes...); err != nil {
					b.Fatal(err)
				}
				changes = changes[:0]
			}
		}
	}
	row := func(id int, r *rand.Rand) product {
		return product{id, id % 1000, fmt.Sprintf("product number %d of the whole shop", id), fmt.Sprintf("%d.%02d", r.IntN(100), r.IntN(100))}
	}
	r := rand.New(rand.NewPCG(1, 1))
	transactions(2*products, func(i int) projectortest.Change {
		if i%2 == 0 {
			return projectortest.Put("shop.product", row(i/2, r))
		}
		return projectortest.Put("shop.stock", stock{i / 2, i})
	})
	ctx, cancel := context.WithCancel(b.Context())
	runner, err := projector.NewRunner(projector.Config{Log: log, Sinks: []projector.Sink{sink}, Projectors: []projector.Projector{fold}})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- runner.Run(ctx) }()
	if err := feed.Watermark(ctx); err != nil {
		b.Fatal(err)
	}
	if err := runner.WaitFor(ctx, "products", feed.CSN()); err != nil {
		b.Fatal(err)
	}
	transactions(b.N, func(int) projectortest.Change {
		id := r.IntN(products)
		if r.IntN(10) < 3 {
			return projectortest.Put("shop.product", row(id, r))
		}
		return projectortest.Put("shop.stock", stock{id, r.IntN(100)})
	})
	b.ReportAllocs()
	b.ResetTimer()
	if err := feed.Watermark(ctx); err != nil { // now the backlog can be read
		b.Fatal(err)
	}
	if err := runner.WaitFor(ctx, "products", feed.CSN()); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
