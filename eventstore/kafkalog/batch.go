package kafkalog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go/compress"

	"github.com/millrace-go/millrace/eventstore"
)

// The record batch, magic 2: a header of 61 bytes, then the records, compressed as a whole.
const (
	atLength     = 8
	atMagic      = 16
	atCRC        = 17
	atAttributes = 21 // the CRC covers everything from here on
	atLastDelta  = 23
	atFirstTime  = 27
	atMaxTime    = 35
	atProducer   = 43
	atEpoch      = 51
	atSequence   = 53
	atCount      = 57
	headerBytes  = 61
	prefixBytes  = 12 // base offset and length, which the length does not count

	compressionBits = 0x07
	controlBit      = 0x20
)

const (
	csnHeader   = "csn"
	indexHeader = "index"
	stampHeader = "stamp"
	claimHeader = "claim"
)

// recordOverhead bounds what a record takes beside its key, value and stamp.
const recordOverhead = 128

var (
	castagnoli   = crc32.MakeTable(crc32.Castagnoli)
	errMalformed = errors.New("malformed batch")
)

// builder encodes the records of one batch. It is reused from batch to batch.
type builder struct {
	raw       []byte // the records, uncompressed, but for a huge value
	huge      []byte // the value of the only record, which belongs to the caller and stands before raw[hugeAt]; nil when it is not huge
	hugeAt    int
	count     int
	firstTime int64
	maxTime   int64
	csn       eventstore.CSN
	csnText   []byte
	indexText []byte
}

func (b *builder) reset() {
	b.raw, b.huge, b.count, b.firstTime, b.maxTime = b.raw[:0], nil, 0, 0, 0
}

// add encodes a record, with the claim instead of its value, and with the stamp, where they are not nil. A huge value is not copied: its
// record is the batch's only one.
func (b *builder) add(r *eventstore.Record, claim, stamp []byte) {
	value := r.Value
	if claim != nil {
		value = claim
	}
	at := timestamp(r.Time)
	if b.count == 0 {
		b.firstTime, b.maxTime = at, at
	}
	b.maxTime = max(b.maxTime, at)
	if b.csn != r.CSN || len(b.csnText) == 0 {
		b.csn, b.csnText = r.CSN, strconv.AppendUint(b.csnText[:0], uint64(r.CSN), 10)
	}
	b.indexText = strconv.AppendUint(b.indexText[:0], r.Index, 10)

	delta, offset := at-b.firstTime, int64(b.count)
	headers := int64(2)
	size := 1 + varintLen(delta) + varintLen(offset) + bytesLen(r.Key) + bytesLen(value) + 1 +
		1 + len(csnHeader) + bytesLen(b.csnText) + 1 + len(indexHeader) + bytesLen(b.indexText)
	if stamp != nil {
		headers++
		size += 1 + len(stampHeader) + bytesLen(stamp)
	}
	if claim != nil {
		headers++
		size += 1 + len(claimHeader) + bytesLen(nil)
	}
	raw := binary.AppendVarint(b.raw, int64(size))
	raw = append(raw, 0) // attributes
	raw = binary.AppendVarint(raw, delta)
	raw = binary.AppendVarint(raw, offset)
	raw = appendBytes(raw, r.Key)
	if len(value) < hugeValue {
		raw = appendBytes(raw, value)
	} else {
		raw = binary.AppendVarint(raw, int64(len(value)))
		b.huge, b.hugeAt = value, len(raw)
	}
	raw = binary.AppendVarint(raw, headers)
	raw = appendHeader(raw, csnHeader, b.csnText)
	raw = appendHeader(raw, indexHeader, b.indexText)
	if stamp != nil {
		raw = appendHeader(raw, stampHeader, stamp)
	}
	if claim != nil {
		raw = appendHeader(raw, claimHeader, nil)
	}
	b.raw = raw
	b.count++
}

// addPlain encodes a record with a value only.
func (b *builder) addPlain(value []byte, at time.Time) {
	b.firstTime, b.maxTime = timestamp(at), timestamp(at)
	size := 1 + varintLen(0) + varintLen(0) + varintLen(-1) + bytesLen(value) + varintLen(0)
	b.raw = binary.AppendVarint(b.raw, int64(size))
	b.raw = append(b.raw, 0, 0, 0, 1) // attributes, time and offset deltas, no key (-1)
	b.raw = appendBytes(b.raw, value)
	b.raw = append(b.raw, 0) // headers
	b.count++
}

