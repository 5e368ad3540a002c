package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/pause"
	"github.com/millrace-go/millrace/internal/safeguard"
)

// Begin implements [eventstore.Log]. It checks the settings of the pipeline's topics first and creates the watermark topic where
// there is none. It waits for brokers that cannot be reached and for partitions without a leader, and says so in the log.
func (l *Log) Begin(ctx context.Context) (eventstore.Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	if l.isClosed() {
		return nil, fmt.Errorf("begin: %w", eventstore.ErrClosed)
	}
	w, err := l.begin(ctx)
	if err != nil {
		return nil, l.ended(ctx, "begin", err)
	}
	return w, nil
}

// begin takes the steps 4 to 10 of the protocol, in its order.
func (l *Log) begin(ctx context.Context) (*writer, error) {
	if err := l.prepareTopics(ctx); err != nil { // 4
		return nil, err
	}
	producer, err := l.initProducer(ctx) // 5
	if err != nil {
		return nil, err
	}
	begun, h, err := l.fenceMarks(ctx, producer)
	if err != nil {
		return nil, err
	}
	foreign, err := l.foreign(ctx, producer, h) // 8
	if err != nil {
		return nil, err
	}
	since := l.uptime()
	for waited := time.Duration(0); foreign != nil && !l.cfg.TakeOver && waited < stated(h); {
		waited = stated(h)
		if err := l.awaitLease(ctx, since+waited, foreign); err != nil {
			return nil, err
		}
		if begun, h, err = l.fenceMarks(ctx, producer); err != nil { // that writer may have gone on until now, and stated a longer lease
			return nil, err
		}
	}
	if h == nil {
		if err := l.checkNew(ctx); err != nil {
			return nil, err
		}
		return l.newWriter(producer, begun, nil), nil
	}
	if err := l.checkListed(ctx, h.ends); err != nil {
		return nil, err
	}
	var listed []eventstore.Partition
	for _, topic := range sortedKeys(h.ends) {
		for n := range h.ends[topic] {
			listed = append(listed, eventstore.Partition{Topic: l.cfg.kafkaTopic(topic), Number: int32(n)})
		}
	}
	if err := l.fence(ctx, producer, listed); err != nil { // 9
		return nil, err
	}
	w := l.newWriter(producer, begun, h)
	w.foreign = foreign != nil
	if safeguard.TailRead {
		if w.start.Tail, err = w.readTail(ctx); err != nil { // 10
			return nil, err
		}
	}
	l.log.Info("log begun", "producer", producer.id, "epoch", producer.epoch, "csn", uint64(h.mark.CSN), "tail", len(w.start.Tail.Landed))
	return w, nil
}

// prepareTopics checks the watermark topic and every data topic of the pipeline, and creates the watermark topic.
func (l *Log) prepareTopics(ctx context.Context) error {
	name := l.cfg.watermarkTopic()
	var topics map[string]topicLayout
	err := l.client.retry(ctx, "topics", func(ctx context.Context) (err error) {
		topics, err = l.client.layout(ctx, func(n string) bool {
			return l.cfg.isData(n) || n == name
		})
		return err
	})
	if err != nil {
		return err
	}
	deviations, err := l.topicDeviations(ctx, topics)
	if err != nil {
		return err
	}
	brokers, err := l.brokerDeviations(ctx)
	if err != nil {
		return err
	}
	if err := settingsError(append(deviations, brokers...)); err != nil {
		return err
	}
	if _, ok := topics[name]; ok {
		return nil
	}
	made, err := l.createTopic(ctx, name, 1, l.cfg.settings())
	if err != nil {
		return err
	}
	return l.checkTopics(ctx, map[string]topicLayout{name: made})
}

// checkNew makes sure that a log without a watermark is new: data without one would be numbered again from 1.
func (l *Log) checkNew(ctx context.Context) error {
	return l.client.retry(ctx, "new log", func(ctx context.Context) error {
		topics, err := l.client.layout(ctx, l.cfg.isData)
		if err != nil {
			return err
		}
		for _, name := range sortedKeys(topics) {
			if err := l.checkEmpty(ctx, name, topics[name].partitions); err != nil {
				return err
			}
		}
		return nil
	})
}

