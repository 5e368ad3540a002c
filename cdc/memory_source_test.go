package cdc_test

import (
	"testing"

	"github.com/millrace-go/millrace/cdc"
)

// TestMemoryMarks: a stream whose position has everything says that it is at the end, whoever asked for that when.
func TestMemoryMarks(t *testing.T) {
	source := shopSource(t, 5)
	from, err := source.Executed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stream, err := source.Open(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	stream.(cdc.MarkedStream).Marks(true)
	if mark, err := stream.Next(t.Context()); err != nil || mark.ID != "" || mark.Offset != 5 {
		t.Errorf("got %v, %v; want a mark behind the fifth transaction", mark, err)
	}
}
