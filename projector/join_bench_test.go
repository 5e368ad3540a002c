package projector_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

type (
	bProduct struct {
		ID       int64  `json:"id"`
		Category int64  `json:"category_id"`
		Name     string `json:"name"`
		Price    string `json:"price"`
	}
	bDoc struct {
		Name  string `json:"name"`
		Price string `json:"price"`
		Qty   int64  `json:"qty"`
	}
	bTree struct {
		Title string               `json:"title"`
		Items projector.List[bDoc] `json:"items"`
	}
)

var (
	bProducts  = projector.NewTable("shop.product", func(p *bProduct) int64 { return p.ID })
	bStocks    = projector.NewTable("shop.stock", func(s *jStock) int64 { return s.Product })
	bStockOf   = projector.HasOne(bProducts, bStocks, func(s *jStock) int64 { return s.Product })
	bProductOf = projector.HasMany(jCategories, bProducts, func(p *bProduct) int64 { return p.Category })
	bLeaf      = projector.NewPart(bProducts, buildProduct)
)

func buildProduct(v *projector.View, p *bProduct) (*bDoc, error) {
	s, found := bStockOf.Of(v, p)
	if !found {
		return nil, nil
	}
	return &bDoc{p.Name, p.Price, s.Qty}, nil
}

// BenchmarkJoinProducts follows a backlog into memory: product documents from two tables of 100,000 rows, 70 % stock and 30 % price changes in
// transactions of ten. One operation is one change, from the log's bytes to the sink's.
func BenchmarkJoinProducts(b *testing.B) {
	benchmarkJoin(b, projector.Join[bProduct, int64, bDoc]{Name: "products", Version: 1, Target: projector.MemoryTarget("products"), Root: bProducts,
		Reads: []projector.Readable{bStockOf}, Build: buildProduct}, 100_000, 1_000)
}

// BenchmarkJoinTree does the same for documents of 1,000 and of 10,000 leaves; the number of leaves in all is 100,000.
func BenchmarkJoinTree(b *testing.B) {
	for _, leaves := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(leaves, "leaves"), func(b *testing.B) {
			benchmarkJoin(b, projector.Join[jCategory, int64, bTree]{Name: "trees", Version: 1, Target: projector.MemoryTarget("trees"), Root: jCategories,
				Reads: []projector.Readable{bProductOf, bStockOf, bLeaf},
				Build: func(v *projector.View, c *jCategory) (*bTree, error) {
					return &bTree{c.Name, bLeaf.All(v, bProductOf.Below(c))}, nil
				}}, 100_000, 100_000/leaves)
		})
	}
}

// processorTime is what the process has used, collector included: on a machine that others use, too, it says more than the clock.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchmarkJoin(b *testing.B, join projector.Projector, products, categories int) {
	const each = 10
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
	row := func(id int, r *rand.Rand) bProduct {
		return bProduct{int64(id), int64(id%categories) + 1, fmt.Sprintf("product number %d of the whole shop", id), fmt.Sprintf("%d.%02d", r.IntN(100), r.IntN(100))}
	}
	r := rand.New(rand.NewPCG(1, 1))
	transactions(categories, func(i int) projectortest.Change {
		return projectortest.Put("shop.category", jCategory{ID: int64(i) + 1, Name: "c"})
	})
	transactions(2*products, func(i int) projectortest.Change {
		if i%2 == 0 {
			return projectortest.Put("shop.product", row(i/2, r))
		}
		return projectortest.Put("shop.stock", jStock{int64(i / 2), int64(i)})
	})
	var documents, bytes atomic.Int64
	ctx, cancel := context.WithCancel(b.Context())
	runner, err := projector.NewRunner(projector.Config{Log: log, Sinks: []projector.Sink{sink}, Projectors: []projector.Projector{join},
		Hooks: projector.Hooks{OnWindow: func(w projector.WindowInfo) {
			documents.Add(int64(w.Documents))
			bytes.Add(int64(w.Bytes))
		}}})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- runner.Run(ctx) }()
	if err := feed.Watermark(ctx); err != nil {
		b.Fatal(err)
	}
	name := runner.Status()[0].Projector
	if err := runner.WaitFor(ctx, name, feed.CSN()); err != nil {
		b.Fatal(err)
	}
	transactions(b.N, func(int) projectortest.Change {
		id := r.IntN(products)
		if r.IntN(10) < 3 {
			return projectortest.Put("shop.product", row(id, r))
		}
		return projectortest.Put("shop.stock", jStock{int64(id), int64(r.IntN(100))})
	})
	documents.Store(0)
	bytes.Store(0)
	b.ReportAllocs()
	used := processorTime(b)
	b.ResetTimer()
	if err := feed.Watermark(ctx); err != nil { // now the backlog can be read
		b.Fatal(err)
	}
	if err := runner.WaitFor(ctx, name, feed.CSN()); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(float64((processorTime(b)-used).Microseconds())/float64(b.N), "cpu-µs/change")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
	b.ReportMetric(float64(documents.Load())/b.Elapsed().Seconds(), "documents/s")
	b.ReportMetric(float64(bytes.Load())/b.Elapsed().Seconds()/1e6, "MB/s")
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
