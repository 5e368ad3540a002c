package eventstore_test

import (
	"testing"

	"github.com/millrace-go/millrace/eventstore"
)

// TestZeroMemoryLog: the zero value is an empty log.
func TestZeroMemoryLog(t *testing.T) {
	ctx, log := t.Context(), &eventstore.MemoryLog{Partitions: 2}
	if _, found, err := log.Head(ctx); err != nil || found {
		t.Errorf("head: %v, %v", found, err)
	}
	turn, err := log.Lead(ctx, eventstore.Contender{Patience: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := turn.Resign(ctx); err != nil {
		t.Error(err)
	}
	w, err := log.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Watermark(ctx, eventstore.Watermark{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Append(ctx, &eventstore.Flush{Records: []eventstore.Record{{Place: eventstore.Place{CSN: 1}, Topic: "a", Value: []byte("1")}}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Watermark(ctx, eventstore.Watermark{CSN: 1}); err != nil {
		t.Fatal(err)
	}
	for cut, err := range log.Cuts(ctx, eventstore.CutOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n := len(cut.Watermark.Ends); cut.CSN == 1 && n != 2 {
			t.Errorf("%d partitions, want 2", n)
		}
		if cut.CSN == 1 {
			break
		}
	}
	if err := new(eventstore.MemoryLog).Close(); err != nil {
		t.Error(err)
	}
}

// TestNil: nothing panics that is given nothing.
func TestNil(t *testing.T) {
	for name, err := range map[string]error{
		"ParseRow":                eventstore.ParseRow(nil, nil),
		"ParseRow into nothing":   eventstore.ParseRow(&eventstore.Record{Value: []byte("{}")}, nil),
		"ParseSchema":             eventstore.ParseSchema(nil, &eventstore.SchemaChange{}),
		"BlobDir of nowhere":      new(eventstore.BlobDir).Put(t.Context(), "ab", nil),
		"no BlobDir":              (*eventstore.BlobDir)(nil).Put(t.Context(), "ab", nil),
		"a table that is null":    parseSnapshot(`{"tables":[null]}`),
		"a range that is null":    parseSnapshot(`{"tables":[{"db":"a","table":"b","ranges":[null]}]}`),
		"a snapshot of something": parseSnapshot(`7`),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	new(eventstore.Schemas).Observe(nil)
	_ = eventstore.AppendRow(nil, nil)
	_ = eventstore.AppendSchema(nil, nil)
}

func parseSnapshot(text string) error {
	_, err := eventstore.ParseSnapshot(text)
	return err
}
