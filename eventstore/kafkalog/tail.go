package kafkalog

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/safeguard"
)

// readTail reads the records above the last watermark: step 10. Of a partition it keeps the last place, and for each csn the
// offset after its last record, which later watermarks need; memory does not grow with the number of records.
func (w *writer) readTail(ctx context.Context) (eventstore.Tail, error) {
	t := tail{writer: w, Tail: eventstore.Tail{Last: make(map[eventstore.Partition]eventstore.Place)}}
	var names []eventstore.Partition
	for _, part := range w.partitions() {
		names = append(names, part.kafka)
	}
	var spans map[eventstore.Partition]span
	err := w.log.client.retry(ctx, "tail", func(ctx context.Context) (err error) {
		spans, err = w.log.client.spans(ctx, names) // asked for after the fence: nothing old lands any more
		return err
	})
	if err != nil {
		return t.Tail, err
	}
	for _, part := range w.partitions() {
		s := spans[part.kafka]
		switch {
		case s.end < part.end:
			return t.Tail, fmt.Errorf("%w: %v ends at offset %d, the last watermark says %d: the topic was recreated, or acknowledged records are lost; %s", eventstore.ErrLogMismatch, part.kafka, s.end, part.end, newLog)
		case s.start > part.end:
			return t.Tail, fmt.Errorf("%w: %v begins at offset %d, the last watermark ends it at %d: records above it may be lost; %s", eventstore.ErrLogMismatch, part.kafka, s.start, part.end, newLog)
		}
		if err := t.read(ctx, part, s.end); err != nil {
			return t.Tail, err
		}
	}
	slices.Sort(t.Landed)
	t.Landed = slices.Compact(t.Landed)
	return t.Tail, nil
}

// tail is a tail being read.
type tail struct {
	eventstore.Tail
	writer *writer
	best   eventstore.Place // place of the record whose batch's stamp is Tail.Stamp
	stamp  stampRecord      // of the batch being read
	raw    []byte           // its text
}

// read reads one partition's tail up to the end.
func (t *tail) read(ctx context.Context, part *partition, to int64) error {
	return t.writer.log.scan(ctx, part.kafka, part.end, to, scanBytes, func(b *batch) error {
		if b.producer.id == t.writer.producer.id && b.producer.epoch > t.writer.producer.epoch {
			return fmt.Errorf("%w (epoch %d in %v, this writer has %d)", eventstore.ErrFenced, b.producer.epoch, part.kafka, t.writer.producer.epoch)
		}
		if b.control {
			return nil
		}
		if b.producer.id != t.writer.producer.id && !t.writer.foreign && !t.writer.log.cfg.TakeOver && safeguard.Idempotence {
			return fmt.Errorf("%w (batch at offset %d of %v has %d, this writer %d)", ErrForeignProducer, b.base, part.kafka, b.producer.id, t.writer.producer.id)
		}
		for {
			var r record
			ok, err := b.next(&r)
			if err != nil || !ok {
				return err
			}
			if r.offset >= to {
				return nil
			}
			if err := t.record(part, &r); err != nil {
				return err
			}
		}
	})
}

// record takes note of one record.
func (t *tail) record(part *partition, r *record) error {
	if !r.numbered {
		return fmt.Errorf("%w: the record at offset %d of %v has no csn: it is not a relay's", eventstore.ErrLogMismatch, r.offset, part.kafka)
	}
	if r.stamp != nil && string(r.stamp) != string(t.raw) {
		t.stamp = stampRecord{}
		if err := json.Unmarshal(r.stamp, &t.stamp); err != nil {
			return fmt.Errorf("%w: stamp at offset %d of %v: %w", eventstore.ErrLogMismatch, r.offset, part.kafka, err)
		}
		if want := t.writer.last.LogID; t.stamp.LogID != want {
			return fmt.Errorf("%w: the stamp at offset %d of %v is of log %s, the watermark of log %s", eventstore.ErrLogMismatch, r.offset, part.kafka, t.stamp.LogID, want)
		}
		t.raw = append(t.raw[:0], r.stamp...)
	}
	if r.offset < part.end || r.CSN <= t.writer.last.CSN {
		return nil // the batch reaches below the watermark
	}
	part.landed(r.Place, r.offset+1)
	if n := len(t.Landed); n == 0 || t.Landed[n-1] != r.CSN {
		t.Landed = append(t.Landed, r.CSN)
	}
	t.Last[eventstore.Partition{Topic: part.topic, Number: part.kafka.Number}] = r.Place
	if t.Stamp == nil || r.Place.Compare(t.best) > 0 {
		t.best = r.Place
		if t.Stamp == nil || t.Stamp.Last() != t.stamp.Last() || len(t.Stamp.Runs) != len(t.stamp.Runs) {
			s := t.stamp.Stamp
			t.Stamp = &s
		}
	}
	return nil
}
