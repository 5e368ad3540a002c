// Package reclaim gives the memory of huge buffers back as soon as they are not used any more.
//
// Go's collector runs when the heap has doubled: with two values of a hundred megabytes alive it may leave two hundred megabytes of garbage.
// And what it has freed stays with the process, in pieces into which the next, larger value does not fit.
package reclaim

import "runtime/debug"

// Huge is from what size on, in bytes, a buffer is worth a collection, which takes about as long as copying a few megabytes.
const Huge = 16 << 20

// Dropped is called after the last reference to n bytes is gone.
func Dropped(n int) {
	if n >= Huge {
		debug.FreeOSMemory()
	}
}
