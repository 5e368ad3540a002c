package kafkalog

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
)

// batchAt returns a batch of n records whose first has the offset base, as a broker sends it.
func batchAt(t *testing.T, base int64, n int) []byte {
	t.Helper()
	var b builder
	for i := range n {
		b.add(&eventstore.Record{Place: eventstore.Place{CSN: 1, Index: uint64(i)}, Key: []byte("k"), Value: []byte("v")}, nil, nil)
	}
	raw, err := b.seal(nil, nil, producerID{1, 0}, 0)
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint64(raw, uint64(base)) // the checksum does not cover it
	return raw
}

// A reader that finds holes in a partition says that records are gone: a topic was compacted behind the log's back.
func TestHoles(t *testing.T) {
	thinned := batchAt(t, 2, 3)
	binary.BigEndian.PutUint32(thinned[atLastDelta:], 4) // of five records two are gone
	binary.BigEndian.PutUint32(thinned[atCRC:], crc32.Checksum(thinned[atAttributes:], castagnoli))
	for _, tt := range []struct {
		name string
		data [][]byte
		lost bool
	}{
		{"none", [][]byte{batchAt(t, 0, 2), batchAt(t, 2, 3)}, false},
		{"from the middle of a batch", [][]byte{batchAt(t, 0, 5)}, false},
		{"between two batches", [][]byte{batchAt(t, 0, 2), batchAt(t, 3, 2)}, true},
		{"at the beginning", [][]byte{batchAt(t, 2, 2)}, true},
		{"in a batch", [][]byte{batchAt(t, 0, 2), thinned}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log, err := New(Config{Brokers: []string{"localhost:9092"}, Pipeline: "p"})
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			f := newFetcher(log, eventstore.CutOptions{})
			part := eventstore.Partition{Topic: "p.shop.stock"}
			s := f.open(part, "shop.stock", 1)
			got := &fetchedPartition{Partition: part, high: 5}
			for _, b := range tt.data {
				got.batches = append(got.batches, b...)
			}
			err = f.answered(question{stream: s, ask: s.ask, quota: 1 << 20, limit: 5}, got, true)
			if errors.Is(err, eventstore.ErrPositionLost) != tt.lost || !tt.lost && err != nil {
				t.Errorf("got %v, want lost %v", err, tt.lost)
			}
		})
	}
}
