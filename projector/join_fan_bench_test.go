package projector_test

import (
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// BenchmarkJoinFanOut changes one row that 100,000 documents show, while others change one by one: how long the documents take until all are written, how long the
// others waited in between, at most and against how long they wait otherwise, and how much memory it took at its peak.
func BenchmarkJoinFanOut(b *testing.B) {
	const many = 100_000
	for b.Loop() {
		b.StopTimer()
		r := newRig(b)
		changes := []projectortest.Change{city(1)}
		for i := range many {
			changes = append(changes, person(i+1, 0))
		}
		r.commit(changes...)
		runner, stop := r.run(projector.Config{Projectors: []projector.Projector{townsfolk(0)}, Window: 20 * time.Millisecond})
		r.waitFor(runner, "people", 1)
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		change := func(n int) time.Duration {
			began, id := time.Now(), 1+n%many
			csn := r.commit(projectortest.Put("shop.person", rowA{id, 2, n}))
			for {
				d, _, err := r.sink.Get(b.Context(), projector.MemoryTarget("people"), 1, strconv.Itoa(id))
				if err != nil {
					b.Fatal(err)
				}
				if d.Version.CSN() >= csn {
					return time.Since(began)
				}
				time.Sleep(100 * time.Microsecond)
			}
		}
		var alone time.Duration
		for n := range 20 {
			alone = max(alone, change(n))
		}
		runtime.GC()
		before, peak, longest, others := heap(), uint64(0), time.Duration(0), 0
		b.StartTimer()
		fan := r.commit(city(2))
		for n := 20; runner.Status()[0].CSN < fan; n++ {
			longest = max(longest, change(n))
			peak = max(peak, heap())
			others++
		}
		b.StopTimer()
		b.ReportMetric(float64(longest.Milliseconds()), "ms-longest-wait")
		b.ReportMetric(float64(alone.Milliseconds()), "ms-wait-alone")
		b.ReportMetric(float64(others), "others")
		b.ReportMetric(float64(peak-min(peak, before))/1e6, "MB-peak")
		if err := stop(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
