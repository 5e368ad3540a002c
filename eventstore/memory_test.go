package eventstore_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/eventstoretest"
)

const maxRecordBytes = 1 << 20

// memoryStore is a log in memory as several processes see it.
type memoryStore struct{ log *eventstore.MemoryLog }

func (s memoryStore) Open(_ *testing.T, network *eventstoretest.Network) eventstore.Log {
	if network == nil {
		return s.log
	}
	return eventstoretest.NewFaulty(s.log, network)
}

func TestMemoryLog(t *testing.T) {
	eventstoretest.TestLog(t, eventstoretest.Harness{
		MaxRecordBytes: maxRecordBytes,
		New: func(*testing.T) eventstoretest.Store {
			log := eventstore.NewMemoryLog()
			log.MaxRecordBytes = maxRecordBytes
			return memoryStore{log}
		},
	})
}

func TestMemoryLogClose(t *testing.T) {
	log := eventstore.NewMemoryLog()
	w, err := log.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Watermark(t.Context(), eventstore.Watermark{}); err != nil {
		t.Fatal(err)
	}
	var last error
	for _, err := range log.Cuts(t.Context(), eventstore.CutOptions{}) {
		if last = err; err == nil {
			log.Close()
		}
	}
	if want := "cuts: closed"; fmt.Sprint(last) != want {
		t.Errorf("cuts of a closed log end with %v, want %s", last, want)
	}
	if _, err := log.Begin(t.Context()); fmt.Sprint(err) != "begin: closed" {
		t.Errorf("begin on a closed log: %v", err)
	}
}

func ExampleNewMemoryLog() {
	ctx := context.Background()
	log := eventstore.NewMemoryLog()
	w, err := log.Begin(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	w.Watermark(ctx, eventstore.Watermark{CSN: 0}) // a new log's first record

	flush := &eventstore.Flush{Records: []eventstore.Record{
		{Place: eventstore.Place{CSN: 1, Index: 0}, Topic: "shop.stock", Key: []byte(`{"id":7}`), Value: []byte(`{"qty":3}`)},
	}}
	flush.Stamp.Add(1, "0-1-1")
	w.Append(ctx, flush)
	w.Watermark(ctx, eventstore.Watermark{CSN: 1, Position: eventstore.Position{Flavor: "mariadb", GTIDs: "0-1-1"}})

	for cut, err := range log.Cuts(ctx, eventstore.CutOptions{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for r, err := range cut.Records() {
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Printf("csn %d: %s %s %s\n", r.CSN, r.Topic, r.Key, r.Value)
		}
		if cut.CSN == 1 {
			break
		}
	}
	// Output: csn 1: shop.stock {"id":7} {"qty":3}
}