// checkEmpty refuses a topic with records that no watermark lists.
func (l *Log) checkEmpty(ctx context.Context, name string, partitions int) error {
	for n := range partitions {
		part := eventstore.Partition{Topic: name, Number: int32(n)}
		s, err := l.client.span(ctx, part)
		if err != nil {
			return err
		}
		if s.end > s.start {
			return fmt.Errorf("%w: %v holds %d offsets, but no watermark lists it: the watermark topic is not this log's, or the topic is another program's",
				eventstore.ErrLogMismatch, part, s.end-s.start)
		}
	}
	return nil
}

// fenceMarks takes the steps 6 and 7. The lease counts from when it began.
func (l *Log) fenceMarks(ctx context.Context, producer producerID) (begun time.Duration, h *head, err error) {
	begun = l.uptime()
	if err := l.fence(ctx, producer, []eventstore.Partition{l.watermarks()}); err != nil { // 6
		return begun, nil, err
	}
	h, err = l.readHead(ctx) // 7
	return begun, h, err
}

// foreign returns an error that names the writer before this one, if the fence does not reach it: step 8. On a log without a watermark the markers of its
// fence tell of it.
func (l *Log) foreign(ctx context.Context, mine producerID, h *head) (foreign, err error) {
	var other producerID
	if h != nil {
		if other = (producerID{h.mark.Producer, h.mark.Epoch}); other.id == mine.id && other.epoch > mine.epoch {
			return nil, fmt.Errorf("%w (the last watermark has epoch %d, this writer %d)", eventstore.ErrFenced, other.epoch, mine.epoch)
		}
	} else if other, err = l.fencedBefore(ctx, mine); err != nil {
		return nil, err
	}
	if other.id == mine.id {
		return nil, nil
	}
	return fmt.Errorf("%w (it has %d, this writer %d): its transactional id expired or its epochs are used up", ErrForeignProducer, other.id, mine.id), nil
}

// awaitLease waits until the writer before, which the fence does not reach, writes nothing more: it cannot renew its lease any more, since the
// transactional id is this producer's now.
func (l *Log) awaitLease(ctx context.Context, until time.Duration, foreign error) error {
	l.log.Warn("waiting until the lease of the writer before is over; if it is known to be dead, begin with TakeOver instead", "for", until-l.uptime(), "err", foreign)
	for {
		left := until - l.uptime()
		if left <= 0 {
			return nil
		}
		if !pause.For(ctx, min(left, time.Minute)) { // timers may stand still during suspend
			return fmt.Errorf("%w: %w", ctx.Err(), foreign)
		}
	}
}

// goneTimeout is how long a listed topic may be missing in the metadata before it counts as deleted.
const goneTimeout = 3 * metadataTTL

// checkListed makes sure that every listed partition is there: a deleted topic would fail the whole fence.
func (l *Log) checkListed(ctx context.Context, listed ends) error {
	begun := time.Now()
	return l.client.retry(ctx, "listed topics", func(ctx context.Context) error {
		topics, err := l.client.layout(ctx, l.cfg.isData)
		if err != nil {
			return err
		}
		for _, topic := range sortedKeys(listed) {
			name, want := l.cfg.kafkaTopic(topic), len(listed[topic])
			has := topics[name].partitions
			if has >= want {
				continue
			}
			if time.Since(begun) < goneTimeout {
				return fmt.Errorf("%s: %w", name, kafka.UnknownTopicOrPartition)
			}
			return fmt.Errorf("%w: %w: %s has %d partitions, the last watermark lists %d; %s", eventstore.ErrLogMismatch, errTopicGone, name, has, want, newLog)
		}
		return nil
	})
}

var errTopicGone = errors.New("a listed topic is gone")
