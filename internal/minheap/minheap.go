// Package minheap is a binary heap for merging sorted sequences: the cursor with the smallest head is on top, and after it has
// moved on, Fix puts it where it belongs. Unlike container/heap it is generic, so it costs no interface call and no allocation
// for each record.
package minheap

// Ordered is what the heap holds: cursors that know which of two comes first.
type Ordered[T any] interface{ Before(T) bool }

// Heap is a min-heap. The zero value is empty. Not safe for concurrent use.
type Heap[T Ordered[T]] struct{ items []T }

// Len returns the number of cursors.
func (h *Heap[T]) Len() int { return len(h.items) }

// Min returns the first cursor. The heap must not be empty.
func (h *Heap[T]) Min() T { return h.items[0] }

// Push adds a cursor.
func (h *Heap[T]) Push(item T) {
	h.items = append(h.items, item)
	i := len(h.items) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !h.items[i].Before(h.items[parent]) {
			return
		}
		h.items[i], h.items[parent] = h.items[parent], h.items[i]
		i = parent
	}
}

// Fix restores the order after the first cursor has moved on.
func (h *Heap[T]) Fix() {
	i := 0
	for {
		child := 2*i + 1
		if child >= len(h.items) {
			return
		}
		if right := child + 1; right < len(h.items) && h.items[right].Before(h.items[child]) {
			child = right
		}
		if !h.items[child].Before(h.items[i]) {
			return
		}
		h.items[i], h.items[child] = h.items[child], h.items[i]
		i = child
	}
}

// Pop removes the first cursor. The heap must not be empty.
func (h *Heap[T]) Pop() {
	last := len(h.items) - 1
	h.items[0] = h.items[last]
	var none T
	h.items[last] = none
	h.items = h.items[:last]
	h.Fix()
}

// Reset empties the heap and keeps its memory.
func (h *Heap[T]) Reset() {
	clear(h.items)
	h.items = h.items[:0]
}
