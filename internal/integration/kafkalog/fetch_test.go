package kafkalog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/millrace-go/millrace/eventstore"
)

// start is when record i of a test was committed.
func start(i int) time.Time { return time.UnixMilli(1_790_000_000_000 + int64(i)) }

// noise returns a record of n bytes that do not compress.
func noise(csn eventstore.CSN, index uint64, n int) eventstore.Record {
	rng := rand.New(rand.NewPCG(uint64(csn), index))
	value := make([]byte, n)
	for i := range value {
		value[i] = byte(rng.Uint32())
	}
	return eventstore.Record{Place: eventstore.Place{CSN: csn, Index: index}, Topic: "shop.stock", Key: []byte("k"), Value: value}
}

// A fetch can bring nothing although the partition goes on: fence markers fill the reply, and the batch behind them is cut off by
// the limit of bytes. That is never the end, neither for a reader nor for a writer that reads the tail.
func TestFetchBringsNothingBelowTheEnd(t *testing.T) {
	const limit, size, markers = 100_000, 200_000, 20
	bothBrokers(t, func(t *testing.T, addrs []string) {
		name := pipeline()
		cfg := config(t, addrs, name)
		cfg.Partitions = 1
		log := open(t, cfg)
		w := begin(t, log)
		mark(t, w, 0)
		var last eventstore.CSN
		for last < 4 {
			last++
			f := &eventstore.Flush{Records: []eventstore.Record{noise(last, 0, size)}}
			f.Stamp.Add(last, fmt.Sprintf("0-1-%d", last))
			if err := w.Append(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			if last < 4 {
				mark(t, w, last)
			}
			for range markers {
				w = begin(t, log) // one marker each
			}
		}
		if tail := w.Start().Tail; tail.Highest() != last {
			t.Errorf("tail %+v, want transaction %d in it", tail, last)
		}
		mark(t, w, last)

		// What the helper of kafka-go makes of such a place, to know that the test has one.
		client := &kafka.Client{Addr: kafka.TCP(addrs...), Transport: transport(t)}
		res, err := client.Fetch(t.Context(), &kafka.FetchRequest{Topic: name + ".shop.stock", Offset: 1, MinBytes: 1, MaxBytes: limit, MaxWait: 100 * time.Millisecond})
		if err != nil || res.Error != nil {
			t.Fatal(err, res.Error)
		}
		if r, err := res.Records.ReadRecord(); err == nil {
			t.Logf("kafka-go's fetch brings offset %d at once", r.Offset)
		} else if res.HighWatermark <= 1+markers {
			t.Errorf("high watermark %d, want it beyond the markers", res.HighWatermark)
		} else {
			t.Logf("kafka-go's fetch brings nothing below the high watermark %d", res.HighWatermark)
		}

		for after := range last {
			next := after
			for c, err := range log.Cuts(t.Context(), eventstore.CutOptions{After: after, MaxBytes: limit}) {
				if err != nil {
					t.Fatal(err)
				}
				for r, err := range c.Records() {
					if err != nil {
						t.Fatal(err)
					}
					if next++; r.CSN != next || string(r.Value) != string(noise(next, 0, size).Value) {
						t.Errorf("csn %d, want %d with its value", r.CSN, next)
					}
				}
				if c.CSN == last {
					break
				}
			}
			if next != last {
				t.Errorf("after %d: read up to %d, want %d", after, next, last)
			}
		}
	})
}

// What was fetched and not yet delivered stays within the budget, however slow the reader and however uneven the partitions.
func TestBoundedMemory(t *testing.T) {
	const flushes, records, size, limit = 40, 50, 10_000, 1 << 20
	addrs := fake.addrs(t)
	cfg := config(t, addrs, pipeline())
	log := open(t, cfg)
	w := begin(t, log)
	mark(t, w, 0)
	for csn := eventstore.CSN(1); csn <= flushes; csn++ {
		f := &eventstore.Flush{}
		f.Stamp.Add(csn, fmt.Sprintf("0-1-%d", csn))
		for i := range uint64(records) {
			r := noise(csn, i, size)
			if i%5 == 0 {
				r.Key = fmt.Appendf(nil, "%d", i) // four in five go to one partition
			}
			f.Records = append(f.Records, r)
		}
		if err := w.Append(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	mark(t, w, flushes)

	var received atomic.Int64
	tr := transport(t)
	tr.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &metered{c, &received}, err
	}
	cfg.Transport = tr
	delivered, ahead, n := int64(0), int64(0), 0
	for c, err := range open(t, cfg).Cuts(t.Context(), eventstore.CutOptions{MaxBytes: limit}) {
		if err != nil {
			t.Fatal(err)
		}
		for r, err := range c.Records() {
			if err != nil {
				t.Fatal(err)
			}
			n++
			delivered += int64(len(r.Value))
			ahead = max(ahead, received.Load()-delivered)
		}
		if c.CSN == flushes {
			break
		}
	}
	t.Logf("%d MB in all; at most %d kB were fetched and not delivered", delivered>>20, ahead>>10)
	// The budget, a reply in hand, and for each partition a batch (half a megabyte), which is never cut.
	if bound := int64(limit + limit + 4*records*size); n != flushes*records || ahead > bound {
		t.Errorf("%d records; %d bytes ahead, want at most %d", n, ahead, bound)
	}
}

// metered counts what a connection reads.
type metered struct {
	net.Conn
	n *atomic.Int64
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.n.Add(int64(n))
	return n, err
}

// A reader begins near its progress, however long the watermark topic is, and whether the watermarks are full or not.
func TestResumeInALongLog(t *testing.T) {
	const n = 3000
	addrs := fake.addrs(t)
	name := pipeline()
	cfg := config(t, addrs, name)
	cfg.Partitions = 80 // too many for every watermark to be full
	log := open(t, cfg)
	w := begin(t, log)
	mark(t, w, 0)
	for csn := eventstore.CSN(1); csn <= n; csn++ {
		if csn%10 == 0 {
			f := &eventstore.Flush{Records: []eventstore.Record{noise(csn, 0, 10)}}
			f.Records[0].Key = fmt.Appendf(nil, "%d", csn)
			f.Stamp.Add(csn, fmt.Sprintf("0-1-%d", csn))
			if err := w.Append(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		}
		mark(t, w, csn)
		if csn == n/2 {
			w = begin(t, log)
			if got := w.Start().Watermark; got.CSN != csn || len(got.Ends) != 80 {
				t.Fatalf("start at %d with %d ends", got.CSN, len(got.Ends))
			}
		}
	}
	for _, after := range []eventstore.CSN{0, 1, 9, 10, 11, 777, n/2 - 1, n / 2, n/2 + 1, n - 1, n} {
		counting := &counter{next: transport(t)}
		cfg.Transport = counting
		if got, want := readAll(t, open(t, cfg), after, n), int(n/10-after/10); got != want {
			t.Errorf("after %d: %d records, want %d", after, got, want)
		}
		t.Logf("after %d: %d requests", after, counting.n.Load())
		if after > n-2 && counting.n.Load() > 40 {
			t.Errorf("a reader that is nearly up to date made %d requests", counting.n.Load())
		}
	}
}
