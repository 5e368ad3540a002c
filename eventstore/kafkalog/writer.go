package kafkalog

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/murmur2"
)

// writer is the log's writer of one producer epoch. Not safe for concurrent use.
type writer struct {
	log      *Log
	producer producerID
	lease    lease
	foreign  bool // the tail may hold batches of another producer id: its writer is known to be dead
	start    eventstore.Start

	marks     partition // the watermark partition
	last      *mark     // nil before the first watermark
	ends      ends      // of the last watermark
	full      int64     // offset of the last full watermark of this writer, -1 before it
	sinceFull int
	topics    map[string][]*partition // listed ones, by topic of the seam
	order     []*partition            // the same, in order of topic and number

	err    error // what ended the writer
	closed bool
	flush  flushBuffers
}

func (l *Log) newWriter(p producerID, begun time.Duration, h *head) *writer {
	w := &writer{log: l, producer: p, lease: lease{min(l.cfg.Lease, stated(h)), l.uptime, begun}, ends: make(ends), full: -1, topics: make(map[string][]*partition),
		start: eventstore.Start{Epoch: uint64(p.epoch)}, marks: partition{kafka: l.watermarks()}}
	if h != nil {
		w.last, w.marks.next = h.mark, h.mark.offset+1
		w.start = eventstore.Start{Watermark: h.mark.watermark(h.ends.byPartition()), Found: true, Epoch: uint64(p.epoch)}
		w.ends = h.ends.clone()
		for _, topic := range sortedKeys(h.ends) {
			w.list(topic, h.ends[topic])
		}
	}
	return w
}

// list takes note that a watermark lists a topic's partitions.
func (w *writer) list(topic string, ends []int64) {
	for n, end := range ends {
		p := &partition{topic: topic, kafka: eventstore.Partition{Topic: w.log.cfg.kafkaTopic(topic), Number: int32(n)}, end: end, next: end}
		w.topics[topic] = append(w.topics[topic], p)
		w.order = append(w.order, p)
	}
}

// fenced are the Kafka partitions that the writer's fence is about.
func (w *writer) fenced() []eventstore.Partition {
	parts := []eventstore.Partition{w.marks.kafka}
	for _, p := range w.order {
		parts = append(parts, p.kafka)
	}
	return parts
}

// partitions are the listed partitions.
func (w *writer) partitions() []*partition { return w.order }

// Start implements [eventstore.Writer].
func (w *writer) Start() eventstore.Start { return w.start }

// Partition implements [eventstore.Writer].
func (w *writer) Partition(topic string, key []byte) int32 {
	n := len(w.topics[topic])
	if n == 0 {
		n = w.log.cfg.partitions(topic)
	}
	return murmur2.Partition(key, n)
}

// Close implements [eventstore.Writer].
func (w *writer) Close() error {
	w.closed = true
	return nil
}

// ready tells whether the writer may write, and renews its lease when it is time.
func (w *writer) ready(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case w.closed || w.log.isClosed():
		return eventstore.ErrClosed
	case w.err != nil:
		return fmt.Errorf("the writer has ended: %w", w.err)
	}
	if err := w.lease.over(); err != nil {
		return w.ended(ctx, err)
	}
	if w.lease.due() {
		if err := w.renew(ctx); err != nil {
			return w.ended(ctx, err)
		}
	}
	return nil
}

// ended makes an error of a request the writer's last one: its outcome is unknown, or it was fenced.
func (w *writer) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		w.err = unavailable(errors.Join(ctx.Err(), err))
	} else {
		w.err = seamError(err)
	}
	return w.err
}

// Watermark implements [eventstore.Writer].
func (w *writer) Watermark(ctx context.Context, mark eventstore.Watermark) error {
	if err := w.ready(ctx); err != nil {
		return fmt.Errorf("watermark: %w", err)
	}
	if w.last != nil {
		if err := mark.Follows(w.last.watermark(nil)); err != nil {
			return fmt.Errorf("watermark: %w", err)
		}
	}
	m := w.newMark(mark)
	changed := make(ends)
	for _, p := range w.order {
		if end := p.endAt(m.CSN); end != w.ends[p.topic][p.kafka.Number] {
			if changed[p.topic] == nil {
				changed[p.topic] = append([]int64(nil), w.ends[p.topic]...)
			}
			changed[p.topic][p.kafka.Number] = end
		}
	}
	if err := w.writeMark(ctx, m, changed); err != nil {
		return fmt.Errorf("watermark: %w", w.ended(ctx, err))
	}
	for _, p := range w.order {
		p.marked(m.CSN)
	}
	return nil
}

// newMark returns the record of a watermark, without its ends.
func (w *writer) newMark(from eventstore.Watermark) *mark {
	m := &mark{CSN: from.CSN, Position: from.Position, Config: from.Config, Producer: w.producer.id, Epoch: w.producer.epoch,
		Lease: int64(w.log.cfg.Lease.Seconds())}
	if !from.Time.IsZero() {
		at := from.Time.UTC()
		m.Time = &at
	}
	if w.last == nil {
		m.LogID = rand.Text()
	} else {
		m.LogID = w.last.LogID
	}
	return m
}

// writeMark appends a watermark record whose ends differ in changed from the one before: step 20.
func (w *writer) writeMark(ctx context.Context, m *mark, changed ends) error {
	now := w.ends.clone()
	for topic, list := range changed {
		now[topic] = list
	}
	if w.full < 0 || w.sinceFull >= fullEvery || now.partitions() <= smallEnds {
		m.Ends = now
	} else {
		base := w.full
		m.Ends, m.Base = changed, &base
	}
	value, err := json.Marshal(m)
	if err != nil {
		return err
	}
	w.marks.building.reset()
	w.marks.building.addPlain(value, time.Now())
	if err := w.seal(&w.marks, nil); err != nil {
		return err
	}
	if err := w.produce(ctx, &w.marks); err != nil {
		return err
	}
	offset := w.marks.batches[0].base
	w.marks.next = offset + 1
	w.marks.drop()
	w.last, w.ends = m, now
	w.lease.length = w.log.cfg.Lease // who comes knows of it now
	if w.sinceFull++; m.full() {
		w.full, w.sinceFull = offset, 0
	}
	return nil
}
