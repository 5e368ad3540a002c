package kafkalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/millrace-go/millrace/eventstore"
)

// sample returns records of every shape that a batch can hold.
func sample() []eventstore.Record {
	at := time.Date(2026, 3, 14, 15, 9, 26, 535_000_000, time.UTC)
	return []eventstore.Record{
		{Place: eventstore.Place{CSN: 7, Index: 0}, Key: []byte(`{"id":1}`), Value: []byte(`{"op":"c"}`), Time: at},
		{Place: eventstore.Place{CSN: 7, Index: 5}, Key: []byte(`{"id":2}`), Value: nil, Time: at},
		{Place: eventstore.Place{CSN: 8, Index: 0}, Key: []byte(`{"id":3}`), Value: []byte{}, Time: at.Add(-time.Hour)},
		{Place: eventstore.Place{CSN: 1<<64 - 1, Index: 1<<64 - 1}, Key: nil, Value: make([]byte, 70_000), Time: time.Time{}},
	}
}

func encodeSample(t testing.TB, compression string) []byte {
	t.Helper()
	codec, err := codecOf(compression)
	if err != nil {
		t.Fatal(err)
	}
	var b builder
	for i, r := range sample() {
		var stamp []byte
		if i == 0 {
			stamp = []byte(`{"log":"x"}`)
		}
		b.add(&r, nil, stamp)
	}
	set, err := b.seal(nil, codec, producerID{4711, 3}, 1<<31-2)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestBatchRoundTrip(t *testing.T) {
	for _, compression := range []string{"none", "lz4", "zstd", "snappy", "gzip"} {
		t.Run(compression, func(t *testing.T) {
			set := encodeSample(t, compression)
			if compression != "none" && len(set) > 5000 {
				t.Errorf("70 kB of zeros take %d bytes", len(set))
			}
			binary.BigEndian.PutUint64(set, 1000) // as the broker does
			b, size, err := nextBatch(append(set, "the next batch"...), nil)
			if err != nil {
				t.Fatal(err)
			}
			if size != len(set) || b.base != 1000 || b.last != 1003 || b.producer != (producerID{4711, 3}) || b.control {
				t.Errorf("batch %+v of %d bytes, want offsets 1000 to 1003 of producer 4711/3 in %d", b, size, len(set))
			}
			var r record
			for i, want := range sample() {
				ok, err := b.next(&r)
				if !ok || err != nil {
					t.Fatalf("record %d: %v, %v", i, ok, err)
				}
				got := eventstore.Record{Place: r.Place, Key: r.key, Value: r.value, Time: timeOf(r.time).UTC()}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("record %d (-want +got):\n%s", i, diff)
				}
				if r.offset != int64(1000+i) || !r.numbered || (r.stamp != nil) != (i == 0) {
					t.Errorf("record %d: offset %d, numbered %v, stamp %s", i, r.offset, r.numbered, r.stamp)
				}
			}
			if ok, err := b.next(&r); ok || err != nil {
				t.Errorf("after the last record: %v, %v", ok, err)
			}
		})
	}
}

// kafka-go, which shares no code with the encoder, reads the same.
func TestBatchAsKafkaGoReadsIt(t *testing.T) {
	set := encodeSample(t, "none")
	wire := append(binary.BigEndian.AppendUint32(nil, uint32(len(set))), set...)
	var rs protocol.RecordSet
	if _, err := rs.ReadFrom(&wireReader{wire}); err != nil {
		t.Fatal(err)
	}
	for i, want := range sample() {
		r, err := rs.Records.ReadRecord()
		if err != nil {
			t.Fatal(err)
		}
		key, _ := protocol.ReadAll(r.Key)
		value, _ := protocol.ReadAll(r.Value)
		if string(key) != string(want.Key) || string(value) != string(want.Value) || (r.Value == nil) != (want.Value == nil) {
			t.Errorf("record %d: key %q value of %d bytes", i, key, len(value))
		}
		if got, want := string(r.Headers[0].Value), fmt.Sprint(uint64(want.CSN)); r.Headers[0].Key != csnHeader || got != want {
			t.Errorf("record %d: header %s is %s, want csn %s", i, r.Headers[0].Key, got, want)
		}
	}
}

