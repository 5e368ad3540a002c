package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
	"github.com/segmentio/kafka-go/protocol/metadata"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/pause"
)

const (
	// requestTimeout bounds one request, so that a half-open connection is found out.
	requestTimeout = 15 * time.Second
	minBackoff     = 10 * time.Millisecond
	maxBackoff     = time.Second
	tellEvery      = 10 * time.Second // how often the operator hears that something does not answer
)

// client makes requests to the cluster.
type client struct {
	kafka.Client
	log *slog.Logger
}

// send makes one request, with a time limit.
func send[T protocol.Message](ctx context.Context, c *client, req protocol.Message) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var none T
	res, err := c.Transport.RoundTrip(ctx, c.Addr, req)
	if err != nil {
		return none, err
	}
	out, ok := res.(T)
	if !ok {
		return none, fmt.Errorf("%w: reply %T to %T", errMalformed, res, req)
	}
	return out, nil
}

// retry calls do until it succeeds, fails with something that does not pass, or ctx ends.
func (c *client) retry(ctx context.Context, step string, do func(context.Context) error) error {
	backoff := minBackoff
	begun, told := time.Now(), time.Time{}
	for {
		err := do(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			if classify(err) == passing && !errors.Is(err, ctx.Err()) {
				return fmt.Errorf("%s: %w (last: %w)", step, ctx.Err(), err)
			}
			return fmt.Errorf("%s: %w", step, ctx.Err())
		}
		if classify(err) != passing {
			return fmt.Errorf("%s: %w", step, err)
		}
		if time.Since(begun) > time.Second && time.Since(told) > tellEvery {
			told = time.Now()
			c.log.Warn("kafka does not take it, still trying", "step", step, "for", time.Since(begun).Round(time.Second), "err", err, "hint", hint(err))
		}
		if !pause.For(ctx, backoff) {
			return fmt.Errorf("%s: %w (last: %w)", step, ctx.Err(), err)
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// topicLayout is what the metadata say of a topic.
type topicLayout struct {
	partitions int
	replicas   int
	leaders    map[int32]int32 // by partition; absent where there is none
}

// layout returns the topics of the cluster that keep accepts.
func (c *client) layout(ctx context.Context, keep func(name string) bool) (map[string]topicLayout, error) {
	res, err := send[*metadata.Response](ctx, c, &metadata.Request{})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("connect to %v: nothing there answers as Kafka does: %w", c.Addr, err)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to %v: %w", c.Addr, err)
	}
	topics := make(map[string]topicLayout)
	for _, t := range res.Topics {
		if t.ErrorCode != 0 && kafka.Error(t.ErrorCode) != kafka.LeaderNotAvailable || !keep(t.Name) {
			continue
		}
		l := topicLayout{partitions: len(t.Partitions), leaders: make(map[int32]int32, len(t.Partitions))}
		for _, p := range t.Partitions {
			l.replicas = max(l.replicas, len(p.ReplicaNodes))
			if p.LeaderID >= 0 {
				l.leaders[p.PartitionIndex] = p.LeaderID
			}
		}
		topics[t.Name] = l
	}
	return topics, nil
}

// topic returns the layout of one topic, ok false where there is none.
func (c *client) topic(ctx context.Context, name string) (l topicLayout, ok bool, err error) {
	topics, err := c.layout(ctx, func(n string) bool { return n == name })
	l, ok = topics[name]
	return l, ok, err
}

// span is the range of offsets that a partition holds: the first one, and the one after the last (the high watermark).
type span struct{ start, end int64 }

const (
	latest   = -1
	earliest = -2
)

// spans returns the spans of partitions of Kafka topics.
func (c *client) spans(ctx context.Context, parts []eventstore.Partition) (map[eventstore.Partition]span, error) {
	out := make(map[eventstore.Partition]span, len(parts))
	for _, which := range []int64{earliest, latest} {
		req := &listoffsets.Request{ReplicaID: -1}
		for _, p := range parts {
			req.Topics = append(req.Topics, listoffsets.RequestTopic{Topic: p.Topic, Partitions: []listoffsets.RequestPartition{
				{Partition: p.Number, CurrentLeaderEpoch: -1, Timestamp: which},
			}})
		}
		res, err := send[*listoffsets.Response](ctx, c, req)
		if err != nil {
			return nil, fmt.Errorf("list offsets: %w", err)
		}
		for _, t := range res.Topics {
			for _, p := range t.Partitions {
				at := eventstore.Partition{Topic: t.Topic, Number: p.Partition}
				if p.ErrorCode != 0 {
					return nil, fmt.Errorf("list offsets of %v: %w", at, kafka.Error(p.ErrorCode))
				}
				s := out[at]
				if which == earliest {
					s.start = p.Offset
				} else {
					s.end = p.Offset
				}
				out[at] = s
			}
		}
	}
	for _, p := range parts {
		if _, ok := out[p]; !ok {
			return nil, fmt.Errorf("list offsets of %v: no answer: %w", p, kafka.UnknownTopicOrPartition)
		}
	}
	return out, nil
}

// span returns the span of one partition.
func (c *client) span(ctx context.Context, p eventstore.Partition) (span, error) {
	s, err := c.spans(ctx, []eventstore.Partition{p})
	return s[p], err
}
