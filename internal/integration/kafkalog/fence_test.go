package kafkalog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net"
	"sync"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
)

const fenceLoops = 200

// TestFence lets an old writer produce to every partition, all the time, while a successor begins. Whatever the old one lands has
// to be in the tail that the successor reads: nothing may come after it. Only a real broker can fail this; built with the tag
// millrace_unsafe and run with MILLRACE_UNSAFE=second-ok, which leaves out the fence's second half, it does.
func TestFence(t *testing.T) {
	name := pipeline()
	cfg := config(t, genuine.addrs(t), name)
	cfg.Partitions = fencePartitions
	cfg.Compression = "none" // the tails are thousands of tiny batches: reading them should not be what takes the time
	spy := &spy{next: transport(t), topic: name + ".shop.stock", batches: make(map[int32][]byte), high: make(map[int32]int64)}
	cfg.Transport = spy
	log, undead := open(t, cfg), transport(t)

	w := begin(t, log)
	mark(t, w, 0)
	late, lateLoops, landed := 0, 0, 0
	for csn := eventstore.CSN(1); csn <= fenceLoops; csn++ {
		if err := w.Append(t.Context(), everywhere(csn)); err != nil {
			t.Fatal(err)
		}
		zombies := spy.zombies(t, undead, kafka.TCP(cfg.Brokers...))
		successor := begin(t, log)
		seen := spy.ends() // up to where it read
		n := 0
		for _, z := range zombies {
			for _, offset := range z.stop(t) {
				if landed++; offset >= seen[z.part] {
					n++
				}
			}
		}
		if late += n; n > 0 {
			lateLoops++
			t.Logf("loop %d: %d batches of the old writer landed after the successor had read the tail", csn, n)
		}
		w = successor
		mark(t, w, csn)
	}
	t.Logf("%d loops, %d partitions: the old writers landed %d batches beside their own, %d of them too late, in %d loops", fenceLoops, fencePartitions, landed, late, lateLoops)
	if late > 0 {
		t.Errorf("%d batches landed after the fence", late)
	}
}

func begin(t *testing.T, log *kafkalog.Log) eventstore.Writer {
	t.Helper()
	w, err := log.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func mark(t *testing.T, w eventstore.Writer, csn eventstore.CSN) {
	t.Helper()
	if err := w.Watermark(t.Context(), eventstore.Watermark{CSN: csn}); err != nil {
		t.Fatal(err)
	}
}

// everywhere returns a transaction with a record in each partition.
func everywhere(csn eventstore.CSN) *eventstore.Flush {
	f := &eventstore.Flush{}
	f.Stamp.Add(csn, fmt.Sprintf("0-1-%d", csn))
	for i := range uint64(20 * fencePartitions) {
		f.Records = append(f.Records, eventstore.Record{
			Place: eventstore.Place{CSN: csn, Index: i}, Topic: "shop.stock", Key: fmt.Appendf(nil, `{"id":%d}`, i), Value: []byte(`{"qty":1}`),
		})
	}
	return f
}

// spy watches the log's requests: the batches it sends, and the ends it reads its tails up to.
type spy struct {
	next  kafka.RoundTripper
	topic string

	mu      sync.Mutex
	batches map[int32][]byte // the last one sent to each partition
	high    map[int32]int64  // the last high watermark that was asked for
}

func (s *spy) RoundTrip(ctx context.Context, addr net.Addr, req kafka.Request) (kafka.Response, error) {
	if p, ok := req.(*rawproduce.Request); ok && p.Topics[0].Topic == s.topic {
		part := &p.Topics[0].Partitions[0]
		data, err := io.ReadAll(part.RecordSet.Reader)
		if err != nil {
			return nil, err
		}
		part.RecordSet = protocol.RawRecordSet{Reader: bytes.NewReader(data)}
		s.mu.Lock()
		s.batches[part.Partition] = bytes.Clone(data)
		s.mu.Unlock()
	}
	res, err := s.next.RoundTrip(ctx, addr, req)
	if l, ok := res.(*listoffsets.Response); ok && err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, t := range l.Topics {
			for _, p := range t.Partitions {
				if t.Topic == s.topic && p.Timestamp == -1 {
					s.high[p.Partition] = p.Offset
				}
			}
		}
	}
	return res, err
}

// ends returns the high watermarks that were asked for last.
func (s *spy) ends() map[int32]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.high)
}

// zombies makes the writer whose batches were sent last go on in every partition, and returns when each has landed one more.
func (s *spy) zombies(t *testing.T, tr kafka.RoundTripper, addr net.Addr) []*zombie {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*zombie
	for part, set := range s.batches {
		z := &zombie{topic: s.topic, part: part, batch: bytes.Clone(set[4:]), ended: make(chan error, 1), first: make(chan struct{})}
		all = append(all, z)
		go func() { z.ended <- z.run(t.Context(), tr, addr) }()
	}
	if len(all) != fencePartitions {
		t.Fatalf("the flush went to %d partitions, want %d", len(all), fencePartitions)
	}
	for _, z := range all {
		select {
		case <-z.first:
		case err := <-z.ended:
			t.Fatalf("partition %d: the old writer ended before the successor came: %v", z.part, err)
		}
	}
	return all
}

// zombie is an old writer that produces to one partition until it is refused.
type zombie struct {
	topic   string
	part    int32
	batch   []byte
	offsets []int64 // of what landed
	first   chan struct{}
	ended   chan error
}

// stop waits until the zombie was refused, and returns where its batches landed.
func (z *zombie) stop(t *testing.T) []int64 {
	t.Helper()
	if err := <-z.ended; !errors.Is(err, kafka.InvalidProducerEpoch) && !errors.Is(err, kafka.ProducerFenced) {
		t.Fatalf("partition %d: the old writer ended with %v, want an epoch error", z.part, err)
	}
	return z.offsets
}

// Where a batch has its sequence number, its count and its checksum.
const (
	sequenceAt = 53
	countAt    = 57
	crcAt      = 17
	coveredAt  = 21
)

func (z *zombie) run(ctx context.Context, tr kafka.RoundTripper, addr net.Addr) error {
	be := binary.BigEndian
	for {
		be.PutUint32(z.batch[sequenceAt:], be.Uint32(z.batch[sequenceAt:])+be.Uint32(z.batch[countAt:]))
		be.PutUint32(z.batch[crcAt:], crc32.Checksum(z.batch[coveredAt:], crc32.MakeTable(crc32.Castagnoli)))
		set := append(be.AppendUint32(nil, uint32(len(z.batch))), z.batch...)
		res, err := tr.RoundTrip(ctx, addr, &rawproduce.Request{Acks: -1, Timeout: 5000, Topics: []rawproduce.RequestTopic{
			{Topic: z.topic, Partitions: []rawproduce.RequestPartition{{Partition: z.part, RecordSet: protocol.RawRecordSet{Reader: bytes.NewReader(set)}}}},
		}})
		if errors.Is(err, protocol.ErrNoTopic) { // metadata lag behind; nothing was sent
			be.PutUint32(z.batch[sequenceAt:], be.Uint32(z.batch[sequenceAt:])-be.Uint32(z.batch[countAt:]))
			continue
		}
		if err != nil {
			return err
		}
		p := res.(*produce.Response).Topics[0].Partitions[0]
		if p.ErrorCode != 0 {
			return kafka.Error(p.ErrorCode)
		}
		z.offsets = append(z.offsets, p.BaseOffset)
		if len(z.offsets) == 1 {
			close(z.first)
		}
	}
}
