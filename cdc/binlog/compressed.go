package binlog

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/millrace-go/millrace/internal/reclaim"
)

// payload reads the events of a MySQL transaction that was compressed as a whole. One decoder serves all of them: making one
// costs more than most transactions. The zero value is ready.
type payload struct {
	eventReader
	decoder *zstd.Decoder
	plain   []byte // a small payload as a whole
	spilled *spilledEvent
}

// wholePayload is up to which size a payload is decompressed at once; a bigger one event by event.
const wholePayload = 1 << 20

// maxWindow is the largest window of zstd's levels; a frame that asks for more is corrupt.
const maxWindow = 128 << 20

// The fields of a transaction payload event.
const (
	payloadEnd         = 0
	payloadCompression = 2
	payloadOriginal    = 3 // uncompressed size

	compressionZstd = 0
	compressionNone = 255
)

var errPayload = errors.New("compressed transaction: corrupt")

// parsePayload reads the fields in front of the compressed events and returns what follows them.
func parsePayload(body []byte) (compression, original uint64, rest []byte, err error) {
	c := cursor{rest: body}
	compression = compressionNone
	for {
		field := c.lenenc()
		if c.bad || field == payloadEnd {
			break
		}
		value := cursor{rest: c.text()}
		switch field {
		case payloadCompression:
			compression = value.lenenc()
		case payloadOriginal:
			original = value.lenenc()
		}
		c.bad = c.bad || value.bad
	}
	if c.bad {
		return 0, 0, nil, fmt.Errorf("compressed transaction: %w", errShort)
	}
	if compression != compressionNone && compression != compressionZstd {
		return 0, 0, nil, fmt.Errorf("compressed transaction: unknown compression %d", compression)
	}
	return compression, original, c.rest, nil
}

// open begins with the events in body.
func (p *payload) open(body []byte) error {
	compression, original, rest, err := parsePayload(body)
	if err != nil {
		return err
	}
	p.plain = keep(p.plain)
	if compression == compressionNone {
		p.reset(rest, nil)
		return nil
	}
	if original > wholePayload {
		return p.decompress(bytes.NewReader(rest))
	}
	if err := p.prepare(); err != nil {
		return err
	}
	p.plain = slices.Grow(p.plain[:0], int(original))
	if p.plain, err = p.decoder.DecodeAll(rest, p.plain[:0:original]); err != nil {
		return errors.Join(errPayload, err)
	}
	if uint64(len(p.plain)) != original {
		return fmt.Errorf("%w: %d bytes, want %d", errPayload, len(p.plain), original)
	}
	p.reset(p.plain, nil)
	return nil
}

// openSpilled is open for an event in a file, which it takes over when there is no error.
func (p *payload) openSpilled(s *spilledEvent, checksum bool) error {
	const fields = 1 << 10 // more than they take
	head := make([]byte, min(fields, s.size-headerSize))
	if _, err := s.file.ReadAt(head, 0); err != nil {
		return s.file.failed(err)
	}
	compression, _, rest, err := parsePayload(head)
	if err != nil {
		return err
	}
	body, err := s.body(checksum, int64(len(head)-len(rest)))
	if err != nil {
		return err
	}
	p.plain = keep(p.plain)
	if compression == compressionNone {
		p.reset(nil, body)
	} else if err := p.decompress(body); err != nil {
		return err
	}
	p.spilled = s
	return nil
}

// close gives a file back. It may be closed twice.
func (p *payload) close() {
	p.spilled.close()
	p.spilled = nil
}

// decompress begins with compressed events that are read one by one.
func (p *payload) decompress(compressed io.Reader) error {
	if err := p.prepare(); err != nil {
		return err
	}
	if err := p.decoder.Reset(compressed); err != nil {
		return errors.Join(errPayload, err)
	}
	p.reset(nil, p.decoder)
	return nil
}

// prepare makes the decoder.
func (p *payload) prepare() error {
	if p.decoder == nil {
		decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return fmt.Errorf("compressed transaction: %w", err)
		}
		p.decoder = decoder
	}
	return nil
}

// inflater decompresses MariaDB's compressed events and columns. The zero value is ready.
type inflater struct {
	wrapped, bare io.ReadCloser // zlib, and deflate without its wrapper
	buf           []byte
}

// release lets go of the memory of a huge original, and returns how much that is.
func (f *inflater) release() int {
	n := cap(f.buf)
	if n <= reclaim.Huge {
		return 0
	}
	f.buf = nil
	return n
}

var errInflate = errors.New("compressed event: corrupt")

// inflate returns the original of an event's data, valid until the next call. The first byte has the algorithm in its high half and in
// its low bits how many bytes of original length follow.
func (f *inflater) inflate(data []byte) ([]byte, error) {
	c := cursor{rest: data}
	head := c.uint(1)
	length := bigEndian(c.take(head & 7))
	if c.bad || head&7 > 4 {
		return nil, errInflate
	}
	if algorithm := head >> 4 & 7; algorithm != 0 {
		return nil, fmt.Errorf("compressed event: unknown algorithm %d", algorithm)
	}
	plain, err := f.read(c.rest, length, false)
	if err != nil {
		return nil, errors.Join(errInflate, err)
	}
	return plain, nil
}

var errInflatedLength = errors.New("the original's length is not the one announced")

// read decompresses data of so many bytes, valid until the next call.
func (f *inflater) read(data []byte, length uint64, bare bool) ([]byte, error) {
	if length > 1100*uint64(len(data)) { // deflate's best is 1032 : 1
		return nil, errInflatedLength
	}
	src := bytes.NewReader(data)
	var err error
	reader := &f.wrapped
	switch {
	case bare && f.bare == nil:
		f.bare = flate.NewReader(src)
		reader = &f.bare
	case bare:
		reader = &f.bare
		err = f.bare.(flate.Resetter).Reset(src, nil)
	case f.wrapped == nil:
		f.wrapped, err = zlib.NewReader(src)
	default:
		err = f.wrapped.(zlib.Resetter).Reset(src, nil)
	}
	if err != nil {
		*reader = nil
		return nil, err
	}
	if f.buf = keep(f.buf); uint64(cap(f.buf)) < length {
		f.buf = make([]byte, length)
	}
	f.buf = f.buf[:length]
	if _, err := io.ReadFull(*reader, f.buf); err != nil {
		return nil, err
	}
	var more [1]byte
	switch n, err := (*reader).Read(more[:]); { // also verifies zlib's checksum
	case n > 0:
		return nil, errInflatedLength
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return f.buf, nil
}
