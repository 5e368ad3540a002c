package minheap

import (
	"math/rand/v2"
	"slices"
	"testing"
)

type cursor []int

func (c *cursor) Before(d *cursor) bool { return (*c)[0] < (*d)[0] }

func TestMerge(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var h Heap[*cursor]
		var want, got []int
		for range rng.IntN(9) {
			c := make(cursor, 1+rng.IntN(20))
			for i := range c {
				c[i] = rng.IntN(1000)
			}
			slices.Sort(c)
			want = append(want, c...)
			h.Push(&c)
		}
		for h.Len() > 0 {
			c := h.Min()
			got = append(got, (*c)[0])
			if *c = (*c)[1:]; len(*c) == 0 {
				h.Pop()
			} else {
				h.Fix()
			}
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("merged %v, want %v", got, want)
		}
	}
}
