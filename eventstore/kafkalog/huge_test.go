package kafkalog

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"

	"github.com/millrace-go/millrace/eventstore"
)

// A batch with a huge value is the same batch as one that is built as a whole, whether it shrinks or not.
func TestHugeBatch(t *testing.T) {
	noise := make([]byte, hugeValue)
	_, _ = rand.Read(noise)
	half := append(bytes.Repeat([]byte("tea and milk, "), hugeValue/14), noise...)
	for _, c := range []struct {
		name, compression string
		value             []byte
		shrinks           bool
	}{
		{"none", "none", half, false},
		{"noise", "lz4", noise, false},
		{"noise", "gzip", noise, false},
		{"base64", "zstd", []byte(base64.StdEncoding.EncodeToString(noise)), false},
		{"text", "lz4", bytes.Repeat([]byte("tea and milk, "), hugeValue/10), true},
		{"text", "snappy", bytes.Repeat([]byte("tea and milk, "), hugeValue/10), true},
		{"half", "zstd", half, true},
	} {
		t.Run(c.name+" "+c.compression, func(t *testing.T) {
			codec, err := codecOf(c.compression)
			if err != nil {
				t.Fatal(err)
			}
			var b builder
			want := eventstore.Record{Place: eventstore.Place{CSN: 7, Index: 4}, Key: []byte(`{"id":1}`), Value: c.value}
			b.add(&want, nil, []byte(`{"log":"x"}`))
			head, rest, err := b.sealHuge(nil, codec, producerID{4711, 3}, 9)
			if err != nil {
				t.Fatal(err)
			}
			b.reset()
			b.raw = append(b.raw, bytes.Repeat([]byte{0xff}, 1000)...) // the next batch
			set := append(bytes.Clone(head), bytes.Join(rest, nil)...)
			if got := len(set) < len(c.value)*7/8; got != c.shrinks {
				t.Errorf("%d bytes take %d, want them to shrink: %v", len(c.value), len(set), c.shrinks)
			}
			if lone := len(rest) > 0 && &rest[0][0] == &c.value[0]; lone == c.shrinks {
				t.Errorf("the value itself is part of the batch: %v", lone)
			}
			batch, size, err := nextBatch(set, nil)
			if err != nil || size != len(set) {
				t.Fatalf("batch of %d bytes: read %d, %v", len(set), size, err)
			}
			var r record
			if ok, err := batch.next(&r); !ok || err != nil {
				t.Fatal(ok, err)
			}
			if r.Place != want.Place || !bytes.Equal(r.key, want.Key) || !bytes.Equal(r.value, want.Value) || r.stamp == nil {
				t.Errorf("record %v %s, value of %d bytes, stamp %s", r.Place, r.key, len(r.value), r.stamp)
			}
			if ok, err := batch.next(&r); ok || err != nil {
				t.Errorf("after the record: %v, %v", ok, err)
			}
		})
	}
}

// The request in parts is what kafka-go's own encoder makes of the same batch.
func TestHugeRequest(t *testing.T) {
	e := &encoded{bytes: []byte("head "), rest: [][]byte{[]byte("value "), []byte("tail")}}
	at := eventstore.Partition{Topic: "p.shop.stock", Number: 3}
	ours, theirs := net.Pipe()
	defer ours.Close()
	sent := make(chan []byte, 1)
	go func() {
		defer theirs.Close()
		var size [4]byte
		if _, err := io.ReadFull(theirs, size[:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(size[:]))
		_, _ = io.ReadFull(theirs, body)
		sent <- append(size[:], body...)
		reply := binary.BigEndian.AppendUint32(nil, fetchCorrelation)
		reply = binary.BigEndian.AppendUint32(reply, 1)
		reply = append(append(binary.BigEndian.AppendUint16(reply, uint16(len(at.Topic))), at.Topic...), 0, 0, 0, 1, 0, 0, 0, 3, 0, 0)
		reply = binary.BigEndian.AppendUint64(reply, 4711)
		reply = append(reply, make([]byte, 20)...)
		_, _ = theirs.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(reply))), reply...))
	}()
	res, err := newHugeRequest(at, e).RawExchange(ours)
	if err != nil {
		t.Fatal(err)
	}
	if p := res.(*produce.Response).Topics[0].Partitions[0]; p.BaseOffset != 4711 || p.Partition != 3 || p.ErrorCode != 0 {
		t.Errorf("reply %+v", p)
	}
	plain := produceRequest(at, recordSet([]byte("head value tail")))
	var want bytes.Buffer
	if err := protocol.WriteRequest(&want, produceVersion, fetchCorrelation, "", &plain); err != nil {
		t.Fatal(err)
	}
	// kafka-go writes an empty client id where we write none.
	wire := bytes.Replace(want.Bytes(), []byte("mill\x00\x00"), []byte("mill\xff\xff"), 1)
	if diff := cmp.Diff(wire, <-sent); diff != "" {
		t.Errorf("request (-kafka-go +ours):\n%s", diff)
	}
	if _, err := (&hugeRequest{Request: plain, head: e.bytes}).RawExchange(ours); err == nil {
		t.Error("a closed connection is no error")
	}
}

func TestHugeReplyMalformed(t *testing.T) {
	good := binary.BigEndian.AppendUint32(nil, fetchCorrelation)
	good = append(good, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)
	if _, err := decodeProduced(good); err != nil {
		t.Fatal(err)
	}
	for n := range good {
		if _, err := decodeProduced(good[:n]); err == nil {
			t.Errorf("%d of %d bytes are no error", n, len(good))
		}
	}
}
