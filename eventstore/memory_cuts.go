package eventstore

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/millrace-go/millrace/internal/minheap"
)

// memoryCursor reads one partition's part of a cut.
type memoryCursor struct {
	part    Partition
	offset  int64
	records []memoryRecord
}

// Cuts implements [Log]. MaxBytes is without meaning here: nothing is fetched.
func (l *MemoryLog) Cuts(ctx context.Context, opts CutOptions) iter.Seq2[*Cut, error] {
	return func(yield func(*Cut, error) bool) {
		next := l.firstMark(opts.After)
		after := opts.After
		for {
			w, err := l.await(ctx, next, opts)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				yield(nil, fmt.Errorf("cuts: %w", err))
				return
			}
			if !yield(NewCut(after, w, l.between(ctx, after, w, opts.Topics)), nil) {
				return
			}
			after = w.CSN
			next++
		}
	}
}

// firstMark returns the index of the first watermark at or after csn.
func (l *MemoryLog) firstMark(csn CSN) int {
	l.lock()
	defer l.mu.Unlock()
	i, _ := slices.BinarySearchFunc(l.marks, csn, func(w Watermark, csn CSN) int {
		if w.CSN < csn {
			return -1
		}
		return 1
	})
	return i
}

// await returns watermark i as soon as it is there.
func (l *MemoryLog) await(ctx context.Context, i int, opts CutOptions) (Watermark, error) {
	for {
		l.lock()
		changed, closed := l.changed, l.closed
		var w Watermark
		last, found := l.lastMark(), i < len(l.marks)
		if found {
			w = l.marks[i]
		}
		var err error
		switch {
		case closed:
			err = ErrClosed
		case last != nil && opts.LogID != "" && opts.LogID != last.LogID:
			err = fmt.Errorf("%w: the log's id is %s, the reader knows %s", ErrLogMismatch, last.LogID, opts.LogID)
		case last != nil && last.CSN < opts.After:
			err = fmt.Errorf("%w: the log ends at csn %d, the reader is at %d", ErrLogMismatch, last.CSN, opts.After)
		}
		l.mu.Unlock()
		if err != nil || found {
			return w, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Watermark{}, ctx.Err()
		}
	}
}

// between yields the records after one csn up to the watermark w, merged by place.
func (l *MemoryLog) between(ctx context.Context, after CSN, w Watermark, topics []string) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		var heap minheap.Heap[*memoryCursor]
		for _, c := range l.cursors(after, w, topics) {
			heap.Push(c)
		}
		var out Record
		for heap.Len() > 0 {
			if err := ctx.Err(); err != nil {
				yield(nil, fmt.Errorf("cut %d: %w", w.CSN, err))
				return
			}
			c := heap.Min()
			out.fill(c)
			if !yield(&out, nil) {
				return
			}
			c.offset++
			if c.records = c.records[1:]; len(c.records) == 0 {
				heap.Pop()
			} else {
				heap.Fix()
			}
		}
	}
}

// cursors returns one cursor for each partition with records in the cut.
func (l *MemoryLog) cursors(after CSN, w Watermark, topics []string) []*memoryCursor {
	l.lock()
	defer l.mu.Unlock()
	var cursors []*memoryCursor
	for part, end := range w.Ends {
		if topics != nil && !slices.Contains(topics, part.Topic) {
			continue
		}
		p := l.topics[part.Topic][part.Number]
		if from := p.end(after); from < end {
			cursors = append(cursors, &memoryCursor{part, from, p.records[from:end]})
		}
	}
	return cursors
}

// fill copies the cursor's record, into the memory of the one before: a reader that keeps a record beyond its time sees it
// change, here as on Kafka.
func (r *Record) fill(c *memoryCursor) {
	from := &c.records[0]
	key, value := append(r.Key[:0], from.key...), append(r.Value[:0], from.value...)
	*r = Record{Place: from.Place, Topic: c.part.Topic, Partition: c.part.Number, Offset: c.offset, Key: key, Time: from.time}
	if from.value != nil {
		if value == nil {
			value = []byte{}
		}
		r.Value = value
	}
}
