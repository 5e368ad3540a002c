package eventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/millrace-go/millrace/internal/murmur2"
)

// memoryWriter is the writer of one epoch of a [MemoryLog].
type memoryWriter struct {
	log    *MemoryLog
	epoch  uint64
	start  Start
	closed bool
}

// Start implements [Writer].
func (w *memoryWriter) Start() Start { return w.start }

// Close implements [Writer].
func (w *memoryWriter) Close() error {
	w.closed = true
	return nil
}

// Partition implements [Writer].
func (w *memoryWriter) Partition(topic string, key []byte) int32 {
	l := w.log
	l.lock()
	defer l.mu.Unlock()
	return l.route(topic, key)
}

// route returns the partition of a key; a topic that is not there yet counts as having the default number.
func (l *MemoryLog) route(topic string, key []byte) int32 {
	n := len(l.topics[topic])
	if n == 0 {
		n = l.Partitions
	}
	return murmur2.Partition(key, n)
}

// lock takes the log's lock when the writer may write.
func (w *memoryWriter) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.closed {
		return ErrClosed
	}
	l := w.log
	l.lock()
	switch {
	case l.closed:
		l.mu.Unlock()
		return ErrClosed
	case l.epoch != w.epoch:
		l.mu.Unlock()
		return ErrFenced
	}
	return nil
}

// Append implements [Writer].
func (w *memoryWriter) Append(ctx context.Context, f *Flush) error {
	if err := w.lock(ctx); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	l := w.log
	defer l.mu.Unlock()
	if l.lastMark() == nil {
		return errors.New("append: the log has no watermark yet: write the one at csn 0 first")
	}
	if err := l.check(f); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	l.list(f)
	var stamp *Stamp // made once: the caller may reuse the flush
	for i := range f.Records {
		r := &f.Records[i]
		if stamp == nil {
			stamp = &Stamp{Config: f.Stamp.Config, Runs: slices.Clone(f.Stamp.Runs)}
		}
		p := l.topics[r.Topic][l.route(r.Topic, r.Key)]
		if n := len(p.stamps); n == 0 || p.stamps[n-1].stamp != stamp {
			p.stamps = append(p.stamps, memoryStamp{int64(len(p.records)), stamp})
		}
		p.records = append(p.records, copyRecord(r))
	}
	return nil
}

// check refuses a flush that would break the order of a partition, and a record that is too large.
func (l *MemoryLog) check(f *Flush) error {
	mark := l.lastMark().CSN
	last := make(map[Partition]Place)
	for i := range f.Records {
		r := &f.Records[i]
		if size := len(r.Key) + len(r.Value); size > l.MaxRecordBytes {
			return &RecordError{r.Topic, r.CSN, r.Index, fmt.Errorf("%d bytes of key and value, the log takes %d", size, l.MaxRecordBytes)}
		}
		if r.Topic == "" {
			return &RecordError{r.Topic, r.CSN, r.Index, errors.New("no topic")}
		}
		if r.CSN <= mark {
			return fmt.Errorf("csn %d is at or below the watermark %d", r.CSN, mark)
		}
		at := Partition{r.Topic, l.route(r.Topic, r.Key)}
		before, seen := last[at]
		if parts := l.topics[r.Topic]; !seen && parts != nil {
			before = parts[at.Number].last()
		}
		if r.Place.Compare(before) <= 0 {
			return fmt.Errorf("csn %d index %d does not follow csn %d index %d in %v", r.CSN, r.Index, before.CSN, before.Index, at)
		}
		last[at] = r.Place
	}
	return nil
}

// list creates the flush's new topics and states their partitions in a watermark before their first record.
func (l *MemoryLog) list(f *Flush) {
	created := false
	for i := range f.Records {
		topic := f.Records[i].Topic
		if l.topics[topic] != nil {
			continue
		}
		created = true
		for n := range int32(l.Partitions) {
			l.topics[topic] = append(l.topics[topic], &memoryPartition{Partition: Partition{topic, n}})
		}
	}
	if created {
		w := *l.lastMark()
		w.Ends = l.ends(w.CSN)
		l.mark(w)
	}
}

// copyRecord copies key and value into one piece of memory.
func copyRecord(r *Record) memoryRecord {
	buf := make([]byte, 0, len(r.Key)+len(r.Value))
	buf = append(append(buf, r.Key...), r.Value...)
	c := memoryRecord{Place: r.Place, key: buf[:len(r.Key):len(r.Key)], time: r.Time}
	if r.Value != nil {
		c.value = buf[len(r.Key):]
	}
	return c
}

// Watermark implements [Writer].
func (w *memoryWriter) Watermark(ctx context.Context, mark Watermark) error {
	if err := w.lock(ctx); err != nil {
		return fmt.Errorf("watermark: %w", err)
	}
	l := w.log
	defer l.mu.Unlock()
	if last := l.lastMark(); last != nil {
		if err := mark.Follows(*last); err != nil {
			return fmt.Errorf("watermark: %w", err)
		}
	}
	mark.Ends = l.ends(mark.CSN)
	l.mark(mark)
	for _, parts := range l.topics {
		for _, p := range parts {
			p.forget(mark.CSN)
		}
	}
	return nil
}

// forget drops the stamps that a watermark at csn made superfluous: those whose records all lie below it.
func (p *memoryPartition) forget(csn CSN) {
	end := p.end(csn)
	for len(p.stamps) > 0 && (len(p.stamps) > 1 && p.stamps[1].offset <= end || int64(len(p.records)) <= end) {
		p.stamps = p.stamps[1:]
	}
}