// seal writes the batch into dst and returns it. What does not shrink is left uncompressed.
func (b *builder) seal(dst []byte, codec compress.Codec, p producerID, sequence int32) ([]byte, error) {
	dst = append(dst[:0], make([]byte, headerBytes)...)
	attributes := int16(0)
	if codec != nil && len(b.raw) > 256 {
		buf := bytes.NewBuffer(dst)
		w := codec.NewWriter(buf)
		_, err := w.Write(b.raw)
		if err := errors.Join(err, w.Close()); err != nil {
			return nil, fmt.Errorf("compress a batch: %w", err)
		}
		dst = buf.Bytes()
		attributes = int16(codec.Code())
	}
	if attributes == 0 || len(dst) >= headerBytes+len(b.raw) {
		attributes, dst = 0, append(dst[:headerBytes], b.raw...)
	}
	b.putHeader(dst, len(dst), attributes, p, sequence)
	binary.BigEndian.PutUint32(dst[atCRC:], crc32.Checksum(dst[atAttributes:], castagnoli))
	return dst, nil
}

// putHeader writes the header of a batch of size bytes, but for the CRC.
func (b *builder) putHeader(dst []byte, size int, attributes int16, p producerID, sequence int32) {
	be := binary.BigEndian
	be.PutUint64(dst, 0) // base offset: the broker's
	be.PutUint32(dst[atLength:], uint32(size-prefixBytes))
	be.PutUint32(dst[prefixBytes:], ^uint32(0)) // partition leader epoch: the broker's
	dst[atMagic] = 2
	be.PutUint16(dst[atAttributes:], uint16(attributes))
	be.PutUint32(dst[atLastDelta:], uint32(b.count-1))
	be.PutUint64(dst[atFirstTime:], uint64(b.firstTime))
	be.PutUint64(dst[atMaxTime:], uint64(b.maxTime))
	be.PutUint64(dst[atProducer:], uint64(p.id))
	be.PutUint16(dst[atEpoch:], uint16(p.epoch))
	be.PutUint32(dst[atSequence:], uint32(sequence))
	be.PutUint32(dst[atCount:], uint32(b.count))
}

// batch is a decoded batch header and its records, uncompressed.
type batch struct {
	base, last int64 // offsets of the first and the last record
	producer   producerID
	control    bool
	firstTime  int64
	count      int
	records    []byte
	owned      bool // records are memory of their own, not part of what was read from
}

// nextBatch reads the batch at the start of buf and returns it with its size. A batch that is cut off returns nil and the size it
// needs; an empty buf returns nil and 0. The records are decompressed into scratch, or part of buf.
func nextBatch(buf, scratch []byte) (b *batch, size int, err error) {
	if len(buf) < prefixBytes {
		return nil, len(buf), nil
	}
	be := binary.BigEndian
	size = prefixBytes + int(int32(be.Uint32(buf[atLength:])))
	if size < headerBytes {
		return nil, 0, fmt.Errorf("%w: %d bytes", errMalformed, size)
	}
	if len(buf) < size {
		return nil, size, nil
	}
	buf = buf[:size]
	if buf[atMagic] != 2 {
		return nil, 0, fmt.Errorf("%w: magic %d, want 2", errMalformed, buf[atMagic])
	}
	if sum := crc32.Checksum(buf[atAttributes:], castagnoli); sum != be.Uint32(buf[atCRC:]) {
		return nil, 0, fmt.Errorf("%w: checksum differs at offset %d", errMalformed, be.Uint64(buf))
	}
	attributes := be.Uint16(buf[atAttributes:])
	b = &batch{
		base:      int64(be.Uint64(buf)),
		control:   attributes&controlBit != 0,
		firstTime: int64(be.Uint64(buf[atFirstTime:])),
		producer:  producerID{int64(be.Uint64(buf[atProducer:])), int16(be.Uint16(buf[atEpoch:]))},
		count:     int(int32(be.Uint32(buf[atCount:]))),
		records:   buf[headerBytes:],
	}
	b.last = b.base + int64(int32(be.Uint32(buf[atLastDelta:])))
	if compression := compress.Compression(attributes & compressionBits); compression != compress.None && !b.control {
		if b.records, err = decompress(compression, b.records, scratch); err != nil {
			return nil, 0, fmt.Errorf("%w: offset %d: %w", errMalformed, b.base, err)
		}
		b.owned = true
	}
	return b, size, nil
}

