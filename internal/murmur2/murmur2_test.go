package murmur2

import "testing"

// The values are those of the Java client's own test, org.apache.kafka.common.utils.UtilsTest.testMurmur2.
func TestSumAsJava(t *testing.T) {
	for key, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		if got := int32(Sum([]byte(key))); got != want {
			t.Errorf("Sum(%q) = %d, want %d", key, got, want)
		}
	}
}

func TestPartitionStaysInRange(t *testing.T) {
	seen := map[int32]int{}
	for i := range 1000 {
		p := Partition([]byte{byte(i), byte(i >> 8), 'k'}, 4)
		if p < 0 || p > 3 {
			t.Fatalf("partition %d of 4", p)
		}
		seen[p]++
	}
	for p := range int32(4) {
		if seen[p] < 150 {
			t.Errorf("partition %d got %d of 1000 keys", p, seen[p])
		}
	}
}
