package kafkalog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/millrace-go/millrace/eventstore"
)

// fetchVersion is the highest one that kafka-go negotiates. Brokers have it since Kafka 2.3.
const fetchVersion = 11

var errOldBroker = errors.New("the broker is older than Kafka 2.3")

// fetchRequest reads from several partitions of one broker in one request. It writes itself to the connection and reads the reply
// into one buffer: kafka-go's own fetch takes one partition, hides control batches (so that a reader cannot step over them), and
// allocates several times a record.
type fetchRequest struct {
	wait     time.Duration // how long the broker may wait for the first byte
	maxBytes int
	parts    []fetchPartition
	buf      []byte // where to read the reply, grown as needed
}

// fetch makes a request whose reply may be read into buf. The reply is valid until its buffer is given to another request. After
// an error, buf belongs to the connection, which may still be reading into it: it must not be used again.
func (c *client) fetch(ctx context.Context, req *fetchRequest) (*fetchResponse, error) {
	return send[*fetchResponse](ctx, c, req)
}

// fetchPartition asks for one partition of a Kafka topic. The first one of a request gets at least one batch if there is any.
type fetchPartition struct {
	eventstore.Partition
	offset   int64
	maxBytes int
}

// fetchResponse is the reply. The batches are parts of the request's buffer.
type fetchResponse struct {
	parts []fetchedPartition
	buf   []byte
}

// part returns a partition's part of the reply, nil if there is none. It is looked for at i first: brokers answer in order.
func (r *fetchResponse) part(p eventstore.Partition, i int) *fetchedPartition {
	if i >= len(r.parts) || r.parts[i].Partition != p {
		i = slices.IndexFunc(r.parts, func(f fetchedPartition) bool { return f.Partition == p })
	}
	if i < 0 {
		return nil
	}
	return &r.parts[i]
}

// fetchedPartition is one partition's part of the reply.
type fetchedPartition struct {
	eventstore.Partition
	err     error
	high    int64 // offset after the last record that every in-sync replica has
	start   int64 // first offset that is still there
	batches []byte
}

var (
	_ protocol.BrokerMessage = (*fetchRequest)(nil)
	_ protocol.RawExchanger  = (*fetchRequest)(nil)
)

// ApiKey implements [protocol.Message].
func (*fetchRequest) ApiKey() protocol.ApiKey { return protocol.Fetch } //nolint:revive // kafka-go's name

// ApiKey implements [protocol.Message].
func (*fetchResponse) ApiKey() protocol.ApiKey { return protocol.Fetch } //nolint:revive // kafka-go's name

// Broker implements [protocol.BrokerMessage].
func (r *fetchRequest) Broker(cluster protocol.Cluster) (protocol.Broker, error) {
	broker := protocol.Broker{ID: -1}
	for _, p := range r.parts {
		part, ok := cluster.Topics[p.Topic].Partitions[p.Number]
		if !ok {
			return broker, fmt.Errorf("fetch: %w", protocol.NewErrNoPartition(p.Topic, p.Number))
		}
		b, ok := cluster.Brokers[part.Leader]
		if !ok {
			return broker, fmt.Errorf("fetch: %w", protocol.NewErrNoLeader(p.Topic, p.Number))
		}
		if broker.ID >= 0 && broker.ID != b.ID {
			return broker, fmt.Errorf("fetch %v: %w", p.Partition, kafka.NotLeaderForPartition) // the layout changed meanwhile
		}
		broker = b
	}
	return broker, nil
}

// Required implements [protocol.RawExchanger].
func (*fetchRequest) Required(map[protocol.ApiKey]int16) bool { return true }

// RawExchange implements [protocol.RawExchanger].
func (r *fetchRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if _, err := rw.Write(r.encode()); err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	var size [4]byte
	if _, err := io.ReadFull(rw, size[:]); err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	n := int(int32(binary.BigEndian.Uint32(size[:])))
	if n < 0 {
		return nil, fmt.Errorf("fetch: %w: reply of %d bytes", errMalformed, n)
	}
	if cap(r.buf) < n {
		r.buf = make([]byte, n)
	}
	r.buf = r.buf[:n]
	if _, err := io.ReadFull(rw, r.buf); err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	return r.decode(r.buf)
}

const fetchCorrelation = 0x6d696c6c // one request at a time on a connection: any number will do

