package projector

import (
	"encoding/binary"
	"testing"
)

// TestCache: caches keep to their budget together, and what is used stays.
func TestCache(t *testing.T) {
	budget := &cacheBudget{limit: 100 * (8 + 16 + cacheOverhead)}
	a, b := newCache[int](budget), newCache[string](budget)
	key := func(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }
	a.set(key(0), 7, 16)
	for i := range 10_000 {
		if value, found := a.get(key(0)); !found || value != 7 {
			t.Fatalf("after %d others: got %d, %v", i, value, found)
		}
		b.set(key(i), "x", 16)
		if n := len(a.young) + len(a.aged) + len(b.young) + len(b.aged); n > 200 {
			t.Fatalf("after %d others: %d entries", i, n)
		}
	}
	if _, found := b.get(key(1)); found {
		t.Error("what was not used for long is still there")
	}
	a.remove(key(0))
	if _, found := a.get(key(0)); found {
		t.Error("what was removed is still there")
	}
}
