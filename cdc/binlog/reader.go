package binlog

import (
	"encoding/binary"
	"errors"
	"io"
	"os"

	"github.com/millrace-go/millrace/internal/reclaim"
)

// eventReader reads events that stand one behind the other, in memory or in a stream. The zero value has none.
type eventReader struct {
	rest   []byte // what is left in memory
	stream io.Reader
	buf    []byte // the event at hand of a stream
}

var errEvents = errors.New("events within a transaction: corrupt")

// reset begins with other events: those of stream when it is not nil.
func (r *eventReader) reset(events []byte, stream io.Reader) {
	r.rest, r.stream, r.buf = events, stream, keep(r.buf)
}

// next returns the next event's bytes, nil at the end. They are valid until the next call.
func (r *eventReader) next() ([]byte, error) {
	if r.stream == nil {
		if len(r.rest) == 0 {
			return nil, nil
		}
		if len(r.rest) < headerSize {
			return nil, errEvents
		}
		size := binary.LittleEndian.Uint32(r.rest[9:])
		if size < headerSize || uint64(size) > uint64(len(r.rest)) {
			return nil, errEvents
		}
		raw := r.rest[:size]
		r.rest = r.rest[size:]
		return raw, nil
	}
	var head [headerSize]byte
	if _, err := io.ReadFull(r.stream, head[:]); errors.Is(err, io.EOF) {
		r.stream = nil
		return nil, nil
	} else if err != nil {
		return nil, readError(err)
	}
	size := binary.LittleEndian.Uint32(head[9:])
	if size < headerSize {
		return nil, errEvents
	}
	r.buf = append(keep(r.buf), head[:]...)
	for have := headerSize; have < int(size); have = len(r.buf) {
		if have == cap(r.buf) {
			r.buf = grow(r.buf, int(size))
			reclaim.Dropped(have)
		}
		r.buf = r.buf[:min(cap(r.buf), int(size))]
		if _, err := io.ReadFull(r.stream, r.buf[have:]); err != nil {
			return nil, readError(err)
		}
	}
	return r.buf, nil
}

// readError says that the events are corrupt, or that the disk which has them cannot be read.
func readError(err error) error {
	if disk, ok := errors.AsType[*os.PathError](err); ok {
		return spillError(disk)
	}
	return errors.Join(errEvents, err)
}

// release gives a huge event's memory back, and returns how much that is.
func (r *eventReader) release() int {
	n := cap(r.buf)
	if n <= reclaim.Huge {
		return 0
	}
	r.buf = nil
	return n
}
