package kafkalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"

	"github.com/millrace-go/millrace/eventstore"
)

// hugeValue is from what size on a value is not copied into its batch: the record is a batch of its own, sent in parts, one of which is
// the flush's memory. So a value of a hundred megabytes is in memory once, and not also in a batch and in kafka-go's buffer.
const hugeValue = 1 << 20

// sealHuge writes a batch with a huge value: its beginning into dst, and the rest as parts. What does not shrink by an eighth is left
// uncompressed; that is seen early, so that little memory is spent on the attempt.
func (b *builder) sealHuge(dst []byte, codec compress.Codec, p producerID, sequence int32) (head []byte, rest [][]byte, err error) {
	parts := [][]byte{b.raw[:b.hugeAt], b.huge, b.raw[b.hugeAt:]}
	head = append(dst[:0], make([]byte, headerBytes)...)
	attributes := int16(0)
	if codec != nil {
		rest, err = shrink(codec, parts)
		if err != nil {
			return nil, nil, fmt.Errorf("compress a batch: %w", err)
		}
	}
	if rest != nil {
		attributes = int16(codec.Code())
	} else {
		// raw is used again for the next batch.
		head = append(append(head, parts[0]...), parts[2]...)
		cut := headerBytes + len(parts[0])
		head, rest = head[:cut:cut], [][]byte{b.huge, head[cut:]}
	}
	size := len(head)
	for _, part := range rest {
		size += len(part)
	}
	b.putHeader(head, size, attributes, p, sequence)
	sum := crc32.Checksum(head[atAttributes:], castagnoli)
	for _, part := range rest {
		sum = crc32.Update(sum, castagnoli, part)
	}
	binary.BigEndian.PutUint32(head[atCRC:], sum)
	return head, rest, nil
}

// shrink compresses the parts, or returns nil when that is not worth it.
func shrink(codec compress.Codec, parts [][]byte) (pieces, error) {
	var out pieces
	taken := 0
	w := codec.NewWriter(&out)
	for _, part := range parts {
		for len(part) > 0 {
			n := min(len(part), pieceBytes)
			if _, err := w.Write(part[:n]); err != nil {
				return nil, errors.Join(err, w.Close())
			}
			part, taken = part[n:], taken+n
			if out.size() > taken-taken/8 {
				return nil, w.Close()
			}
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if out.size() > taken-taken/8 {
		return nil, nil
	}
	return out, nil
}

// pieces is memory that grows without being copied.
type pieces [][]byte

const pieceBytes = 256 << 10

// Write implements [io.Writer].
func (p *pieces) Write(b []byte) (int, error) {
	written := len(b)
	for len(b) > 0 {
		n := len(*p)
		if n == 0 || len((*p)[n-1]) == cap((*p)[n-1]) {
			*p = append(*p, make([]byte, 0, pieceBytes))
			continue
		}
		last := (*p)[n-1]
		fits := min(len(b), cap(last)-len(last))
		(*p)[n-1] = append(last, b[:fits]...)
		b = b[fits:]
	}
	return written, nil
}

func (p *pieces) size() int {
	n := len(*p)
	if n == 0 {
		return 0
	}
	return (n-1)*pieceBytes + len((*p)[n-1])
}

// hugeRequest is a produce request for one batch in parts. It writes itself to the connection: kafka-go would make a copy of it first.
type hugeRequest struct {
	rawproduce.Request // without the batch: where it goes
	head               []byte
	rest               [][]byte
}

var (
	_ protocol.BrokerMessage = (*hugeRequest)(nil)
	_ protocol.RawExchanger  = (*hugeRequest)(nil)
)

// produceVersion is one that brokers have from 2.1 to 4; the reply's layout is the same from 5 to 7.
const produceVersion = 7

// ApiKey implements [protocol.Message].
func (*hugeRequest) ApiKey() protocol.ApiKey { return protocol.Produce } //nolint:revive // kafka-go's name

// Required implements [protocol.RawExchanger].
func (*hugeRequest) Required(map[protocol.ApiKey]int16) bool { return true }

func newHugeRequest(at eventstore.Partition, e *encoded) *hugeRequest {
	return &hugeRequest{Request: produceRequest(at, protocol.RawRecordSet{}), head: e.bytes, rest: e.rest}
}

// RawExchange implements [protocol.RawExchanger].
func (r *hugeRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	for i, part := range append([][]byte{r.encode(), r.head}, r.rest...) {
		if _, err := rw.Write(part); err != nil {
			return nil, fmt.Errorf("produce: part %d: %w", i, err)
		}
	}
	var size [4]byte
	if _, err := io.ReadFull(rw, size[:]); err != nil {
		return nil, fmt.Errorf("produce: %w", err)
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > firstReplyBytes {
		return nil, fmt.Errorf("produce: %w: reply of %d bytes", errMalformed, n)
	}
	reply := make([]byte, n)
	if _, err := io.ReadFull(rw, reply); err != nil {
		return nil, fmt.Errorf("produce: %w", err)
	}
	return decodeProduced(reply)
}

// encode returns everything before the batch, as of version 7.
func (r *hugeRequest) encode() []byte {
	be := binary.BigEndian
	size := len(r.head)
	for _, part := range r.rest {
		size += len(part)
	}
	topic := &r.Topics[0]
	b := make([]byte, 4, 128+len(topic.Topic))
	b = be.AppendUint16(b, uint16(protocol.Produce))
	b = be.AppendUint16(b, produceVersion)
	b = be.AppendUint32(b, fetchCorrelation)
	b = be.AppendUint16(b, 0xffff) // no client id
	b = be.AppendUint16(b, 0xffff) // no transactional id
	b = be.AppendUint16(b, uint16(r.Acks))
	b = be.AppendUint32(b, uint32(r.Timeout))
	b = be.AppendUint32(b, 1) // topics
	b = be.AppendUint16(b, uint16(len(topic.Topic)))
	b = append(b, topic.Topic...)
	b = be.AppendUint32(b, 1) // partitions
	b = be.AppendUint32(b, uint32(topic.Partitions[0].Partition))
	b = be.AppendUint32(b, uint32(size))
	be.PutUint32(b, uint32(len(b)-4+size))
	return b
}

func decodeProduced(reply []byte) (*produce.Response, error) {
	d := wire{data: reply}
	correlation := d.int32()
	res := &produce.Response{}
	if topics := d.int32(); topics == 1 {
		topic := produce.ResponseTopic{Topic: string(d.take(int(d.int16())))}
		if partitions := d.int32(); partitions == 1 {
			topic.Partitions = []produce.ResponsePartition{{Partition: d.int32(), ErrorCode: d.int16(), BaseOffset: d.int64()}}
		}
		res.Topics = []produce.ResponseTopic{topic}
	}
	if d.failed || correlation != fetchCorrelation || len(res.Topics) != 1 || len(res.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("produce: %w: reply", errMalformed)
	}
	if kafka.Error(res.Topics[0].Partitions[0].ErrorCode) == kafka.UnsupportedVersion {
		return nil, fmt.Errorf("produce: %w", errOldBroker)
	}
	return res, nil
}
