package binlog

import (
	"errors"
	"fmt"
	"sync"

	"github.com/millrace-go/millrace/internal/reclaim"
)

// inflaters are shared by all columns, which are many, while few have a value in hand.
var inflaters = sync.Pool{New: func() any { return new(inflater) }}

var errCompressedValue = errors.New("compressed value: corrupt event")

// renderCompressed renders a value of a MariaDB COMPRESSED column as the column would without compression. The value is nothing for
// an empty one, a zero and the plain bytes where compression is not worth it, or else a header: method in the high half, a bit that
// says that zlib's wrapper is left out, and how many bytes of original length follow.
func renderCompressed(c *column, dst, src []byte) ([]byte, int, error) {
	const (
		methodPlain = 0
		methodZlib  = 8
		bare        = 8
	)
	value, err := c.prefixed(src)
	if err != nil {
		return dst, 0, err
	}
	n := c.width + len(value)
	if len(value) > 0 {
		f := inflaters.Get().(*inflater)
		defer func() {
			n := f.release()
			inflaters.Put(f)
			reclaim.Dropped(n)
		}()
		v := cursor{rest: value}
		head := v.uint(1)
		switch method := head >> 4; {
		case head == methodPlain:
			value = v.rest
		case method == methodZlib:
			length := bigEndian(v.take(head & 7))
			if v.bad || head&7 > 4 {
				return dst, 0, errCompressedValue
			}
			if value, err = f.read(v.rest, length, head&bare != 0); err != nil {
				return dst, 0, fmt.Errorf("%w: %w", errCompressedValue, err)
			}
		default:
			return dst, 0, fmt.Errorf("compressed value: unknown method %d", method)
		}
	}
	if len(value) > hugeRow { // the row's own size says nothing of it
		dst = reserve(dst, len(value))
	}
	if c.charset == nil {
		return appendBase64(dst, value), n, nil
	}
	dst, err = c.charset.appendJSON(dst, value)
	return dst, n, err
}