type wireReader struct{ data []byte }

func (r *wireReader) Read(p []byte) (int, error) {
	n := copy(p, r.data)
	r.data = r.data[n:]
	return n, nil
}

func TestBatchCutOff(t *testing.T) {
	set := encodeSample(t, "none")
	for _, n := range []int{0, 5, 12, 60, len(set) - 1} {
		b, need, err := nextBatch(set[:n], nil)
		if b != nil || err != nil || n >= prefixBytes && need != len(set) {
			t.Errorf("%d of %d bytes: batch %v, need %d, %v", n, len(set), b, need, err)
		}
	}
	set[len(set)-1] ^= 1
	if _, _, err := nextBatch(set, nil); !errors.Is(err, errMalformed) {
		t.Errorf("a flipped bit: %v, want errMalformed", err)
	}
}

// TestLZ4Blocks: readers of an lz4 frame make room for a block of the size that its head names.
func TestLZ4Blocks(t *testing.T) {
	set := encodeSample(t, "lz4")
	const magic, blockSize64KiB = 0x184d2204, 4
	frame := set[headerBytes:]
	if got := binary.LittleEndian.Uint32(frame); got != magic {
		t.Fatalf("no lz4 frame: %x", got)
	}
	if got := frame[5] >> 4; got != blockSize64KiB {
		t.Errorf("block size %d, want %d", got, blockSize64KiB)
	}
}

func TestVarintLen(t *testing.T) {
	for shift := range 64 {
		for _, n := range []int64{1 << shift, 1<<shift - 1, -1 << shift, 1<<shift + 1} {
			if got, want := varintLen(n), len(binary.AppendVarint(nil, n)); got != want {
				t.Errorf("varintLen(%d) = %d, want %d", n, got, want)
			}
		}
	}
}

// FuzzBatch: no bytes make the decoder fail in another way than by an error, or read beyond them.
func FuzzBatch(f *testing.F) {
	for _, compression := range []string{"none", "lz4"} {
		f.Add(encodeSample(f, compression), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, mend bool) {
		if mend && len(data) > headerBytes { // so that what is behind the checksum is reached
			binary.BigEndian.PutUint32(data[atLength:], uint32(len(data)-prefixBytes))
			binary.BigEndian.PutUint32(data[atCRC:], crc32.Checksum(data[atAttributes:], castagnoli))
		}
		b, size, err := nextBatch(data, nil)
		if err != nil || b == nil {
			return
		}
		if size > len(data) {
			t.Fatalf("batch of %d bytes in %d", size, len(data))
		}
		var r record
		for range len(data) + len(b.records) + 1 {
			if ok, err := b.next(&r); !ok || err != nil {
				return
			}
		}
		t.Fatal("more records than bytes")
	})
}

func BenchmarkEncode(b *testing.B) {
	r := sample()[0]
	r.Value = make([]byte, 300)
	var build builder
	var set []byte
	b.ReportAllocs()
	b.SetBytes(300)
	for i := 0; i < b.N; i++ {
		r.Index = uint64(i)
		build.add(&r, nil, nil)
		if len(build.raw) > batchBytes {
			set, _ = build.seal(set, nil, producerID{1, 1}, 0)
			build.reset()
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	var build builder
	r := sample()[0]
	r.Value = make([]byte, 300)
	for i := range 1000 {
		r.Index = uint64(i)
		build.add(&r, nil, nil)
	}
	set, err := build.seal(nil, nil, producerID{1, 1}, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(300)
	for i := 0; i < b.N; i += 1000 {
		batch, _, err := nextBatch(set, nil)
		if err != nil {
			b.Fatal(err)
		}
		var out record
		for {
			if ok, err := batch.next(&out); !ok || err != nil {
				break
			}
		}
	}
}
