package kafkalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/segmentio/kafka-go/compress"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/murmur2"
	"github.com/millrace-go/millrace/internal/safeguard"
)

// batchBytes is from what size on, uncompressed, a batch takes no further record.
const batchBytes = 1 << 20

// maxFreeBytes bounds the memory that a writer keeps between two flushes.
const maxFreeBytes = 16 << 20

// flushBuffers are what is used again from flush to flush.
type flushBuffers struct {
	touched   []*partition
	stamp     []byte
	free      [][]byte // memory for batches: not each partition's own, for there may be many
	freeBytes int
	tooLarge  []int    // the records of the flush in hand whose values go into the blob store
	claims    [][]byte // what stands for them
}

// take returns memory for a batch.
func (f *flushBuffers) take() []byte {
	n := len(f.free)
	if n == 0 {
		return nil
	}
	buf := f.free[n-1]
	f.free, f.freeBytes = f.free[:n-1], f.freeBytes-cap(buf)
	return buf
}

// give returns memory that is not used any more.
func (f *flushBuffers) give(buf []byte) {
	if cap(buf) > 0 && f.freeBytes+cap(buf) <= maxFreeBytes {
		f.free, f.freeBytes = append(f.free, buf[:0]), f.freeBytes+cap(buf)
	}
}

// Append implements [eventstore.Writer].
func (w *writer) Append(ctx context.Context, f *eventstore.Flush) error {
	if err := w.ready(ctx); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	if w.last == nil {
		return errors.New("append: the log has no watermark yet: write the one at csn 0 first")
	}
	if err := w.stamp(f); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	unlisted, err := w.check(f)
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	if len(unlisted) > 0 {
		if err := w.createAndList(ctx, unlisted); err != nil {
			return fmt.Errorf("append: %w", w.ended(ctx, err))
		}
	}
	defer w.drop()
	if err := w.putClaims(ctx, f); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	if err := w.encode(f); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	if err := w.produceAll(ctx); err != nil {
		return fmt.Errorf("append: %w", w.ended(ctx, err))
	}
	return nil
}

// drop forgets the flush in hand and takes its memory back.
func (w *writer) drop() {
	for _, p := range w.flush.touched {
		p.drop()
		w.flush.give(p.building.raw)
		p.building.raw = nil
		for _, e := range p.batches {
			w.flush.give(e.bytes)
			e.bytes, e.rest = nil, nil
		}
	}
	w.flush.touched, w.flush.tooLarge, w.flush.claims = w.flush.touched[:0], nil, nil
}

// stamp renders the flush's stamp.
func (w *writer) stamp(f *eventstore.Flush) (err error) {
	if len(f.Records) == 0 {
		return nil
	}
	w.flush.stamp, err = json.Marshal(stampRecord{w.last.LogID, f.Stamp})
	return err
}

// check refuses what can never be stored, before anything is sent, and returns the topics that are not listed yet.
func (w *writer) check(f *eventstore.Flush) (unlisted []string, err error) {
	limit := w.log.cfg.MaxMessageBytes
	fixed := headerBytes + recordOverhead + len(w.flush.stamp)
	last := eventstore.Place{CSN: w.last.CSN, Index: ^uint64(0)}
	if !safeguard.WatermarkOrder {
		last = eventstore.Place{}
	}
	topic := ""
	w.flush.tooLarge, w.flush.claims = nil, nil
	for i := range f.Records {
		r := &f.Records[i]
		if r.Place.Compare(last) <= 0 {
			return nil, fmt.Errorf("csn %d index %d does not follow csn %d index %d", r.CSN, r.Index, last.CSN, last.Index)
		}
		last = r.Place
		if size := fixed + len(r.Key) + len(r.Value); size > limit {
			if w.log.cfg.Blobs != nil && fixed+len(r.Key)+claimBytes <= limit {
				w.flush.tooLarge = append(w.flush.tooLarge, i)
			} else {
				return nil, &eventstore.RecordError{Topic: r.Topic, CSN: r.CSN, Index: r.Index,
					Err: fmt.Errorf("%d bytes with its headers, MaxMessageBytes is %d: raise it, and max.message.bytes of the topics with it, or set Blobs", size, limit)}
			}
		}
		if r.Topic == topic && i > 0 {
			continue
		}
		if topic = r.Topic; w.topics[topic] == nil && !slices.Contains(unlisted, topic) {
			if err := w.log.cfg.checkTopic(topic); err != nil {
				return nil, &eventstore.RecordError{Topic: r.Topic, CSN: r.CSN, Index: r.Index, Err: err}
			}
			unlisted = append(unlisted, topic)
		}
	}
	return unlisted, nil
}

