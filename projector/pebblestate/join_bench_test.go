package pebblestate

import (
	"fmt"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/shop"
	"github.com/millrace-go/millrace/projector"
)

// BenchmarkJoin follows a backlog as the benchmarks of package projector do, with the rows on disk.
func BenchmarkJoin(b *testing.B) {
	models := new(shop.Models)
	b.Run("products", func(b *testing.B) { benchmarkJoin(b, 100, models.Products(projector.MemoryTarget("products"), 1)) })
	for _, leaves := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(leaves, "leaves"), func(b *testing.B) {
			benchmarkJoin(b, 100_000/leaves, models.Catalogs(projector.MemoryTarget("catalogs"), 1))
		})
	}
}

func benchmarkJoin(b *testing.B, catalogs int, model projector.Projector) {
	states, err := New(Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	log := eventstore.NewMemoryLog()
	s, err := shop.New(b.Context(), log, 100_000, catalogs)
	if err != nil {
		b.Fatal(err)
	}
	f, err := shop.Backlog(b.Context(), s, b.N, projector.Config{Log: log, Sinks: []projector.Sink{projector.NewMemorySink()}, States: states,
		Projectors: []projector.Projector{model}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(f.CPU.Microseconds())/float64(b.N), "cpu-µs/change")
	b.ReportMetric(float64(b.N)/f.Elapsed.Seconds(), "changes/s")
	b.ReportMetric(float64(f.Documents)/f.Elapsed.Seconds(), "documents/s")
}
