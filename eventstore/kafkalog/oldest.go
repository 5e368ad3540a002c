package kafkalog

import (
	"context"
	"errors"

	"github.com/millrace-go/millrace/eventstore"
)

// explainLost tells a reader whose place is gone where it could go on.
func (l *Log) explainLost(ctx context.Context, opts eventstore.CutOptions, err error) error {
	if _, done := errors.AsType[*eventstore.PositionLostError](err); done || !errors.Is(err, eventstore.ErrPositionLost) {
		return err
	}
	lost := &eventstore.PositionLostError{After: opts.After, Err: err}
	ctx, cancel := context.WithTimeout(ctx, headTimeout)
	defer cancel()
	m, failed := l.oldest(ctx, opts.Topics)
	if failed != nil {
		l.log.Warn("cannot tell from where on the log is whole", "err", failed)
	} else if m != nil {
		lost.Oldest, lost.Found = m.CSN, true
	}
	return lost
}

// oldest returns the first full watermark behind which every record of the topics is still there, nil when there is none. Ends never fall,
// so it is searched by halves; a watermark that leans on a full one counts as that.
func (l *Log) oldest(ctx context.Context, topics []string) (oldest *mark, err error) {
	h, err := l.readHead(ctx)
	if err != nil || h == nil {
		return nil, err
	}
	starts, err := l.starts(ctx, h.ends, topics)
	if err != nil {
		return nil, err
	}
	s, err := l.client.span(ctx, l.watermarks())
	if err != nil {
		return nil, err
	}
	for low, high := s.start, s.end; low < high; {
		middle := low + (high-low)/2
		m, err := l.markFrom(ctx, middle, high)
		if err != nil {
			return nil, err
		}
		if m == nil {
			high = middle
			continue
		}
		full := m
		if !m.full() && *m.Base >= s.start {
			if full, err = l.markFrom(ctx, *m.Base, m.offset); err != nil {
				return nil, err
			}
		}
		if full != nil && full.full() && whole(full, starts) {
			oldest, high = full, middle
		} else {
			low = m.offset + 1
		}
	}
	return oldest, nil
}

// starts returns the first offsets of the listed partitions of the topics.
func (l *Log) starts(ctx context.Context, listed ends, topics []string) (map[eventstore.Partition]int64, error) {
	var parts []eventstore.Partition
	seam := make(map[eventstore.Partition]eventstore.Partition)
	for topic, list := range listed {
		for n := range list {
			if wanted(topics, topic) {
				at := eventstore.Partition{Topic: l.cfg.kafkaTopic(topic), Number: int32(n)}
				parts, seam[at] = append(parts, at), eventstore.Partition{Topic: topic, Number: int32(n)}
			}
		}
	}
	spans, err := l.client.spans(ctx, parts)
	if err != nil {
		return nil, err
	}
	starts := make(map[eventstore.Partition]int64)
	for at, s := range spans {
		starts[seam[at]] = s.start
	}
	return starts, nil
}

// whole tells whether nothing behind a full watermark's ends is gone. A partition that it does not list ends at 0.
func whole(m *mark, starts map[eventstore.Partition]int64) bool {
	for at, start := range starts {
		end := int64(0)
		if list := m.Ends[at.Topic]; int(at.Number) < len(list) {
			end = list[at.Number]
		}
		if start > end {
			return false
		}
	}
	return true
}
