package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/millrace-go/millrace/eventstore"
)

const (
	// scanBytes is how much a scan asks for at once.
	scanBytes = 1 << 20
	// fetchWait is how long a broker may hold back an answer where nothing is there.
	fetchWait = 2 * time.Second
)

// ask is where and how much to ask of one partition next. An answer without a whole batch does not mean that there is none: a
// batch may be cut off by the limit of bytes, or the offset be one that nothing stands at any more.
type ask struct {
	offset int64 // of the next record that is wanted
	probe  int64 // offset to ask for: beyond offset only after asking for more bytes brought nothing
	bytes  int
}

func askFrom(offset int64, bytes int) ask { return ask{offset, offset, bytes} }

// moved takes note of an answer up to offset next.
func (a *ask) moved(next int64, bytes int) { *a = askFrom(next, bytes) }

// stuck takes note of an answer that brought nothing although the partition goes on: more bytes first, all that a batch can have;
// then one offset further. What stands at the offset asked for or before is handed out all the same.
func (a *ask) stuck(need, limit int) {
	switch {
	case need > a.bytes:
		a.bytes = need
	case a.bytes < limit:
		a.bytes = min(4*a.bytes, limit)
	default:
		a.probe++
	}
}

// scan hands out the batches of a partition that reach into [from, to), control batches too. A batch is valid during the call.
// The error of each ends the scan.
func (l *Log) scan(ctx context.Context, part eventstore.Partition, from, to int64, bytes int, each func(*batch) error) error {
	a := askFrom(from, bytes)
	var buf, scratch []byte
	for a.offset < to {
		var stop error
		err := l.client.retry(ctx, fmt.Sprintf("read %v from offset %d", part, a.offset), func(ctx context.Context) error {
			got, err := l.fetchOne(ctx, part, a, fetchWait, &buf)
			if err != nil {
				return err
			}
			next, need := a.offset, 0
			for rest := got.batches; ; {
				b, size, err := nextBatch(rest, scratch)
				if err != nil {
					return err
				}
				if b == nil {
					need = size
					break
				}
				rest = rest[size:]
				if b.last < next {
					continue
				}
				if next = b.last + 1; b.base >= to {
					break
				}
				if stop = each(b); stop != nil {
					return nil //nolint:nilerr // not a reason to fetch again: it is returned behind the retries
				}
			}
			switch {
			case next > a.offset:
				a.moved(next, bytes)
			case a.probe < got.high:
				a.stuck(need, l.cfg.MaxMessageBytes)
			default:
				return fmt.Errorf("high watermark is %d, want %d: %w", got.high, to, kafka.OffsetNotAvailable)
			}
			return nil
		})
		if err = errors.Join(err, stop); err != nil {
			return err
		}
	}
	return nil
}

// fetchOne asks for one partition, and for up to wait for something to come. The answer is valid until buf is used again.
func (l *Log) fetchOne(ctx context.Context, part eventstore.Partition, a ask, wait time.Duration, buf *[]byte) (*fetchedPartition, error) {
	req := &fetchRequest{wait: wait, maxBytes: a.bytes, parts: []fetchPartition{{part, a.probe, a.bytes}}, buf: *buf}
	*buf = nil
	res, err := l.client.fetch(ctx, req)
	if err != nil {
		return nil, err
	}
	*buf = res.buf
	if len(res.parts) != 1 {
		return nil, fmt.Errorf("fetch %v: %w: %d partitions in the reply", part, errMalformed, len(res.parts))
	}
	got := &res.parts[0]
	if errors.Is(got.err, kafka.OffsetOutOfRange) {
		return nil, l.outOfRange(ctx, part, a.offset)
	}
	return got, got.err
}

// outOfRange says why an offset cannot be read.
func (l *Log) outOfRange(ctx context.Context, part eventstore.Partition, offset int64) error {
	s, err := l.client.span(ctx, part)
	switch {
	case err != nil:
		return err
	case offset < s.start:
		return fmt.Errorf("%w: %v begins at offset %d, the reader is at %d", eventstore.ErrPositionLost, part, s.start, offset)
	case offset > s.end:
		return fmt.Errorf("%w: %v ends at offset %d, a watermark says %d: the topic was recreated, or acknowledged records are lost", eventstore.ErrLogMismatch, part, s.end, offset)
	}
	return fmt.Errorf("fetch %v: %w", part, kafka.OffsetNotAvailable) // the leader moves
}
