package kafkalog

import (
	"bytes"
	"context"
	"fmt"

	"github.com/millrace-go/millrace/eventstore"
)

// cursor reads one partition, batch by batch.
type cursor struct {
	topic  string
	number int32
	stream *stream
	pos    int64  // of the next record that is wanted
	end    int64  // of the partition in the cut at hand
	chunk  *chunk // being read, nil between two
	rec    record
	has    bool // rec is the next record
}

// Before orders cursors by the place of their next record.
func (c *cursor) Before(d *cursor) bool { return c.rec.Place.Compare(d.rec.Place) < 0 }

// fill hands out the next record.
func (c *cursor) fill(out *eventstore.Record) {
	*out = eventstore.Record{
		Place: c.rec.Place, Topic: c.topic, Partition: c.number, Offset: c.rec.offset,
		Key: c.rec.key, Value: c.rec.value, Time: timeOf(c.rec.time),
	}
}

// advance makes the next record below c.end the cursor's next, waiting for it to be fetched; false when the partition is read up
// to there, which is when the next offset is at or beyond it, and only then.
func (r *reader) advance(ctx context.Context, c *cursor) (bool, error) {
	for {
		if c.has {
			return c.rec.offset < c.end, nil
		}
		if c.pos >= c.end {
			return false, nil
		}
		if c.chunk == nil {
			chunk, err := r.fetcher.take(ctx, c.stream)
			if err != nil {
				return false, err
			}
			c.chunk = chunk
		}
		ok, err := c.chunk.next(&c.rec)
		if err != nil {
			return false, fmt.Errorf("%s/%d: %w", c.topic, c.number, err)
		}
		if !ok {
			c.pos = max(c.pos, c.chunk.last+1)
			c.release(r.fetcher)
			continue
		}
		switch {
		case c.rec.stamp != nil && !bytes.HasPrefix(c.rec.stamp, r.stamp):
			return false, fmt.Errorf("%w: the batch at offset %d of %s/%d is not of log %s", eventstore.ErrLogMismatch, c.rec.offset, c.topic, c.number, r.logID)
		case c.rec.offset < c.pos:
		case !c.rec.numbered:
			return false, fmt.Errorf("%w: the record at offset %d of %s/%d has no csn: it is not a relay's", eventstore.ErrLogMismatch, c.rec.offset, c.topic, c.number)
		case c.rec.CSN <= r.opts.After:
			c.pos = c.rec.offset + 1
		default:
			c.has = true
		}
	}
}

// skip moves on to an offset without reading what is before it.
func (c *cursor) skip(f *fetcher, to int64) {
	c.pos, c.has = to, false
	if c.chunk != nil && c.chunk.last < to {
		c.release(f)
	}
	if c.chunk == nil {
		f.seek(c.stream, to)
	}
}

// release gives a chunk back that was read to its end.
func (c *cursor) release(f *fetcher) {
	f.release(c.stream, c.chunk)
	c.chunk = nil
}
