package model

import (
	"context"
	"fmt"
	"slices"

	"github.com/millrace-go/millrace/eventstore"
)

// Session is the relay's own code, without its goroutines: what a relay writes that finds start in the log and follows server, and takes
// takes[i] into its i-th flush behind the tail.
type Session func(start eventstore.Start, server *Server, takes []Take) Script

// Take is what goes into a flush: slices of the stream, and chunks that are placed between them.
type Take struct {
	Slices int
	// View, if it is not 0, lets a chunk begin to be read before the first slice: its view has View-1 transactions more than the stream
	// has given by then.
	View int
}

// Script is what a relay writes, in this order: each only when the one before is acknowledged.
type Script struct {
	Ops []Op
	// Short tells that the last take did not get what it asked for: the stream has no more, or the flush took no more.
	Short bool
	// Halt is why the relay stops for good.
	Halt error
}

// Op is one call of the log's writer: a flush, or a watermark.
type Op struct {
	Flush *eventstore.Flush
	Mark  *eventstore.Watermark
}

// Recorder is an [eventstore.Writer] that writes nothing and keeps the calls.
type Recorder struct {
	start  eventstore.Start
	server *Server
	Ops    []Op
}

var _ eventstore.Writer = (*Recorder)(nil)

// NewRecorder returns the writer of a relay that finds start.
func NewRecorder(start eventstore.Start, server *Server) *Recorder {
	return &Recorder{start: start, server: server}
}

// Start implements [eventstore.Writer].
func (r *Recorder) Start() eventstore.Start { return r.start }

// Partition implements [eventstore.Writer].
func (r *Recorder) Partition(topic string, key []byte) int32 {
	return r.server.name(partitionOf(topic, key)).Number
}

// Append implements [eventstore.Writer].
func (r *Recorder) Append(_ context.Context, f *eventstore.Flush) error {
	kept := &eventstore.Flush{Stamp: eventstore.Stamp{Config: f.Stamp.Config, Runs: slices.Clone(f.Stamp.Runs)}}
	for _, rec := range f.Records {
		rec.Key, rec.Value = slices.Clone(rec.Key), slices.Clone(rec.Value)
		kept.Records = append(kept.Records, rec)
	}
	r.Ops = append(r.Ops, Op{Flush: kept})
	return nil
}

// Watermark implements [eventstore.Writer]. A watermark that falls is refused, as logs do.
func (r *Recorder) Watermark(_ context.Context, w eventstore.Watermark) error {
	last := r.start.Watermark
	for _, op := range r.Ops {
		if op.Mark != nil {
			last = *op.Mark
		}
	}
	if err := w.Follows(last); err != nil {
		return fmt.Errorf("watermark: %w", err)
	}
	w.Position.Prepared = slices.Clone(w.Position.Prepared)
	r.Ops = append(r.Ops, Op{Mark: &w})
	return nil
}

// Close implements [eventstore.Writer].
func (r *Recorder) Close() error { return nil }