func decompress(compression compress.Compression, data, scratch []byte) ([]byte, error) {
	codec := compression.Codec()
	if codec == nil {
		return nil, fmt.Errorf("unknown compression %d", compression)
	}
	r := codec.NewReader(bytes.NewReader(data))
	defer r.Close()
	out := scratch[:0]
	if cap(out) == 0 {
		out = make([]byte, 0, 4*len(data))
	}
	for {
		if len(out) == cap(out) {
			out = append(out, 0)[:len(out)]
		}
		n, err := r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// record is a decoded record. Its slices are parts of the batch's records.
type record struct {
	eventstore.Place
	offset     int64
	time       int64
	key, value []byte
	stamp      []byte
	numbered   bool // it has a csn and an index
	claim      bool // the value is a claim
}

// next decodes the record at the start of b.records and moves on; false at the end.
func (b *batch) next(r *record) (bool, error) {
	if b.count == 0 {
		return false, nil
	}
	d := decoder{data: b.records}
	body := d.bytes()
	b.records, b.count = d.data, b.count-1
	if d.failed || body == nil {
		return false, fmt.Errorf("%w: a record is cut off after offset %d", errMalformed, b.base)
	}
	d = decoder{data: body}
	d.skip(1) // attributes
	*r = record{time: b.firstTime + d.varint(), offset: b.base + d.varint()}
	r.key = d.bytes()
	r.value = d.bytes()
	var hasCSN, hasIndex bool
	for range d.varint() {
		name, value := d.bytes(), d.bytes()
		switch string(name) {
		case csnHeader:
			n, err := strconv.ParseUint(string(value), 10, 64)
			r.CSN, hasCSN = eventstore.CSN(n), err == nil
		case indexHeader:
			n, err := strconv.ParseUint(string(value), 10, 64)
			r.Index, hasIndex = n, err == nil
		case stampHeader:
			r.stamp = value
		case claimHeader:
			r.claim = true
		}
		if d.failed {
			break
		}
	}
	r.numbered = hasCSN && hasIndex
	if d.failed {
		return false, fmt.Errorf("%w: record at offset %d", errMalformed, r.offset)
	}
	return true, nil
}

// decoder reads the parts of a record. After a failure it returns zero values.
type decoder struct {
	data   []byte
	failed bool
}

func (d *decoder) varint() int64 {
	n, size := binary.Varint(d.data)
	if size <= 0 {
		d.failed, d.data = true, nil
		return 0
	}
	d.data = d.data[size:]
	return n
}

// bytes reads a length and as many bytes; nil for a negative length.
func (d *decoder) bytes() []byte {
	n := d.varint()
	if n < 0 {
		return nil
	}
	if n > int64(len(d.data)) {
		d.failed, d.data = true, nil
		return nil
	}
	out := d.data[:n:n]
	d.data = d.data[n:]
	return out
}

func (d *decoder) skip(n int) {
	if n > len(d.data) {
		d.failed, d.data = true, nil
		return
	}
	d.data = d.data[n:]
}

func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 1) // -1
	}
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}

func appendHeader(dst []byte, name string, value []byte) []byte {
	dst = append(binary.AppendVarint(dst, int64(len(name))), name...)
	return appendBytes(dst, value)
}

func bytesLen(b []byte) int {
	if b == nil {
		return 1
	}
	return varintLen(int64(len(b))) + len(b)
}

// varintLen returns how many bytes binary.AppendVarint appends.
func varintLen(n int64) int {
	zigzag := uint64(n<<1) ^ uint64(n>>63)
	return max(1, (bits.Len64(zigzag)+6)/7)
}

// noTime is how Kafka says that a record has no time.
const noTime = -1

func timestamp(t time.Time) int64 {
	if t.IsZero() {
		return noTime
	}
	return t.UnixMilli()
}

func timeOf(ms int64) time.Time {
	if ms == noTime {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// codecOf returns the codec of a compression's name, nil for none.
func codecOf(name string) (compress.Codec, error) {
	if name == "none" {
		return nil, nil
	}
	if name == "lz4" {
		return &lz4Codec{}, nil
	}
	for _, codec := range compress.Codecs {
		if codec != nil && codec.Name() == name {
			return codec, nil
		}
	}
	return nil, fmt.Errorf("unknown compression %q", name)
}
