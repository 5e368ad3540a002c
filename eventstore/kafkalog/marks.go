package kafkalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrace-go/millrace/eventstore"
)

// head is the state that the watermark topic ends in.
type head struct {
	mark *mark
	ends ends
	full int64 // offset of the last full record
}

var errStop = errors.New("stop")

// watermarks is the one partition of the watermark topic.
func (l *Log) watermarks() eventstore.Partition {
	return eventstore.Partition{Topic: l.cfg.watermarkTopic()}
}

// scanMarks hands out the watermarks in [from, to).
func (l *Log) scanMarks(ctx context.Context, from, to int64, bytes int, each func(*mark) error) error {
	return l.scan(ctx, l.watermarks(), from, to, bytes, func(b *batch) error { return eachMark(b, from, to, each) })
}

// eachMark hands out the watermarks of a batch in [from, to).
func eachMark(b *batch, from, to int64, each func(*mark) error) error {
	if b.control {
		return nil
	}
	for {
		var r record
		ok, err := b.next(&r)
		if err != nil || !ok {
			return err
		}
		if r.offset < from || r.offset >= to {
			continue
		}
		m, err := parseMark(r.offset, r.value)
		if err != nil {
			return err
		}
		if err := each(m); err != nil {
			return err
		}
	}
}

// marksSpan returns the span of the watermark topic.
func (l *Log) marksSpan(ctx context.Context) (s span, err error) {
	err = l.client.retry(ctx, "watermark topic", func(ctx context.Context) (err error) {
		s, err = l.client.span(ctx, l.watermarks())
		return err
	})
	return s, err
}

// readHead reads the last watermark, nil where there is none: step 7. The topic's last offsets may hold fence markers only, any
// number of them, so it walks back in growing steps.
func (l *Log) readHead(ctx context.Context) (*head, error) {
	s, err := l.marksSpan(ctx)
	if err != nil {
		return nil, err
	}
	var last *mark
	for back, to := int64(2), s.end; last == nil && to > s.start; back *= 16 {
		from := max(s.start, s.end-back)
		if err := l.scanMarks(ctx, from, to, scanBytes, func(m *mark) error { last = m; return nil }); err != nil {
			return nil, err
		}
		to = from
	}
	if last == nil {
		return nil, nil
	}
	h := &head{mark: last, ends: make(ends)}
	from := last.offset
	if !last.full() {
		if from = *last.Base; from < s.start {
			return nil, fmt.Errorf("%w: the last full watermark stood at offset %d of %s, which begins at %d now", eventstore.ErrLogMismatch, from, l.cfg.watermarkTopic(), s.start)
		}
	}
	h.full = from
	return h, l.scanMarks(ctx, from, last.offset+1, scanBytes, h.ends.apply)
}

// fencedBefore returns the last producer that has fenced the watermark topic before mine, mine where there is none.
func (l *Log) fencedBefore(ctx context.Context, mine producerID) (producerID, error) {
	before := mine
	s, err := l.marksSpan(ctx)
	if err != nil {
		return before, err
	}
	err = l.scan(ctx, l.watermarks(), s.start, s.end, scanBytes, func(b *batch) error {
		if b.control && b.producer.id != mine.id {
			before = b.producer
		}
		return nil
	})
	return before, err
}

// findMark returns the offset of a full watermark with a csn of at most csn, the newest that it can find: where a reader with
// that progress begins. The topic may hold millions, so it is searched by halves.
func (l *Log) findMark(ctx context.Context, csn eventstore.CSN) (int64, error) {
	s, err := l.marksSpan(ctx)
	if err != nil {
		return 0, err
	}
	var below *mark // the last one known with a lower csn; every one that stands before low has a lower csn
	for low, high := s.start, s.end; low < high; {
		middle := low + (high-low)/2
		m, err := l.markFrom(ctx, middle, high)
		if err != nil {
			return 0, err
		}
		if m == nil || m.CSN >= csn {
			high = middle
		} else {
			below, low = m, m.offset+1
		}
	}
	if below != nil {
		if below.full() {
			return below.offset, nil
		}
		if *below.Base >= s.start {
			return *below.Base, nil
		}
	}
	// The log begins at or after csn, or its first watermarks lean on a full one that is gone: the first full one must do.
	var first *mark
	err = l.scanMarks(ctx, s.start, s.end, scanBytes, func(m *mark) error {
		if !m.full() {
			return nil
		}
		first = m
		return errStop
	})
	if err != nil && !errors.Is(err, errStop) {
		return 0, err
	}
	if first == nil || first.CSN > csn {
		return 0, fmt.Errorf("%w: the first full watermark is later than csn %d", eventstore.ErrPositionLost, csn)
	}
	return first.offset, nil
}

// markFrom returns the first watermark in [from, to), nil where there is none.
func (l *Log) markFrom(ctx context.Context, from, to int64) (found *mark, err error) {
	err = l.scanMarks(ctx, from, to, 16<<10, func(m *mark) error {
		found = m
		return errStop
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return found, err
}
