package kafkalog_test

import (
	"errors"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
)

// TestZeroLog: a log that New has not made is as one that is closed.
func TestZeroLog(t *testing.T) {
	ctx, log := t.Context(), new(kafkalog.Log)
	_, begin := log.Begin(ctx)
	_, _, head := log.Head(ctx)
	_, lead := log.Lead(ctx, eventstore.Contender{})
	var cuts error
	for _, err := range log.Cuts(ctx, eventstore.CutOptions{}) {
		cuts = err
	}
	for name, err := range map[string]error{"begin": begin, "head": head, "lead": lead, "cuts": cuts} {
		if !errors.Is(err, eventstore.ErrClosed) {
			t.Errorf("%s: got %v, want %v", name, err, eventstore.ErrClosed)
		}
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}
