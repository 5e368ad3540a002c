package kafkalog

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
)

// Values of megabytes among small ones, that shrink or do not, come back as they were, in order and with every compression; a
// successor finds them in its tail. What is larger than MaxMessageBytes is an error before anything of its flush is sent.
func TestHugeValues(t *testing.T) {
	noise := make([]byte, 5<<20)
	_, _ = rand.Read(noise)
	text := []byte(strings.Repeat("tea and milk, ", 200_000))
	for _, compression := range []string{"lz4", "zstd", "none"} {
		t.Run(compression, func(t *testing.T) {
			bothBrokers(t, func(t *testing.T, addrs []string) {
				name := pipeline()
				cfg := config(t, addrs, name)
				cfg.Compression, cfg.MaxMessageBytes, cfg.Partitions = compression, 8<<20, 2
				log := open(t, cfg)
				w, err := log.Begin(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				mark(t, w, 0)
				f := &eventstore.Flush{}
				f.Stamp.Add(1, "0-1-1")
				add := func(value []byte) {
					i := uint64(len(f.Records))
					f.Records = append(f.Records, eventstore.Record{Place: eventstore.Place{CSN: 1, Index: i}, Topic: "shop.stock",
						Key: fmt.Appendf(nil, `{"id":%d}`, i), Value: value})
				}
				for range 4 {
					for _, value := range [][]byte{[]byte("small"), noise, text, nil, text[:1<<20], noise[:1<<20], []byte("small")} {
						add(value)
					}
				}
				if err := w.Append(t.Context(), f); err != nil {
					t.Fatal(err)
				}
				next, err := log.Begin(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if landed := next.Start().Tail.Landed; len(landed) != 1 || landed[0] != 1 {
					t.Errorf("the successor's tail is %v, want transaction 1", landed)
				}
				mark(t, next, 1)
				got := 0
				for cut, err := range log.Cuts(t.Context(), eventstore.CutOptions{}) {
					if err != nil {
						t.Fatal(err)
					}
					for r, err := range cut.Records() {
						if err != nil {
							t.Fatal(err)
						}
						if want := f.Records[got]; r.Place != want.Place || !bytes.Equal(r.Key, want.Key) || !bytes.Equal(r.Value, want.Value) {
							t.Errorf("record %d is %v %s with %d bytes, want %v %s with %d", got, r.Place, r.Key, len(r.Value), want.Place, want.Key, len(want.Value))
						}
						got++
					}
					if cut.CSN == 1 {
						break
					}
				}
				if got != len(f.Records) {
					t.Errorf("%d records, want %d", got, len(f.Records))
				}

				_, adm := admin(t, addrs)
				before := count(t, adm, name+".shop.stock")
				g := &eventstore.Flush{}
				g.Stamp.Add(2, "0-1-2")
				for i, value := range [][]byte{[]byte("small"), bytes.Repeat(noise, 2), []byte("small")} {
					g.Records = append(g.Records, eventstore.Record{Place: eventstore.Place{CSN: 2, Index: uint64(i)}, Topic: "shop.stock", Key: []byte("k"), Value: value})
				}
				err = next.Append(t.Context(), g)
				if record, ok := errors.AsType[*eventstore.RecordError](err); !ok || record.Index != 1 {
					t.Errorf("too large: %v, want a RecordError of index 1", err)
				}
				if after := count(t, adm, name+".shop.stock"); after != before {
					t.Errorf("%d offsets of the refused flush were written", after-before)
				}
			})
		})
	}
}

// Brokers that would close the connection on the largest record are found at the start.
func TestBrokersWithSmallRequests(t *testing.T) {
	addrs := genuine.addrs(t)
	name := pipeline()
	cfg := config(t, addrs, name)
	cfg.MaxMessageBytes = 200 << 20 // a broker takes 100 MiB unless it is told otherwise
	_, err := open(t, cfg).Begin(t.Context())
	wrong, ok := errors.AsType[*kafkalog.SettingsError](err)
	if !ok {
		t.Fatalf("begin: %v, want a SettingsError", err)
	}
	d := wrong.Deviations[0]
	if !strings.HasPrefix(d.Topic, "broker ") || d.Setting != "socket.request.max.bytes" || d.Has != "104857600" || d.Wants != "at least 209719296" {
		t.Errorf("deviation %+v", d)
	}
	_, adm := admin(t, addrs)
	topics, err := adm.ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if topics.Has(name + ".watermark") {
		t.Error("the watermark topic was made all the same")
	}
}
