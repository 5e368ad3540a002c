package kafkalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/election"
)

var _ eventstore.LeaderLog = (*Log)(nil)

// Lead implements [eventstore.LeaderLog], over the pipeline's topic "leader" (docs/decisions/0009-leadership.md).
func (l *Log) Lead(ctx context.Context, c eventstore.Contender) (eventstore.Leadership, error) {
	if l.isClosed() {
		return nil, fmt.Errorf("lead: %w", eventstore.ErrClosed)
	}
	o := election.Options{Name: c.Name, Patience: c.Patience, Logger: l.log}
	if o.Patience <= 0 {
		o.Patience = eventstore.DefaultPatience
	}
	if c.Changed != nil {
		o.Changed = func(now election.Leader) { c.Changed(eventstore.Leader(now)) }
	}
	list := beats{l}
	err := list.prepare(ctx)
	if err != nil {
		return nil, l.ended(ctx, "lead", err)
	}
	turn, err := election.Lead(ctx, list, o)
	if err != nil {
		return nil, l.ended(ctx, "lead", err)
	}
	return leadership{turn}, nil
}

type leadership struct{ *election.Leadership }

// Leader implements [eventstore.Leadership].
func (t leadership) Leader() eventstore.Leader { return eventstore.Leader(t.Leadership.Leader) }

// Silence implements [eventstore.Leadership].
func (t leadership) Silence() time.Duration { return t.Leadership.Silence }

// beats is the topic in which the contenders tell each other who leads.
type beats struct{ log *Log }

const (
	// beatsKept is for how long the topic keeps what was said: only the last words count.
	beatsKept = time.Hour
	// backlog is how many of the last records a contender reads at first.
	backlog = 256
	// beatGrace is how much longer than asked to an answer may take: a half-open connection is found out sooner than elsewhere.
	beatGrace = 3 * time.Second
	// beatBytes is how much to ask for at once: more than the backlog has.
	beatBytes = 256 << 10
)

// beatSettings are those of the topic. Its records have the broker's time: that of a contender may jump.
func beatSettings() []setting {
	millis := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	return []setting{
		{name: "cleanup.policy", value: "delete"},
		{name: "message.timestamp.type", value: "LogAppendTime"},
		{name: "retention.ms", value: millis(beatsKept)},
		{name: "segment.ms", value: millis(beatsKept)},
	}
}

func (b beats) partition() eventstore.Partition {
	return eventstore.Partition{Topic: b.log.cfg.leaderTopic()}
}

// prepare creates the topic where there is none.
func (b beats) prepare(ctx context.Context) error {
	name := b.log.cfg.leaderTopic()
	found := false
	err := b.log.client.retry(ctx, "topic "+name, func(ctx context.Context) (err error) {
		_, found, err = b.log.client.topic(ctx, name)
		return err
	})
	if err != nil || found {
		return err
	}
	_, err = b.log.createTopic(ctx, name, 1, beatSettings())
	return err
}

// Append implements [election.List]. The records are nobody's: no fence may keep a contender from speaking.
func (b beats) Append(ctx context.Context, r election.Record) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var building builder
	building.addPlain(value, time.Now())
	batch, err := building.seal(nil, nil, producerID{-1, -1}, -1)
	if err != nil {
		return err
	}
	return b.log.client.retry(ctx, "write to "+b.log.cfg.leaderTopic(), func(ctx context.Context) error {
		req := produceRequest(b.partition(), recordSet(batch))
		_, err := b.log.produceOnce(ctx, &req)
		return b.again(ctx, err)
	})
}

// Read implements [election.List].
func (b beats) Read(ctx context.Context, from int64, wait time.Duration) (entries []election.Entry, next int64, err error) {
	if b.log.isClosed() {
		return nil, 0, eventstore.ErrClosed
	}
	if from < 0 {
		return b.last(ctx)
	}
	wait = min(wait, fetchWait)
	ctx, cancel := context.WithTimeout(ctx, wait+beatGrace)
	defer cancel()
	var buf []byte
	got, err := b.log.fetchOne(ctx, b.partition(), askFrom(from, beatBytes), wait, &buf)
	switch {
	case errors.Is(err, eventstore.ErrPositionLost), errors.Is(err, eventstore.ErrLogMismatch):
		return b.last(ctx) // cut, or made anew
	case err != nil:
		return nil, 0, b.again(ctx, err)
	}
	next = from
	for rest := got.batches; ; {
		batch, size, err := nextBatch(rest, nil)
		if err != nil || batch == nil {
			return entries, next, err
		}
		if entries, err = appendBeats(entries, batch, next); err != nil {
			return nil, 0, err
		}
		rest, next = rest[size:], max(next, batch.last+1)
	}
}

// last reads the backlog.
func (b beats) last(ctx context.Context) (entries []election.Entry, next int64, err error) {
	s, err := b.log.client.span(ctx, b.partition())
	if err != nil {
		return nil, 0, b.again(ctx, err)
	}
	from := max(s.start, s.end-backlog)
	err = b.log.scan(ctx, b.partition(), from, s.end, beatBytes, func(batch *batch) (err error) {
		entries, err = appendBeats(entries, batch, from)
		return err
	})
	return entries, s.end, err
}

// appendBeats adds the records of a batch from an offset on. What is not a contender's word is passed over.
func appendBeats(entries []election.Entry, b *batch, from int64) ([]election.Entry, error) {
	if b.control {
		return entries, nil
	}
	for {
		var r record
		ok, err := b.next(&r)
		if err != nil || !ok {
			return entries, err
		}
		e := election.Entry{Offset: r.offset}
		if r.offset >= from && json.Unmarshal(r.value, &e.Record) == nil {
			entries = append(entries, e)
		}
	}
}

// again makes sure that the topic is there when it seems to be gone.
func (b beats) again(ctx context.Context, err error) error {
	if errors.Is(err, kafka.UnknownTopicOrPartition) || errors.Is(err, protocol.ErrNoTopic) || errors.Is(err, protocol.ErrNoPartition) {
		return errors.Join(err, b.prepare(ctx))
	}
	return err
}

// Lasting implements [election.List].
func (b beats) Lasting(err error) bool {
	return b.log.isClosed() || classify(err) == lasting && !errors.Is(err, context.Canceled)
}
