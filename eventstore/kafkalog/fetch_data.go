package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/pause"
)

const (
	minAsk = 64 << 10 // the least to ask of a partition: a batch is whole anyway
	maxAsk = 4 << 20  // the most to ask of a broker at once
)

// question is one partition's part of a fetch: what was asked of which stream.
type question struct {
	stream *stream
	ask    ask
	moves  int
	limit  int64
	quota  int // bytes of chunks that the stream may have
}

// run fetches data, without end: what is below the newest watermark's ends, for partitions that have less than their share of
// the budget. One that has nothing is always asked for, so the reader, who may wait for just that one, always goes on.
func (f *fetcher) run(ctx context.Context) error {
	buffers := make(map[int32]*[]byte) // for replies, by broker
	var leaders map[eventstore.Partition]int32
	backoff, told := minBackoff, time.Time{}
	for {
		questions, err := f.questions(ctx)
		if err != nil {
			return err
		}
		if leaders, err = f.leaders(ctx, leaders, questions); err == nil {
			err = f.askAll(ctx, leaders, buffers, questions)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			backoff = minBackoff
			continue
		}
		if classify(err) != passing {
			return err
		}
		if backoff == maxBackoff && time.Since(told) > tellEvery {
			told = time.Now()
			f.log.log.Warn("kafka does not answer, still trying", "step", "fetch", "err", err)
		}
		leaders = nil
		if !pause.For(ctx, backoff) {
			return ctx.Err()
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// questions waits until there is something to fetch and room for it.
func (f *fetcher) questions(ctx context.Context) ([]question, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if questions := f.questionsLocked(); len(questions) > 0 {
			return questions, nil
		}
		f.changed.Wait()
	}
}

func (f *fetcher) questionsLocked() []question {
	active := 0
	for _, s := range f.streams {
		if s.bytes > 0 || s.ask.offset < s.limit {
			active++
		}
	}
	if active == 0 {
		return nil
	}
	quota := max(1, f.maxBytes/active)
	var questions []question
	for _, s := range f.streams {
		if s.ask.offset >= s.limit || s.bytes > 0 && (s.bytes > quota/2 || f.bytes > f.maxBytes) {
			continue
		}
		q := question{stream: s, ask: s.ask, moves: s.moves, limit: s.limit, quota: quota}
		// Batches grow when they are decompressed.
		q.ask.bytes = max(q.ask.bytes, min(int(float64(quota-s.bytes)/f.expand), maxAsk), min(minAsk, f.maxBytes))
		questions = append(questions, q)
	}
	// The one the reader waits for goes first: whatever the limits are, the first one of a request gets a batch.
	slices.SortStableFunc(questions, func(a, b question) int { return rank(a) - rank(b) })
	return questions
}

func rank(q question) int {
	switch {
	case q.stream.wanted:
		return 0
	case q.stream.bytes == 0:
		return 1
	}
	return 2
}

// leaders completes what is known of the partitions' leaders.
func (f *fetcher) leaders(ctx context.Context, known map[eventstore.Partition]int32, questions []question) (map[eventstore.Partition]int32, error) {
	missing := func(q question) bool { _, ok := known[q.stream.kafka]; return !ok }
	if !slices.ContainsFunc(questions, missing) {
		return known, nil
	}
	topics, err := f.log.client.layout(ctx, f.log.cfg.isData)
	if err != nil {
		return nil, err
	}
	known = make(map[eventstore.Partition]int32)
	for name, t := range topics {
		for n, leader := range t.leaders {
			known[eventstore.Partition{Topic: name, Number: n}] = leader
		}
	}
	for _, q := range questions {
		if missing(q) {
			return nil, fmt.Errorf("fetch: %w", protocol.NewErrNoLeader(q.stream.kafka.Topic, q.stream.kafka.Number))
		}
	}
	return known, nil
}

// askAll sends the questions, one request a broker, and takes over the answers.
func (f *fetcher) askAll(ctx context.Context, leaders map[eventstore.Partition]int32, buffers map[int32]*[]byte, questions []question) error {
	byBroker := make(map[int32][]question)
	for _, q := range questions {
		leader := leaders[q.stream.kafka]
		byBroker[leader] = append(byBroker[leader], q)
		if buffers[leader] == nil {
			buffers[leader] = new([]byte)
		}
	}
	brokers := sortedKeys(byBroker)
	if len(brokers) == 1 {
		return f.askBroker(ctx, buffers[brokers[0]], byBroker[brokers[0]])
	}
	errs := make([]error, len(brokers))
	var wg sync.WaitGroup
	for i, id := range brokers {
		wg.Go(func() { errs[i] = f.askBroker(ctx, buffers[id], byBroker[id]) })
	}
	wg.Wait()
	for _, err := range errs {
		if fatal(err) {
			return err
		}
	}
	return errors.Join(errs...)
}

func (f *fetcher) askBroker(ctx context.Context, buf *[]byte, questions []question) error {
	req := &fetchRequest{wait: time.Millisecond, parts: make([]fetchPartition, 0, len(questions)), buf: *buf}
	*buf = nil
	for _, q := range questions {
		req.maxBytes = min(req.maxBytes+q.ask.bytes, max(maxAsk, questions[0].ask.bytes))
		req.parts = append(req.parts, fetchPartition{q.stream.kafka, q.ask.probe, q.ask.bytes})
	}
	res, err := f.log.client.fetch(ctx, req)
	if err != nil {
		return err
	}
	*buf = res.buf
	var failed error
	for i, q := range questions {
		got := res.part(q.stream.kafka, i)
		if got == nil {
			continue
		}
		err := got.err
		if errors.Is(err, kafka.OffsetOutOfRange) {
			err = f.log.outOfRange(ctx, got.Partition, q.ask.offset)
		}
		if err == nil {
			err = f.answered(q, got, i == 0)
		}
		if err != nil && (failed == nil || fatal(err)) {
			failed = err
		}
	}
	return failed
}

// answered takes over the batches of an answer, as many as the stream may have.
func (f *fetcher) answered(q question, got *fetchedPartition, first bool) error {
	var chunks []*chunk
	next, need, size, raw := q.ask.offset, 0, 0, 0
	buf := f.buffer()
	for rest := got.batches; len(chunks) == 0 || size < q.quota; {
		b, n, err := nextBatch(rest, buf)
		if err != nil {
			return fmt.Errorf("%v: %w", got.Partition, err)
		}
		if b == nil {
			need = n
			break
		}
		rest = rest[n:]
		if b.last < next {
			continue
		}
		// The log writes without holes, and markers are batches, too.
		if b.base > next || !b.control && int64(b.count) != b.last-b.base+1 {
			return fmt.Errorf("%w: %v has holes from offset %d to %d: it was compacted (cleanup.policy must be delete)", eventstore.ErrPositionLost, got.Partition, next, b.last)
		}
		next = b.last + 1
		c := &chunk{batch: *b}
		switch {
		case b.control:
			c.records, c.count = nil, 0 // only its offsets matter
		case b.owned:
			c.buf, buf = b.records, f.buffer()
		default: // part of the reply, whose memory is used again
			c.buf = append(buf[:0], b.records...)
			c.records, buf = c.buf, f.buffer()
		}
		raw += n
		size += len(c.buf)
		chunks = append(chunks, c)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keep(buf)
	if raw > minAsk {
		f.expand = max(1, 0.75*f.expand+0.25*float64(size)/float64(raw))
	}
	s := q.stream
	if s.moves != q.moves {
		return nil // the reader has moved on meanwhile
	}
	switch {
	case next > q.ask.offset:
		s.ask.moved(next, 0)
	case need > 0 || first && q.ask.probe < got.high:
		s.ask.bytes = q.ask.bytes
		s.ask.stuck(need, f.log.cfg.MaxMessageBytes)
	}
	for _, c := range chunks {
		s.queue = append(s.queue, c)
		s.bytes += len(c.buf)
		f.bytes += len(c.buf)
	}
	if len(chunks) > 0 {
		f.changed.Broadcast()
	}
	return s.behind(got, q.limit)
}

// behind tells what it means that a partition ends before an end that a watermark states. A leader that has just taken over does
// not know for a moment how far the others are; if it lasts, acknowledged records are lost, or the topic is another one.
// The limit is the one of the time of asking: watermarks go on meanwhile.
func (s *stream) behind(got *fetchedPartition, limit int64) error {
	if got.high >= limit {
		s.behindSince = time.Time{}
		return nil
	}
	if s.behindSince.IsZero() {
		s.behindSince = time.Now()
	}
	if time.Since(s.behindSince) < headLag {
		return fmt.Errorf("%v ends at offset %d, a watermark says %d: %w", got.Partition, got.high, limit, kafka.OffsetNotAvailable)
	}
	return fmt.Errorf("%w: %v ends at offset %d, a watermark says %d: the topic was recreated, or acknowledged records are lost",
		eventstore.ErrLogMismatch, got.Partition, got.high, limit)
}

// buffer returns memory for a chunk.
func (f *fetcher) buffer() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.free); n > 0 {
		buf := f.free[n-1]
		f.free = f.free[:n-1]
		return buf
	}
	return nil
}