// encode returns the request as of version 11.
func (r *fetchRequest) encode() []byte {
	be := binary.BigEndian
	b := make([]byte, 4, 128+64*len(r.parts))
	b = be.AppendUint16(b, uint16(protocol.Fetch))
	b = be.AppendUint16(b, fetchVersion)
	b = be.AppendUint32(b, fetchCorrelation)
	b = be.AppendUint16(b, 0xffff)     // no client id
	b = be.AppendUint32(b, ^uint32(0)) // replica id: a consumer
	b = be.AppendUint32(b, uint32(r.wait.Milliseconds()))
	b = be.AppendUint32(b, 1) // min bytes
	b = be.AppendUint32(b, uint32(r.maxBytes))
	b = append(b, 0)                   // read uncommitted
	b = be.AppendUint32(b, 0)          // no session
	b = be.AppendUint32(b, ^uint32(0)) // and none to be made
	b = be.AppendUint32(b, uint32(r.topics()))
	for i := 0; i < len(r.parts); {
		n := r.sameTopic(i)
		b = be.AppendUint16(b, uint16(len(r.parts[i].Topic)))
		b = append(b, r.parts[i].Topic...)
		b = be.AppendUint32(b, uint32(n))
		for _, p := range r.parts[i : i+n] {
			b = be.AppendUint32(b, uint32(p.Number))
			b = be.AppendUint32(b, ^uint32(0)) // current leader epoch: unknown
			b = be.AppendUint64(b, uint64(p.offset))
			b = be.AppendUint64(b, ^uint64(0)) // log start offset: replicas only
			b = be.AppendUint32(b, uint32(p.maxBytes))
		}
		i += n
	}
	b = be.AppendUint32(b, 0) // forgotten topics
	b = be.AppendUint16(b, 0) // rack
	be.PutUint32(b, uint32(len(b)-4))
	return b
}

// topics counts the runs of one topic.
func (r *fetchRequest) topics() (n int) {
	for i := 0; i < len(r.parts); i += r.sameTopic(i) {
		n++
	}
	return n
}

// sameTopic returns how many partitions from i on are of one topic.
func (r *fetchRequest) sameTopic(i int) int {
	n := 1
	for i+n < len(r.parts) && r.parts[i+n].Topic == r.parts[i].Topic {
		n++
	}
	return n
}

func (r *fetchRequest) decode(b []byte) (*fetchResponse, error) {
	d := wire{data: b}
	res := &fetchResponse{buf: b}
	correlation := d.int32()
	d.skip(4) // throttle time
	code := kafka.Error(d.int16())
	d.skip(4) // session
	if d.failed || correlation != fetchCorrelation {
		return nil, fmt.Errorf("fetch: %w: header of the reply", errMalformed)
	}
	if code != 0 {
		if code == kafka.UnsupportedVersion {
			return nil, fmt.Errorf("fetch: %w", errOldBroker)
		}
		return nil, fmt.Errorf("fetch: %w", code)
	}
	for range d.int32() {
		topic := string(d.take(int(d.int16())))
		if d.failed {
			break
		}
		for range d.int32() {
			p := fetchedPartition{Partition: eventstore.Partition{Topic: topic, Number: d.int32()}}
			if code := d.int16(); code != 0 {
				p.err = fmt.Errorf("fetch %v: %w", p.Partition, kafka.Error(code))
			}
			p.high = d.int64()
			d.skip(8) // last stable offset
			p.start = d.int64()
			if n := d.int32(); n > 0 {
				d.skip(16 * int(n)) // aborted transactions
			}
			d.skip(4) // preferred read replica
			if n := d.int32(); n > 0 {
				p.batches = d.take(int(n))
			}
			if d.failed {
				return nil, fmt.Errorf("fetch: %w: reply is cut off", errMalformed)
			}
			res.parts = append(res.parts, p)
		}
	}
	if d.failed {
		return nil, fmt.Errorf("fetch: %w: reply is cut off", errMalformed)
	}
	return res, nil
}

// wire reads the fixed-size parts of a reply. After a failure it returns zero values.
type wire struct {
	data   []byte
	failed bool
}

func (d *wire) take(n int) []byte {
	if n < 0 || n > len(d.data) {
		d.failed, d.data = true, nil
		return nil
	}
	out := d.data[:n:n]
	d.data = d.data[n:]
	return out
}

func (d *wire) skip(n int) { d.take(n) }

func (d *wire) int16() int16 {
	if b := d.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (d *wire) int32() int32 {
	if b := d.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (d *wire) int64() int64 {
	if b := d.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}
