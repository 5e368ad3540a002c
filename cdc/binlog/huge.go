package binlog

import (
	"encoding/binary"

	"github.com/millrace-go/millrace/internal/reclaim"
)

// What a huge row takes: its event, which is given back when its last row is decoded, and the JSON of both images, until the slice is
// let go of. The next huge event is not read before that.

// growth is by how much a buffer grows at once towards a size that is announced, but not believed before the bytes come: doubling
// would leave an event of a hundred megabytes with twice as much as it needs.
const growth = 8

// grow returns a copy of buf with more room, for size bytes at most.
func grow(buf []byte, size int) []byte {
	room := max(growth*cap(buf), inboxBytes)
	return append(make([]byte, 0, min(size, room)), buf...)
}

// eventBuffer is what an event is read into.
type eventBuffer struct {
	data []byte
	size int // of the event and the byte before it, once its header has come
	// huge is called before a huge event is read; false ends the reading.
	huge func() bool
	// spill says which events go to files; spilled is the one that did.
	spill   spill
	spilled *spilledEvent
	// failed is set when the file could not be written. The connection's package calls that a broken connection.
	failed error
}

// reset makes the buffer ready for the next event.
func (b *eventBuffer) reset() {
	if cap(b.data) > inboxBytes {
		b.data = nil
	}
	b.data, b.size, b.spilled = b.data[:0], 0, nil
}

// raw is the event.
func (b *eventBuffer) raw() []byte { return b.data[1:] }

// give returns the event and lets go of its memory.
func (b *eventBuffer) give() []byte {
	raw := b.raw()
	b.data = nil
	return raw
}

// Write implements [io.Writer].
func (b *eventBuffer) Write(p []byte) (int, error) {
	n := len(p)
	if b.size == 0 && len(b.data) == 0 && len(p) >= 1+headerSize {
		b.size = 1 + int(binary.LittleEndian.Uint32(p[1+9:]))
		if b.size > reclaim.Huge && b.huge != nil && !b.huge() {
			return 0, errClosed
		}
		if header := p[1:]; spills(header, b.spill.limit) {
			b.data, p = append(b.data, p[0]), header
			if b.spilled, b.failed = newSpilledEvent(b.spill.dir, header); b.failed != nil {
				return 0, b.failed
			}
		}
	}
	if b.spilled != nil {
		b.failed = b.spilled.write(p)
		return n, b.failed
	}
	for need := len(b.data) + len(p); need > cap(b.data); {
		old := cap(b.data)
		b.data = grow(b.data, max(need, b.size))
		reclaim.Dropped(old)
	}
	b.data = append(b.data, p...)
	return n, nil
}

// hugeRow is from what size on, in bytes, room for a row's JSON is made at once.
const hugeRow = 1 << 20

// reserve makes room for the JSON of n bytes of row images.
func (b *buffer) reserve(n int) { b.json = reserve(b.json, n) }

// reserve makes room behind dst for the JSON of n bytes of values: base64 takes four bytes for three, and text is longer than that only when
// every third character is one that JSON escapes.
func reserve(dst []byte, n int) []byte {
	const others = 4 << 10 // names, keys, short values
	need := len(dst) + n/3*4 + others
	if need <= cap(dst) {
		return dst
	}
	reclaim.Dropped(need) // of what is garbage already
	old := cap(dst)
	dst = append(make([]byte, 0, need), dst...)
	reclaim.Dropped(old)
	return dst
}

// release gives back the memory of the event whose last row was decoded.
func (a *assembler) release() {
	a.rows.rest = nil
	dropped := a.waiting.release() + a.payload.release() + a.inflater.release()
	if !a.inner && !a.tx.replayed {
		dropped, a.pushed = dropped+a.pushed, 0
	}
	reclaim.Dropped(dropped)
}

// letGo forgets the last slice.
func (a *assembler) letGo() {
	if a.handed > 0 {
		a.buf.drop(a.handed)
		a.handed = 0
	}
}
