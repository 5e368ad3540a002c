package binlog

import (
	"encoding/hex"
	"fmt"
	"math/bits"
	"strconv"
	"time"
)

// gtidEvent is what begins a transaction.
type gtidEvent struct {
	id         string    // in the server's notation
	time       time.Time // commit on the server that first committed it; zero when the event does not say
	standalone bool      // MariaDB: one event follows, without a commit
	prepares   bool      // MariaDB: an XA PREPARE
	// MariaDB: parts of id.
	domain   uint32
	sequence uint64
}

// parseGTID reads MySQL's GTID_EVENT.
func parseGTID(body []byte) (gtidEvent, error) {
	c := cursor{rest: body}
	c.take(1) // flags
	sid := c.take(16)
	gno := c.uint(8)
	if c.bad {
		return gtidEvent{}, fmt.Errorf("gtid: %w", errShort)
	}
	g := gtidEvent{id: string(strconv.AppendUint(append(appendUUID(nil, sid), ':'), gno, 10))}
	if c.uint(1) == 2 { // logical clock, then times, since 8.0.1
		c.take(16)
		immediate := c.uint(7)
		original := immediate
		if immediate&(1<<55) != 0 {
			original = c.uint(7)
		}
		if !c.bad && original != 0 {
			g.time = time.UnixMicro(int64(original)).UTC()
		}
	}
	return g, nil
}

// parseTaggedGTID reads GTID_TAGGED_LOG_EVENT, written in the serialization format of MySQL 8.3: numbered fields, each integer of
// one to nine bytes with its length in the low bits of the first.
func parseTaggedGTID(body []byte) (gtidEvent, error) {
	c := cursor{rest: body}
	if version := c.varint(); version > 1 && !c.bad {
		return gtidEvent{}, fmt.Errorf("tagged gtid: serialization version %d, want 1", version)
	}
	c.varint() // size
	c.varint() // last field that must be understood
	var (
		uuid                      [16]byte
		gno, immediate, original  uint64
		tag                       []byte
		haveUUID, haveGNO, failed bool
	)
	for len(c.rest) > 0 && !c.bad && !failed {
		switch field := c.varint(); field {
		case 0: // flags
			c.varint()
		case 1:
			for i := range uuid {
				uuid[i] = byte(c.varint())
			}
			haveUUID = true
		case 2:
			gno, haveGNO = c.signed(), true
		case 3:
			tag = c.take(c.varint())
		case 4, 5: // logical clock
			c.signed()
		case 6:
			immediate = c.varint()
		case 7:
			original = c.varint()
		default: // lengths and versions, which nothing here needs
			failed = true
		}
	}
	if c.bad || !haveUUID || !haveGNO {
		return gtidEvent{}, fmt.Errorf("tagged gtid: %w", errShort)
	}
	id := appendUUID(nil, uuid[:])
	if len(tag) > 0 {
		id = append(append(id, ':'), tag...)
	}
	g := gtidEvent{id: string(strconv.AppendUint(append(id, ':'), gno, 10))}
	if original == 0 {
		original = immediate
	}
	if original != 0 {
		g.time = time.UnixMicro(int64(original)).UTC()
	}
	return g, nil
}

// varint reads an unsigned integer of the serialization format: as many ones in the low bits of the first byte as bytes follow.
func (c *cursor) varint() uint64 {
	if c.bad || len(c.rest) == 0 {
		c.bad = true
		return 0
	}
	more := bits.TrailingZeros8(^c.rest[0])
	b := c.take(uint64(more) + 1)
	if c.bad {
		return 0
	}
	if more == 8 {
		return littleEndian(b[1:])
	}
	return littleEndian(b) >> (more + 1)
}

// signed reads a signed integer of the serialization format. The ones here are never negative.
func (c *cursor) signed() uint64 {
	v := c.varint()
	if v&1 != 0 {
		c.bad = true
	}
	return v >> 1
}

// parseMariaDBGTID reads MariaDB's GTID_EVENT.
func parseMariaDBGTID(e event) (gtidEvent, error) {
	const (
		standalone = 1 << 0
		preparedXA = 1 << 6
	)
	c := cursor{rest: e.body}
	sequence := c.uint(8)
	domain := c.uint(4)
	flags := c.uint(1)
	if c.bad {
		return gtidEvent{}, fmt.Errorf("gtid: %w", errShort)
	}
	id := strconv.AppendUint(nil, domain, 10)
	id = strconv.AppendUint(append(id, '-'), uint64(e.server), 10)
	id = strconv.AppendUint(append(id, '-'), sequence, 10)
	return gtidEvent{id: string(id), standalone: flags&standalone != 0, prepares: flags&preparedXA != 0, domain: uint32(domain), sequence: sequence}, nil
}

// appendUUID appends 16 bytes in the form 3e11fa47-71ca-11e1-9e33-c80aa9429562.
func appendUUID(dst, b []byte) []byte {
	for i, end := range [...]int{4, 6, 8, 10, 16} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, b[[...]int{0, 4, 6, 8, 10}[i]:end])
	}
	return dst
}
