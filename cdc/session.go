package cdc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/gtid"
	"github.com/millrace-go/millrace/internal/reclaim"
	"github.com/millrace-go/millrace/internal/safeguard"
)

// session is one life of a relay: from taking over the log to the first error. Numbers in comments are the steps of
// docs/decisions/0002-relay-protocol.md.
type session struct {
	Config
	rules   *rules
	config  string // id of everything that decides about records
	logger  *slog.Logger
	servers *servers
	turn    *turn

	writer eventstore.Writer
	last   eventstore.Watermark // the last one written or found
	tables *definitions
	// snapshots are those of the server that is followed; nil where it cannot be read beside its stream.
	snapshots *snapshots
	reached   atomic.Pointer[Position] // the position of last, for the watch and for who asks for a snapshot
	asked     *asked                   // the relay's
	running   bool                     // has read from the stream: an error that may pass is worth a new session
	draining  bool                     // the context has ended and what is in hand is being written
}

// run returns nil only after a clean drain.
func (s *session) run(ctx context.Context) (err error) {
	s.writer, err = s.Log.Begin(ctx) // 5–10
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { err = errors.Join(err, s.writer.Close()) }()
	if err := s.firstWatermark(ctx); err != nil {
		return err
	}
	stream, tail, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	if err := s.prepareSnapshots(); err != nil {
		return err
	}
	start := s.writer.Start()
	s.logger.Info("relay began", "csn", s.last.CSN, "position", s.last.Position.String(), "tail", len(start.Tail.Landed))
	s.Hooks.began(BeginInfo{New: !start.Found, CSN: s.last.CSN, Position: s.last.Position, Server: s.servers.current().Name,
		Tail: len(start.Tail.Landed), Epoch: start.Epoch})

	s.running = true
	if start.Tail.Stamp != nil {
		if err := s.finishTail(ctx, stream, tail); err != nil {
			return fmt.Errorf("finish tail: %w", err)
		}
	}
	info := s.turn.info(start)
	s.logger.Info("relay leads", "term", info.Term, "epoch", info.Epoch, "silence", info.Silence, "took", info.Took)
	s.Hooks.leading(info)
	return s.relay(ctx, stream, tail)
}

// firstWatermark writes record 0 of a new log (3).
func (s *session) firstWatermark(ctx context.Context) error {
	start := s.writer.Start()
	if s.last = start.Watermark; start.Found {
		return nil
	}
	from, err := firstPosition(ctx, &s.Config)
	if err != nil {
		return err
	}
	s.last = eventstore.Watermark{Position: from, Config: s.config}
	if err := s.writer.Watermark(ctx, s.last); err != nil {
		return fmt.Errorf("first watermark: %w", err)
	}
	return nil
}

// finishTail writes what the predecessor left out of its last flush, under its numbers (13).
func (s *session) finishTail(ctx context.Context, stream Stream, t *tail) error {
	found := s.writer.Start().Tail
	executed, err := gtid.Parse(s.last.Position.Flavor, s.last.Position.GTIDs)
	if err != nil {
		return err
	}
	f := newFlush("", s.rules, s.tables)
	f.Stamp = *found.Stamp
	info := TailInfo{CSN: t.highest, Transactions: t.count}
	landed := func(rec *eventstore.Record) bool {
		last, ok := found.Last[eventstore.Partition{Topic: rec.Topic, Number: s.writer.Partition(rec.Topic, rec.Key)}]
		return ok && rec.Place.Compare(last) <= 0
	}
	write := func() error {
		info.Records += len(f.Records)
		if len(f.Records) > 0 {
			if err := s.writer.Append(ctx, &f.Flush); err != nil {
				return err
			}
		}
		runs := f.Stamp.Runs
		f.Stamp.Runs = nil
		f.reset()
		f.Stamp.Runs = runs // cumulative: the predecessor's stamp explains every flush of the tail
		return nil
	}
	end := s.last.Position
	emit := func(slice numberedSlice) error {
		if err := f.judge(slice.Slice); err != nil {
			return err
		}
		f.add(slice.Slice, slice.csn, s.last.Position.Flavor, landed)
		if slice.Last {
			if err := executed.Add(slice.ID); err != nil {
				return err
			}
			var err error
			if end.Prepared, err = advancePrepared(end.Prepared, slice.Slice); err != nil {
				return err
			}
			end.Server, end.File, end.Offset = slice.Server, slice.File, slice.Offset
		}
		if s.snapshots != nil {
			if text := s.snapshots.pass(slice.Slice); text != nil {
				end.Snapshot = *text
			}
		}
		if slice.Last {
			s.last.Time = slice.Time
		}
		if f.bytes >= s.FlushBytes {
			return write()
		}
		return nil
	}
	for !t.done() {
		slice, err := stream.Next(ctx)
		if err != nil {
			return err
		}
		if err := t.offer(slice, emit); err != nil {
			return err
		}
	}
	if err := write(); err != nil {
		return err
	}
	end.GTIDs = executed.String()
	s.last.CSN, s.last.Position, s.last.Config = t.highest, end, s.config
	if err := s.writer.Watermark(ctx, s.last); err != nil {
		return err
	}
	s.logger.Info("tail finished", "csn", info.CSN, "transactions", info.Transactions, "records", info.Records)
	s.Hooks.tailFinished(info)
	return nil
}