// createAndList makes the topics' partitions the log's own before their first record: step 16. Whoever else begins from now on
// reads the list, and fences them.
func (w *writer) createAndList(ctx context.Context, topics []string) error {
	lists, errs := make([][]int64, len(topics)), make([]error, len(topics))
	var wg sync.WaitGroup
	for i, topic := range topics {
		wg.Go(func() { lists[i], errs[i] = w.log.adopt(ctx, topic) })
	}
	wg.Wait()
	added := make(ends)
	for i, topic := range topics {
		if errs[i] != nil {
			return w.replaced(ctx, errs[i])
		}
		added[topic] = lists[i]
	}
	m := w.newMark(w.last.watermark(nil))
	if err := w.writeMark(ctx, m, added); err != nil {
		return err
	}
	for _, topic := range topics {
		w.list(topic, added[topic])
	}
	return nil
}

// replaced tells a newer writer's topic, which it has listed and written meanwhile, from another program's.
func (w *writer) replaced(ctx context.Context, err error) error {
	if !errors.Is(err, eventstore.ErrLogMismatch) {
		return err
	}
	h, failed := w.log.readHead(ctx)
	if failed != nil {
		return failed
	}
	if h != nil && h.mark.Producer == w.producer.id && h.mark.Epoch > w.producer.epoch {
		return fmt.Errorf("%w (the last watermark has epoch %d, this writer %d)", eventstore.ErrFenced, h.mark.Epoch, w.producer.epoch)
	}
	return err
}

// adopt creates a topic, or checks the one that is there, and returns the ends of its partitions.
func (l *Log) adopt(ctx context.Context, topic string) (list []int64, err error) {
	name := l.cfg.kafkaTopic(topic)
	var layout topicLayout
	var found bool
	err = l.client.retry(ctx, "topic "+name, func(ctx context.Context) (err error) {
		layout, found, err = l.client.topic(ctx, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !found {
		if layout, err = l.createTopic(ctx, name, l.cfg.partitions(topic), l.cfg.settings()); err != nil {
			return nil, err
		}
	}
	if err := l.checkTopics(ctx, map[string]topicLayout{name: layout}); err != nil {
		return nil, err
	}
	err = l.client.retry(ctx, "topic "+name, func(ctx context.Context) error {
		list = list[:0]
		if err := l.checkEmpty(ctx, name, layout.partitions); err != nil {
			return err
		}
		for n := range layout.partitions {
			s, err := l.client.span(ctx, eventstore.Partition{Topic: name, Number: int32(n)})
			if err != nil {
				return err
			}
			list = append(list, s.end)
		}
		return nil
	})
	return list, err
}

// encode routes the records and encodes the batches.
func (w *writer) encode(f *eventstore.Flush) error {
	topic, parts := "", []*partition(nil)
	for i := range f.Records {
		r := &f.Records[i]
		if r.Topic != topic || parts == nil {
			topic, parts = r.Topic, w.topics[r.Topic]
		}
		p := parts[murmur2.Partition(r.Key, len(parts))]
		if p.ordinal == 0 {
			w.flush.touched = append(w.flush.touched, p)
			p.building.raw = w.flush.take()
			if r.Place.Compare(p.last) <= 0 {
				return fmt.Errorf("csn %d index %d does not follow csn %d index %d in %v", r.CSN, r.Index, p.last.CSN, p.last.Index, p.kafka)
			}
		}
		value, claim := r.Value, w.flush.claimed(i)
		if claim != nil {
			value = claim
		}
		size := recordOverhead + len(r.Key) + len(value)
		huge := len(value) >= hugeValue
		if b := &p.building; b.count > 0 && (huge || b.huge != nil || len(b.raw) >= batchBytes || headerBytes+len(b.raw)+size > w.log.cfg.MaxMessageBytes) {
			if err := w.seal(p, w.log.codec); err != nil {
				return err
			}
		}
		stamp := w.flush.stamp
		if p.building.count > 0 {
			stamp = nil
		}
		p.building.add(r, claim, stamp)
		p.ordinal++
		p.pending = appendEnd(p.pending, r.CSN, p.ordinal)
		p.lastPending = r.Place
	}
	for _, p := range w.flush.touched {
		if err := w.seal(p, w.log.codec); err != nil {
			return err
		}
	}
	return nil
}

// seal ends the batch that a partition is building, under its next sequence number.
func (w *writer) seal(p *partition, codec compress.Codec) error {
	e := p.slot()
	if e.bytes == nil {
		e.bytes = w.flush.take()
	}
	var err error
	sequence := p.sequence
	for _, before := range p.batches[:p.used-1] {
		sequence = nextSequence(sequence, before.count)
	}
	e.count, e.base, e.rest = p.building.count, -1, nil
	producer := w.producer
	if !safeguard.Idempotence {
		producer, sequence = producerID{-1, -1}, -1
	}
	if p.building.huge != nil {
		e.bytes, e.rest, err = p.building.sealHuge(e.bytes, codec, producer, sequence)
	} else {
		e.bytes, err = p.building.seal(e.bytes, codec, producer, sequence)
	}
	p.building.reset()
	return err
}
