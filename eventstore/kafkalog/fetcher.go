package kafkalog

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// fetcher fetches ahead of a reader, watermarks and data, within a budget of bytes. Its state is shared between the reader's
// goroutine, the one that follows the watermarks and the one that fetches data.
type fetcher struct {
	log      *Log
	topics   []string
	maxBytes int

	mu      sync.Mutex
	changed sync.Cond // anything below changed
	err     error     // what ended fetching
	marks   []*mark   // followed, not yet asked for
	newest  ends      // of the newest watermark followed: how far data may be fetched
	streams []*stream
	bytes   int      // of all chunks that are fetched and not yet released
	free    [][]byte // buffers of released chunks, to be used again

	expand float64 // how many bytes a fetched byte becomes
}

// stream is what is fetched of one partition.
type stream struct {
	kafka  eventstore.Partition
	topic  string // of the seam
	ask    ask    // what to ask for next
	limit  int64  // how far to fetch: the newest end that is known
	queue  []*chunk
	bytes  int  // of its chunks that are not yet released
	moves  int  // grows with each seek: an answer to an older question is dropped
	wanted bool // the reader waits for it

	behindSince time.Time // since when the partition ends before limit
}

// chunk is a fetched batch in memory of its own.
type chunk struct {
	batch
	buf []byte
}

const (
	// maxMarks bounds the watermarks followed ahead of the reader.
	maxMarks = 1024
	// maxFree bounds the buffers kept for later.
	maxFree = 32
)

func newFetcher(l *Log, opts eventstore.CutOptions) *fetcher {
	f := &fetcher{log: l, topics: opts.Topics, maxBytes: opts.MaxBytes, newest: make(ends), expand: 4}
	if f.maxBytes <= 0 {
		f.maxBytes = defaultMaxBytes
	}
	f.changed.L = &f.mu
	return f
}

func wanted(topics []string, topic string) bool {
	return topics == nil || slices.Contains(topics, topic)
}

// wake makes everyone who waits look again.
func (f *fetcher) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changed.Broadcast()
}

// fail ends fetching. The first error counts.
func (f *fetcher) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
	f.changed.Broadcast()
}

// nextMark waits for the next watermark.
func (f *fetcher) nextMark(ctx context.Context) (*mark, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.marks) == 0 {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if f.err != nil {
			return nil, f.err
		}
		f.changed.Wait()
	}
	m := f.marks[0]
	f.marks[0] = nil
	f.marks = f.marks[1:]
	if len(f.marks) == maxMarks/2 {
		f.changed.Broadcast()
	}
	return m, nil
}

// open begins to fetch a partition from an offset on.
func (f *fetcher) open(part eventstore.Partition, topic string, from int64) *stream {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &stream{kafka: part, topic: topic, ask: askFrom(from, 0)}
	if list := f.newest[topic]; int(part.Number) < len(list) {
		s.limit = list[part.Number]
	}
	f.streams = append(f.streams, s)
	f.changed.Broadcast()
	return s
}

// take waits for the next chunk of a stream.
func (f *fetcher) take(ctx context.Context, s *stream) (*chunk, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(s.queue) == 0 {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if f.err != nil {
			return nil, f.err
		}
		s.wanted = true
		f.changed.Broadcast()
		f.changed.Wait()
	}
	s.wanted = false
	c := s.queue[0]
	s.queue[0] = nil
	s.queue = s.queue[1:]
	return c, nil
}

// release gives back the memory of a chunk.
func (f *fetcher) release(s *stream, c *chunk) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.releaseLocked(s, c)
	f.changed.Broadcast()
}

func (f *fetcher) releaseLocked(s *stream, c *chunk) {
	s.bytes -= len(c.buf)
	f.bytes -= len(c.buf)
	f.keep(c.buf)
}

// keep takes memory that is not used any more.
func (f *fetcher) keep(buf []byte) {
	if len(f.free) < maxFree && cap(buf) > 0 && cap(buf) <= max(f.maxBytes/maxFree, 2*batchBytes) {
		f.free = append(f.free, buf[:0])
	}
}

// seek drops what was fetched below an offset and goes on from there.
func (f *fetcher) seek(s *stream, to int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(s.queue) > 0 && s.queue[0].last < to {
		f.releaseLocked(s, s.queue[0])
		s.queue = s.queue[1:]
	}
	if s.ask.offset < to {
		s.ask.moved(to, 0)
		s.moves++
	}
	f.changed.Broadcast()
}

// follow reads the watermark topic from an offset on, without end.
func (f *fetcher) follow(ctx context.Context, from int64) error {
	part := f.log.watermarks()
	a := askFrom(from, scanBytes)
	var buf []byte
	for {
		if err := f.awaitRoom(ctx); err != nil {
			return err
		}
		err := f.log.client.retry(ctx, "follow "+part.Topic, func(ctx context.Context) error {
			got, err := f.log.fetchOne(ctx, part, a, fetchWait, &buf)
			if err != nil {
				return err
			}
			return f.followed(got, &a)
		})
		if err != nil {
			return err
		}
	}
}

// awaitRoom waits until the reader has caught up with the watermarks.
func (f *fetcher) awaitRoom(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.marks) > maxMarks/2 && ctx.Err() == nil {
		f.changed.Wait()
	}
	return ctx.Err()
}

// followed takes over the watermarks of an answer.
func (f *fetcher) followed(got *fetchedPartition, a *ask) error {
	next, need := a.offset, 0
	var marks []*mark
	for rest := got.batches; len(marks) < maxMarks/2; {
		b, size, err := nextBatch(rest, nil)
		if err != nil {
			return err
		}
		if b == nil {
			need = size
			break
		}
		rest = rest[size:]
		if err := eachMark(b, a.offset, got.high, func(m *mark) error { marks = append(marks, m); return nil }); err != nil {
			return err
		}
		next = max(next, b.last+1)
	}
	switch {
	case next > a.offset:
		a.moved(next, scanBytes)
	case a.probe < got.high:
		a.stuck(need, f.log.cfg.MaxMessageBytes)
	}
	if len(marks) == 0 {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range marks {
		f.marks = append(f.marks, m)
		for topic, list := range m.Ends {
			f.newest[topic] = list
		}
	}
	for _, s := range f.streams {
		if list := f.newest[s.topic]; int(s.kafka.Number) < len(list) {
			s.limit = list[s.kafka.Number]
		}
	}
	f.changed.Broadcast()
	return nil
}

// fatal tells whether an error of fetching ends it.
func fatal(err error) bool {
	return err != nil && (classify(err) == lasting || errors.Is(err, errMalformed))
}
