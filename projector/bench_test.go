package projector_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/shop"
	"github.com/millrace-go/millrace/projector"
)

const benchProducts = 100_000

// BenchmarkFold follows a backlog into memory: product documents from two tables of 100,000 rows, 70 % stock and 30 % price changes in
// transactions of ten. One operation is one change, from the log's bytes to the sink's.
func BenchmarkFold(b *testing.B) {
	benchmark(b, 100, new(shop.Models).Fold(projector.MemoryTarget("fold"), 1))
}

// BenchmarkJoinProducts does the same with a Join.
func BenchmarkJoinProducts(b *testing.B) {
	benchmark(b, 100, new(shop.Models).Products(projector.MemoryTarget("products"), 1))
}

// BenchmarkJoinTree does the same for documents of 1,000 and of 10,000 leaves; the number of leaves in all is 100,000.
func BenchmarkJoinTree(b *testing.B) {
	for _, leaves := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(leaves, "leaves"), func(b *testing.B) {
			benchmark(b, benchProducts/leaves, new(shop.Models).Catalogs(projector.MemoryTarget("catalogs"), 1))
		})
	}
}

func benchmark(b *testing.B, catalogs int, model projector.Projector) {
	log := eventstore.NewMemoryLog()
	s, err := shop.New(b.Context(), log, benchProducts, catalogs)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	f, err := shop.Backlog(b.Context(), s, b.N, projector.Config{Log: log, Sinks: []projector.Sink{projector.NewMemorySink()}, Projectors: []projector.Projector{model}})
	if err != nil {
		b.Fatal(err)
	}
	report(b, f)
}

func report(b *testing.B, f shop.Figures) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(f.CPU)/float64(b.N)/float64(time.Microsecond), "cpu-µs/change")
	b.ReportMetric(float64(b.N)/f.Elapsed.Seconds(), "changes/s")
	b.ReportMetric(float64(f.Documents)/f.Elapsed.Seconds(), "documents/s")
	b.ReportMetric(float64(f.Bytes)/f.Elapsed.Seconds()/1e6, "MB/s")
}
