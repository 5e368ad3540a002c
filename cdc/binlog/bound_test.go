package binlog

import (
	"runtime/metrics"
	"testing"
)

// bounded fails the test when run allocates more than limit bytes: a length in a corrupt event must not decide how much.
func bounded(t *testing.T, limit uint64, run func()) {
	t.Helper()
	before := allocated()
	run()
	if got := allocated() - before; got > limit {
		t.Errorf("%d bytes allocated, want at most %d", got, limit)
	}
}

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
