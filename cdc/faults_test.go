package cdc_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

var errInjected = fmt.Errorf("injected: %w", eventstore.ErrUnavailable)

// faultyLog fails at random calls, seeded. A failing Append lands nothing, everything, or only some partitions' records.
type faultyLog struct {
	eventstore.Log
	rnd  *rand.Rand // used by one relay at a time
	rate float64    // of calls that fail
	left atomic.Int64
	// stamped, where set, notes which transaction has which number.
	stamped map[eventstore.CSN]string
}

func (l *faultyLog) fails() bool {
	return l.rnd.Float64() < l.rate && l.left.Add(-1) >= 0
}

func (l *faultyLog) Begin(ctx context.Context) (eventstore.Writer, error) {
	if l.fails() {
		return nil, errInjected
	}
	w, err := l.Log.Begin(ctx)
	if l.stamped != nil && err == nil { // what did not land was never numbered
		start := w.Start()
		maps.DeleteFunc(l.stamped, func(csn eventstore.CSN, _ string) bool { return csn > start.Watermark.CSN })
		if start.Tail.Stamp != nil {
			maps.Insert(l.stamped, start.Tail.Stamp.All())
		}
	}
	return &faultyWriter{w, l}, err
}

type faultyWriter struct {
	eventstore.Writer
	log *faultyLog
}

func (w *faultyWriter) Append(ctx context.Context, f *eventstore.Flush) error {
	if w.log.stamped != nil {
		maps.Insert(w.log.stamped, f.Stamp.All())
	}
	if !w.log.fails() {
		return w.Writer.Append(ctx, f)
	}
	landing := map[eventstore.Partition]bool{}
	some := eventstore.Flush{Stamp: eventstore.Stamp{Config: f.Stamp.Config, Runs: slices.Clone(f.Stamp.Runs)}}
	odds := w.log.rnd.Float64()
	for _, rec := range f.Records {
		p := eventstore.Partition{Topic: rec.Topic, Number: w.Partition(rec.Topic, rec.Key)}
		if _, drawn := landing[p]; !drawn {
			landing[p] = w.log.rnd.Float64() < odds
		}
		if landing[p] {
			some.Records = append(some.Records, rec)
		}
	}
	if len(some.Records) > 0 {
		if err := w.Writer.Append(ctx, &some); err != nil {
			return err
		}
	}
	return errInjected
}

func (w *faultyWriter) Watermark(ctx context.Context, mark eventstore.Watermark) error {
	if !w.log.fails() {
		return w.Writer.Watermark(ctx, mark)
	}
	if w.log.rnd.IntN(2) == 0 {
		if err := w.Writer.Watermark(ctx, mark); err != nil { // it lands, the answer does not
			return err
		}
	}
	return errInjected
}

// faultySource cuts streams at random slices.
type faultySource struct {
	cdc.Source
	rnd  *rand.Rand
	rate float64
	left atomic.Int64
}

func (s *faultySource) Open(ctx context.Context, from cdc.Position) (cdc.Stream, error) {
	stream, err := s.Source.Open(ctx, from)
	return &faultyStream{stream, s}, err
}

type faultyStream struct {
	cdc.Stream
	source *faultySource
}

func (st *faultyStream) Next(ctx context.Context) (*cdc.Slice, error) {
	if st.source.rnd.Float64() < st.source.rate && st.source.left.Add(-1) >= 0 {
		return nil, errors.Join(errors.New("cut"), cdc.ErrUnavailable)
	}
	return st.Stream.Next(ctx)
}

// reordered is another server with the same transactions: neighbours are swapped where they do not touch the same row.
type reordered struct {
	cdc.Source
	rnd *rand.Rand
}

func (r *reordered) Open(ctx context.Context, from cdc.Position) (cdc.Stream, error) {
	stream, err := r.Source.Open(ctx, from)
	return &swapping{Stream: stream, rnd: r.rnd}, err
}

// swapping delivers every second pair of transactions the other way round. It reads ahead one transaction, so it needs a source that
// goes on.
type swapping struct {
	cdc.Stream
	rnd   *rand.Rand
	ready []*cdc.Slice
}

func (st *swapping) Next(ctx context.Context) (*cdc.Slice, error) {
	if len(st.ready) == 0 {
		a, err := st.transaction(ctx)
		if err != nil {
			return nil, err
		}
		if st.rnd.IntN(2) == 0 {
			b, err := st.transaction(ctx)
			if err != nil {
				return nil, err
			}
			if touches(a, b) {
				st.ready = append(a, b...)
			} else {
				st.ready = append(b, a...)
			}
		} else {
			st.ready = a
		}
	}
	next := st.ready[0]
	st.ready = st.ready[1:]
	return next, nil
}

func (st *swapping) transaction(ctx context.Context) ([]*cdc.Slice, error) {
	var all []*cdc.Slice
	for {
		slice, err := st.Stream.Next(ctx)
		if err != nil {
			return nil, err
		}
		own := *slice
		own.Changes = slices.Clone(slice.Changes)
		if all = append(all, &own); slice.Last {
			return all, nil
		}
	}
}

func touches(a, b []*cdc.Slice) bool {
	if p := a[len(a)-1].Prepared; p != nil && p.XID == b[len(b)-1].Completed {
		return true
	}
	if len(a[0].Schema)+len(b[0].Schema) > 0 {
		return true // a lock orders a statement against everything of its table
	}
	seen := map[string]bool{}
	for _, s := range a {
		for _, c := range s.Changes {
			seen[c.Table.Name+string(c.Key)] = true
			seen[c.Table.Name+string(c.OldKey)] = true
		}
	}
	for _, s := range b {
		for _, c := range s.Changes {
			if seen[c.Table.Name+string(c.Key)] || c.OldKey != nil && seen[c.Table.Name+string(c.OldKey)] {
				return true
			}
		}
	}
	return false
}