// relay numbers on behind the tail (14) and appends flush after flush, a watermark behind each that ends a transaction (19, 20).
func (s *session) relay(ctx context.Context, stream Stream, t *tail) error {
	q, err := newQueue(s.FlushBytes, s.config, s.rules, s.tables, s.last)
	if err != nil {
		return err
	}
	stream = s.besideSnapshots(stream, t, q)
	reading, stop := context.WithCancel(ctx)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		q.fail(read(reading, stream, t, q))
	}()
	defer func() { stop(); <-finished }()

	// What is in hand when ctx ends is still written, within DrainTimeout.
	working, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(s.DrainTimeout, abandon) })()

	at := s.last.Position
	s.reached.Store(&at)
	s.asked.Store(s)
	defer s.asked.Store(nil)
	watched := make(chan error, 1)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		watched <- s.watch(reading)
	}()
	defer func() { stop(); <-watching }()

	unread := s.readSnapshots(reading)
	defer func() { stop(); <-unread.ended }()

	idle := time.NewTimer(s.Heartbeat)
	defer idle.Stop()
	for {
		f, end, err := q.take()
		switch {
		case f != nil && ctx.Err() != nil && !f.complete:
			return nil // a part of a huge transaction that was not sent: the next start reads it again
		case f != nil:
			s.draining = ctx.Err() != nil
			if err := s.flush(working, f, end); err != nil {
				s.draining = ctx.Err() != nil
				return err
			}
			q.release(f)
			idle.Reset(s.Heartbeat)
			continue
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-q.added:
		case <-ctx.Done():
			<-finished // the reader has added its last
		case err := <-watched:
			if err != nil { // else ctx has ended
				s.servers.skip()
				return err
			}
		case err := <-unread.failed:
			return err
		case <-idle.C: // 21
			if err := s.writer.Watermark(working, s.last); err != nil {
				return fmt.Errorf("heartbeat: %w", err)
			}
			idle.Reset(s.Heartbeat)
		}
	}
}

// openBounded opens a server's stream within the relay's bound of memory.
func (s *session) openBounded(ctx context.Context, server Source) (Stream, error) {
	if b, ok := server.(BoundedSource); ok {
		return b.OpenBounded(ctx, s.last.Position, s.MaxBytes)
	}
	return server.Open(ctx, s.last.Position)
}

// read carries the stream into the queue, first what the tail has held back.
func read(ctx context.Context, stream Stream, t *tail, q *queue) error {
	for _, slice := range t.held {
		if err := q.add(ctx, slice); err != nil {
			return err
		}
	}
	t.held = nil
	for {
		slice, err := stream.Next(ctx)
		if err != nil {
			return err
		}
		if err := q.add(ctx, slice); err != nil {
			return err
		}
		if q.lastSlice > hugeFlushes*q.limit { // of two such rows only one is in memory
			if r, ok := stream.(Releaser); ok {
				r.Release()
			}
			reclaim.Dropped(q.lastSlice)
			if err := q.drained(ctx); err != nil {
				return err
			}
			reclaim.Dropped(q.lastSlice)
		}
	}
}

// flush appends f and, behind a transaction's end, records that end.
func (s *session) flush(ctx context.Context, f *flush, end Position) error {
	info := f.info()
	s.Hooks.flushing(info)
	began := time.Now()
	if !safeguard.WatermarkOrder {
		if err := s.record(ctx, f, end); err != nil {
			return err
		}
	}
	if len(f.Records) > 0 {
		if err := s.writer.Append(ctx, &f.Flush); err != nil {
			return fmt.Errorf("append: %w", err)
		}
	}
	if safeguard.WatermarkOrder {
		if err := s.record(ctx, f, end); err != nil {
			return err
		}
	}
	info.Took = time.Since(began)
	if s.snapshots != nil {
		s.snapshots.schedule.flushed(f.chunks, info.Took)
	}
	s.Hooks.flushed(info)
	return nil
}

// record writes the watermark at f's end, where that is a transaction's end.
func (s *session) record(ctx context.Context, f *flush, end Position) error {
	if !f.complete {
		return nil
	}
	w := s.last
	w.CSN, w.Time, w.Config, w.Position = f.csn, f.time, f.Stamp.Config, end
	if err := s.writer.Watermark(ctx, w); err != nil {
		return fmt.Errorf("watermark: %w", err)
	}
	s.last = w
	s.reached.Store(&w.Position)
	return nil
}
