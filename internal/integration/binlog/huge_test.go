package binlog

import (
	"runtime"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestHugeTransaction: a transaction of 200,000 rows, some 60 MB of row events, passes in slices of at most MaxSliceBytes, and the
// process needs no more memory for it than for a few slices, also when the server has compressed it.
func TestHugeTransaction(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, ownServer(t, kind), "huge")
		d.SetMaxOpenConns(1)
		if kind == servers.MySQL {
			d.exec(t, "SET SESSION binlog_transaction_compression = 1")
		}
		d.exec(t, "CREATE TABLE num (n INT PRIMARY KEY)")
		d.exec(t, "INSERT INTO num WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n+1 FROM c WHERE n < 999) SELECT n FROM c")
		d.exec(t, "CREATE TABLE item (id INT PRIMARY KEY, body VARCHAR(300) NOT NULL)")
		from := d.executed(t)
		const rows = 200_000
		d.exec(t, "INSERT INTO item SELECT a.n * 1000 + b.n, REPEAT(SHA2(a.n * 1000 + b.n, 256), 4) FROM num a, num b WHERE a.n < 200")
		stream, err := d.source(t).Open(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		slices, got, peak := 0, 0, uint64(0)
		for last := false; !last; slices++ {
			slice, err := stream.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			size := 0
			for _, c := range slice.Changes {
				if c.Row != uint64(got) {
					t.Fatalf("row %d follows %d", c.Row, got)
				}
				size += len(c.Key) + len(c.After)
				got++
			}
			if size > 4<<20 {
				t.Errorf("a slice of %d bytes", size)
			}
			if slice.First != (slices == 0) {
				t.Errorf("slice %d: First is %v", slices, slice.First)
			}
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapInuse)
			last = slice.Last
		}
		t.Logf("%d slices, heap %d MiB before, at most %d MiB", slices, before.HeapInuse>>20, peak>>20)
		if got != rows || slices < 10 {
			t.Errorf("got %d rows in %d slices", got, slices)
		}
		if peak > before.HeapInuse+64<<20 {
			t.Errorf("the heap grew from %d to %d MiB", before.HeapInuse>>20, peak>>20)
		}
	})
}
