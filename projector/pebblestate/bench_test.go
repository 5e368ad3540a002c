package pebblestate

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// BenchmarkChange does what a change of a join costs: six rows are looked for, three are set; a commit each 10,000 changes.
func BenchmarkChange(b *testing.B) {
	states, err := New(Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	state, err := states.Open(b.Context(), "a")
	if err != nil {
		b.Fatal(err)
	}
	defer state.Close()
	r, key, value := rand.New(rand.NewPCG(1, 1)), make([]byte, 9), make([]byte, 100)
	row := func() []byte {
		binary.BigEndian.PutUint64(key[1:], r.Uint64N(1_000_000))
		return key
	}
	for range 1_000_000 {
		if err := state.Set(row(), value); err != nil {
			b.Fatal(err)
		}
		if r.IntN(10_000) == 0 {
			if err := state.Commit(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		for range 6 {
			if _, _, err := state.Get(row()); err != nil {
				b.Fatal(err)
			}
		}
		for range 3 {
			if err := state.Set(row(), value); err != nil {
				b.Fatal(err)
			}
		}
		if i%10_000 == 0 {
			if err := state.Commit(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
