package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/minheap"
	"github.com/millrace-go/millrace/internal/pause"
)

// defaultMaxBytes bounds what a reader has fetched ahead.
const defaultMaxBytes = 32 << 20

// Cuts implements [eventstore.Log]. Three goroutines share the work: one follows the watermark topic, one fetches the data
// partitions ahead of the reader, and the caller's merges. They end before the iteration does.
func (l *Log) Cuts(ctx context.Context, opts eventstore.CutOptions) iter.Seq2[*eventstore.Cut, error] {
	return func(yield func(*eventstore.Cut, error) bool) {
		err := l.cuts(ctx, opts, func(c *eventstore.Cut) bool { return yield(c, nil) })
		switch {
		case err == nil, errors.Is(err, errStop):
		case ctx.Err() != nil:
		default:
			yield(nil, fmt.Errorf("cuts: %w", l.explainLost(ctx, opts, seamError(err))))
		}
	}
}

func (l *Log) cuts(ctx context.Context, opts eventstore.CutOptions, yield func(*eventstore.Cut) bool) error {
	if l.isClosed() {
		return eventstore.ErrClosed
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(l.life, func() { cancel(eventstore.ErrClosed) })
	defer stop()

	err := l.readCuts(ctx, opts, yield)
	if errors.Is(context.Cause(ctx), eventstore.ErrClosed) {
		return eventstore.ErrClosed
	}
	return err
}

func (l *Log) readCuts(ctx context.Context, opts eventstore.CutOptions, yield func(*eventstore.Cut) bool) error {
	from, err := l.startOf(ctx, opts)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	f := newFetcher(l, opts)
	r := &reader{log: l, opts: opts, fetcher: f, after: opts.After, ends: make(ends), cursors: make(map[eventstore.Partition]*cursor)}
	stop := context.AfterFunc(ctx, f.wake)
	var wg sync.WaitGroup
	defer func() {
		cancel()
		wg.Wait()
		stop()
	}()
	wg.Go(func() { f.fail(f.follow(ctx, from)) })
	wg.Go(func() { f.fail(f.run(ctx)) })
	return r.run(ctx, yield)
}

const (
	// newLogPoll is how often a reader looks for a log that does not exist yet.
	newLogPoll = 250 * time.Millisecond
	// headLag is how long a head below the reader's progress may be a leader that does not know its high watermark yet.
	headLag = 2 * time.Second
)

// startOf returns the offset of the watermark to begin at. It waits for a log that does not exist yet.
func (l *Log) startOf(ctx context.Context, opts eventstore.CutOptions) (int64, error) {
	var seen time.Time
	for {
		var h *head
		err := l.client.retry(ctx, "head", func(ctx context.Context) (err error) {
			_, ok, err := l.client.topic(ctx, l.cfg.watermarkTopic())
			if err == nil && ok {
				h, err = l.readHead(ctx)
			}
			return err
		})
		if err != nil {
			return 0, err
		}
		switch {
		case h == nil:
		case opts.LogID != "" && h.mark.LogID != opts.LogID:
			return 0, fmt.Errorf("%w: the log's id is %s, the reader knows %s", eventstore.ErrLogMismatch, h.mark.LogID, opts.LogID)
		case h.mark.CSN >= opts.After:
			return l.findMark(ctx, opts.After)
		case seen.IsZero():
			seen = time.Now()
		case time.Since(seen) > headLag:
			return 0, fmt.Errorf("%w: the log ends at csn %d, the reader is at %d", eventstore.ErrLogMismatch, h.mark.CSN, opts.After)
		}
		if !pause.For(ctx, newLogPoll) {
			return 0, ctx.Err()
		}
	}
}

// reader merges what a fetcher brings into cuts. It is the side of the caller's goroutine.
type reader struct {
	log     *Log
	opts    eventstore.CutOptions
	fetcher *fetcher
	logID   string
	stamp   []byte                         // how a stamp of this log begins
	after   eventstore.CSN                 // the last cut's csn
	begun   bool                           // the partitions' positions are known
	ends    ends                           // of the last watermark
	seam    map[eventstore.Partition]int64 // the same, as handed out; not modified any more
	cursors map[eventstore.Partition]*cursor
	heap    minheap.Heap[*cursor]
	place   eventstore.Place // of the last record of the cut
	out     eventstore.Record
	blob    []byte // the last value that was not in its record
}

// run yields a cut for every watermark from opts.After on.
func (r *reader) run(ctx context.Context, yield func(*eventstore.Cut) bool) error {
	for {
		m, err := r.fetcher.nextMark(ctx)
		if err != nil {
			return err
		}
		if err := r.check(m); err != nil {
			return err
		}
		if !r.begun && m.CSN > r.opts.After {
			r.begin()
		}
		if r.begun {
			r.create(m)
		}
		if err := r.ends.apply(m); err != nil {
			return err
		}
		if r.seam == nil || len(m.Ends) > 0 {
			r.seam = r.ends.byPartition()
		}
		if m.CSN < r.opts.After {
			continue
		}
		var failed error
		cut := eventstore.NewCut(r.after, m.watermark(r.seam), func(yield func(*eventstore.Record, error) bool) {
			failed = r.records(ctx, m, yield)
		})
		if !yield(cut) {
			return errStop
		}
		if failed != nil {
			return failed
		}
		if r.begun {
			r.skip() // what was not read
		}
		r.after = m.CSN
	}
}

// check makes sure that a watermark goes on from the one before.
func (r *reader) check(m *mark) error {
	switch {
	case r.logID == "":
		r.logID, r.stamp = m.LogID, stampPrefix(m.LogID)
	case r.logID != m.LogID:
		return fmt.Errorf("%w: the watermark at offset %d is of log %s, those before it of %s", eventstore.ErrLogMismatch, m.offset, m.LogID, r.logID)
	}
	if m.CSN < r.after && r.begun {
		return fmt.Errorf("%w: the watermark at offset %d falls from csn %d to %d", eventstore.ErrLogMismatch, m.offset, r.after, m.CSN)
	}
	return nil
}

// begin sets out from the ends of the last watermark at or below the reader's progress.
func (r *reader) begin() {
	r.begun = true
	for topic, list := range r.ends {
		for n, end := range list {
			r.add(topic, int32(n), end)
		}
	}
}

// create adds the partitions that a watermark lists for the first time. They hold nothing below its end when it only lists them.
func (r *reader) create(m *mark) {
	for topic, list := range m.Ends {
		for n := len(r.ends[topic]); n < len(list); n++ {
			from := int64(0)
			if m.CSN == r.after {
				from = list[n]
			}
			r.add(topic, int32(n), from)
		}
	}
}

func (r *reader) add(topic string, n int32, from int64) {
	at := eventstore.Partition{Topic: topic, Number: n}
	if r.cursors[at] == nil && wanted(r.opts.Topics, topic) {
		c := &cursor{topic: topic, number: n, pos: from}
		c.stream = r.fetcher.open(eventstore.Partition{Topic: r.log.cfg.kafkaTopic(topic), Number: n}, topic, from)
		r.cursors[at] = c
	}
}

// records yields the records of the cut that m closes.
func (r *reader) records(ctx context.Context, m *mark, yield func(*eventstore.Record, error) bool) error {
	fail := func(err error) error {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		if ctx.Err() == nil {
			err = r.log.explainLost(ctx, r.opts, seamError(err))
		}
		yield(nil, fmt.Errorf("cut %d: %w", m.CSN, err))
		return err
	}
	r.heap.Reset()
	r.place = eventstore.Place{}
	for at, c := range r.cursors {
		if c.end = r.ends[at.Topic][at.Number]; c.pos >= c.end && !c.has {
			continue
		}
		ok, err := r.advance(ctx, c)
		if err != nil {
			return fail(err)
		}
		if ok {
			r.heap.Push(c)
		}
	}
	for n := 0; r.heap.Len() > 0; n++ {
		if n%64 == 0 && ctx.Err() != nil {
			return fail(ctx.Err())
		}
		c := r.heap.Min()
		if err := r.inOrder(c, m); err != nil {
			return fail(err)
		}
		if c.rec.claim {
			if err := r.redeem(ctx, c); err != nil {
				return fail(err)
			}
		}
		c.fill(&r.out)
		c.has, c.pos = false, c.rec.offset+1
		if !yield(&r.out, nil) {
			return nil
		}
		ok, err := r.advance(ctx, c)
		if err != nil {
			return fail(err)
		}
		if ok {
			r.heap.Fix()
		} else {
			r.heap.Pop()
		}
	}
	return nil
}

// inOrder makes sure that a record belongs to the cut and follows the one before it.
func (r *reader) inOrder(c *cursor, m *mark) error {
	at := c.rec.Place
	if at.CSN > m.CSN || at.CSN <= r.after || at.Compare(r.place) <= 0 {
		return fmt.Errorf("%w: csn %d index %d at offset %d of %s/%d, after csn %d index %d, in the cut (%d, %d]",
			eventstore.ErrLogMismatch, at.CSN, at.Index, c.rec.offset, c.topic, c.number, r.place.CSN, r.place.Index, r.after, m.CSN)
	}
	r.place = at
	return nil
}

// skip moves every cursor to the end of the cut, past what was not read.
func (r *reader) skip() {
	for at, c := range r.cursors {
		if end := r.ends[at.Topic][at.Number]; c.pos < end && (!c.has || c.rec.offset < end) {
			c.skip(r.fetcher, end)
		}
	}
}
