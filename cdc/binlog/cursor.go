package binlog

import (
	"encoding/binary"
	"errors"
)

// errShort says that an event ends before what it announces.
var errShort = errors.New("event is shorter than it says: corrupt, or of an unknown layout")

// cursor reads the fixed parts of an event. A read beyond the end sets bad and gives zero, so that a decoder checks once.
type cursor struct {
	rest []byte
	bad  bool
}

// take returns the next n bytes, which stay part of the event.
func (c *cursor) take(n uint64) []byte {
	if c.bad || n > uint64(len(c.rest)) {
		c.bad = true
		return nil
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

// uint reads a little-endian integer of n <= 8 bytes.
func (c *cursor) uint(n uint64) uint64 {
	b := c.take(n)
	if c.bad {
		return 0
	}
	return littleEndian(b)
}

// lenenc reads a length-encoded integer.
func (c *cursor) lenenc() uint64 {
	first := c.uint(1)
	switch {
	case first < 251:
		return first
	case first == 252:
		return c.uint(2)
	case first == 253:
		return c.uint(3)
	case first == 254:
		return c.uint(8)
	}
	c.bad = true // 251 is NULL and 255 an error, neither of which stands in a binlog
	return 0
}

// text reads a length-encoded string.
func (c *cursor) text() []byte { return c.take(c.lenenc()) }

// err is errShort when any read went beyond the end.
func (c *cursor) err() error {
	if c.bad {
		return errShort
	}
	return nil
}

// littleEndian reads up to eight bytes.
func littleEndian(b []byte) uint64 {
	if len(b) == 8 {
		return binary.LittleEndian.Uint64(b)
	}
	var v uint64
	for i, x := range b {
		v |= uint64(x) << (8 * i)
	}
	return v
}

// bigEndian reads up to eight bytes.
func bigEndian(b []byte) uint64 {
	if len(b) == 8 {
		return binary.BigEndian.Uint64(b)
	}
	var v uint64
	for _, x := range b {
		v = v<<8 | uint64(x)
	}
	return v
}
