package binlog

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/go-mysql-org/go-mysql/replication"
)

// spilledEvent is an event that was written to a file while it was read: a compressed transaction of MySQL is one event of up to a
// gigabyte, and is decompressed from there, event by event. It must be closed.
type spilledEvent struct {
	head [headerSize]byte
	file *tempFile // what is behind the header
	w    *bufio.Writer
	size int // of the whole event
	have int
	sum  uint32 // CRC-32 of all but the last four bytes
	tail [checksumSize]byte
}

// newSpilledEvent begins with an event's header.
func newSpilledEvent(dir string, header []byte) (*spilledEvent, error) {
	f, err := newTempFile(dir)
	if err != nil {
		return nil, err
	}
	s := &spilledEvent{file: f, w: bufio.NewWriterSize(f, fileBufferSize), size: int(binary.LittleEndian.Uint32(header[9:]))}
	return s, nil
}

// spills tells of an event whether it goes to a file when it is larger than limit. Other events are decoded as a whole.
func spills(header []byte, limit int) bool {
	return limit > 0 && replication.EventType(header[4]) == replication.TRANSACTION_PAYLOAD_EVENT && int(binary.LittleEndian.Uint32(header[9:])) > limit
}

// write takes the event's next bytes.
func (s *spilledEvent) write(p []byte) error {
	if s.have+len(p) > s.size {
		return fmt.Errorf("%w: more bytes than the %d it says", errShort, s.size)
	}
	sealed := p[:max(0, min(len(p), s.size-checksumSize-s.have))]
	s.sum = crc32.Update(s.sum, crc32.IEEETable, sealed)
	for i, b := range p[len(sealed):] {
		s.tail[s.have+len(sealed)+i-(s.size-checksumSize)] = b
	}
	n := 0
	if s.have < headerSize {
		n = copy(s.head[s.have:], p)
	}
	s.have += len(p)
	if _, err := s.w.Write(p[n:]); err != nil {
		return s.file.failed(err)
	}
	return nil
}

// event returns what parseEvent would, without the body.
func (s *spilledEvent) event(checksum bool) (event, error) {
	e := parseHeader(s.head[:])
	e.spilled = s
	switch {
	case s.have != s.size:
		return e, fmt.Errorf("%s says that it has %d bytes, and has %d", e.name(), s.size, s.have)
	case checksum && s.sum != binary.LittleEndian.Uint32(s.tail[:]):
		return e, fmt.Errorf("%s: %w", e.name(), errChecksum)
	}
	if err := s.w.Flush(); err != nil {
		return e, s.file.failed(err)
	}
	s.w = nil
	return e, nil
}

// body returns the body, without a checksum, from an offset on.
func (s *spilledEvent) body(checksum bool, from int64) (io.Reader, error) {
	end := int64(s.size - headerSize)
	if checksum {
		end -= checksumSize
	}
	if from > end {
		return nil, errShort
	}
	return bufio.NewReaderSize(io.NewSectionReader(s.file, from, end-from), fileBufferSize), nil
}

func (s *spilledEvent) close() {
	if s != nil && s.file != nil {
		s.file.remove()
		s.file, s.w = nil, nil
	}
}
