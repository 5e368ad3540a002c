package cdc_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

// boundedSource notes the bound that the relay gives it, and watches that a huge row is alone in memory.
type boundedSource struct {
	*cdc.MemorySource
	t     *testing.T
	bound int
	huge  int // bytes from which on a row must be alone
	// of the slice that Next returned last
	size     int
	released bool
	rows     int
	appended func() int // rows that the log has
}

func (s *boundedSource) OpenBounded(ctx context.Context, from cdc.Position, maxBytes int) (cdc.Stream, error) {
	s.bound = maxBytes
	stream, err := s.Open(ctx, from)
	return &boundedStream{stream, s}, err
}

type boundedStream struct {
	cdc.Stream
	source *boundedSource
}

func (st *boundedStream) Next(ctx context.Context) (*cdc.Slice, error) {
	s := st.source
	if s.size > s.huge && !s.released {
		s.t.Errorf("row %d of %d bytes was not released", s.rows, s.size)
	}
	if has := s.appended(); s.size > s.huge && has != s.rows {
		s.t.Errorf("the next slice is asked for when %d of %d rows are appended and the last one is huge", has, s.rows)
	}
	slice, err := st.Stream.Next(ctx)
	if err == nil {
		s.size, s.released = 0, false
		for _, c := range slice.Changes {
			s.size += len(c.Before) + len(c.After)
			s.rows++
		}
	}
	return slice, err
}

func (st *boundedStream) Release() { st.source.released = true }

// TestRelayHugeRows: the source gets the relay's bound, and of rows larger than a flush one is in memory.
func TestRelayHugeRows(t *testing.T) {
	const flush = 1 << 16
	memory, log := newSource(t, 1), eventstore.NewMemoryLog()
	table := &cdc.Table{Schema: "shop", Name: "stock", Columns: []cdc.Column{{Name: "id"}, {Name: "body"}}, Key: []int{0}}
	row := func(size int) cdc.Change {
		return cdc.Change{Table: table, Op: cdc.Create, Key: []byte(`{"id":1}`), After: append([]byte(`{"id":1,"body":"`), append(bytes.Repeat([]byte("x"), size), `"}`...)...)}
	}
	memory.Commit(row(10), row(20))
	memory.Commit(row(5*flush), row(5*flush), row(10))
	memory.Commit(row(flush))
	memory.Commit(row(5*flush), row(10), row(5*flush))
	memory.Commit(row(10))
	appended := make(chan int, 1)
	appended <- 0
	source := &boundedSource{MemorySource: memory, t: t, huge: 3 * flush, appended: func() int {
		n := <-appended
		appended <- n
		return n - 1 // the table's definition
	}}
	relay := newRelay(t, cdc.Config{Source: source, Log: log, MaxBytes: 16 * flush, Hooks: cdc.Hooks{Flushed: func(i cdc.FlushInfo) {
		appended <- <-appended + i.Records
	}}})
	untilCaughtUp(t, relay, memory, log)
	if source.bound != 16*flush {
		t.Errorf("the source's bound is %d, want %d", source.bound, 16*flush)
	}
	if source.rows != 10 {
		t.Errorf("%d rows read, want 10", source.rows)
	}
}

func TestMaxBytesTooSmall(t *testing.T) {
	_, err := cdc.NewRelay(cdc.Config{Source: newSource(t, 1), Log: eventstore.NewMemoryLog(), MaxBytes: 1000})
	if err == nil || !strings.Contains(err.Error(), "MaxBytes is 1000, want at least 1048576") {
		t.Errorf("got %v", err)
	}
}
