package kafkalog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"

	"github.com/millrace-go/millrace/eventstore"
)

const acksAll = -1

// produceAll sends the flush in hand, all partitions at once, and waits for all.
func (w *writer) produceAll(ctx context.Context) error {
	if len(w.flush.touched) == 1 {
		return w.produceOne(ctx, w.flush.touched[0])
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(w.flush.touched))
	var wg sync.WaitGroup
	for i, p := range w.flush.touched {
		wg.Go(func() {
			if errs[i] = w.produceOne(ctx, p); errs[i] != nil && classify(errs[i]) != passing {
				cancel() // the writer has ended, whatever becomes of the others
			}
		})
	}
	wg.Wait()
	// Of several errors the one that says most: fenced above all, the echo of cancel least.
	var worst error
	for _, err := range errs {
		switch {
		case err == nil:
		case classify(err) == fenced:
			return err
		case worst == nil || errors.Is(worst, context.Canceled):
			worst = err
		}
	}
	return worst
}

func (w *writer) produceOne(ctx context.Context, p *partition) error {
	if err := w.produce(ctx, p); err != nil {
		return err
	}
	p.acknowledged(p.lastPending)
	return nil
}

// produce sends a partition's batches, one after the other. Each is repeated as it is, under its sequence number, until the broker
// says what became of it: it knows the last five batches of a producer and answers a repeated one with its old offset.
func (w *writer) produce(ctx context.Context, p *partition) error {
	from := p.next
	for _, e := range p.batches[:p.used] {
		if err := w.produceBatch(ctx, p, e); err != nil {
			return err
		}
		if e.base < from {
			return fmt.Errorf("%w: a batch was written at offset %d of %v, where %d is next: the topic was deleted and made anew, or acknowledged records are lost; %s",
				eventstore.ErrLogMismatch, e.base, p.kafka, from, newLog)
		}
		from = e.base + int64(e.count)
		p.sequence = nextSequence(p.sequence, e.count)
	}
	return nil
}

// produceBatch sends a batch until it is acknowledged, for RetryTimeout at most: a broker that is slow, but goes on, has that long for each.
func (w *writer) produceBatch(ctx context.Context, p *partition, e *encoded) error {
	ctx, cancel := context.WithTimeoutCause(ctx, w.log.cfg.RetryTimeout, errNoAnswer)
	defer cancel()
	err := w.log.client.retry(ctx, "produce to "+p.kafka.String(), func(ctx context.Context) (err error) {
		if err := w.lease.over(); err != nil {
			return err
		}
		e.base, err = w.send(ctx, p, e)
		return err
	})
	if err != nil && errors.Is(context.Cause(ctx), errNoAnswer) {
		return fmt.Errorf("%w after %v: %w", errNoAnswer, w.log.cfg.RetryTimeout, err)
	}
	return err
}

var errNoAnswer = errors.New("gave up, outcome unknown")

// send makes one attempt.
func (w *writer) send(ctx context.Context, p *partition, e *encoded) (base int64, err error) {
	var req protocol.Message
	if e.rest != nil {
		req = newHugeRequest(p.kafka, e)
	} else {
		plain := produceRequest(p.kafka, recordSet(e.bytes))
		req = &plain
	}
	base, err = w.log.produceOnce(ctx, req)
	if err != nil {
		e.lent = true
	}
	return base, err
}

// produceOnce sends a produce request of one partition and returns the offset of its first record.
func (l *Log) produceOnce(ctx context.Context, req protocol.Message) (base int64, err error) {
	res, err := send[*produce.Response](ctx, l.client, req)
	if err != nil {
		return 0, err
	}
	if len(res.Topics) != 1 || len(res.Topics[0].Partitions) != 1 {
		return 0, fmt.Errorf("%w: reply to a produce request", errMalformed)
	}
	r := &res.Topics[0].Partitions[0]
	if code := kafka.Error(r.ErrorCode); code != 0 {
		if r.ErrorMessage != "" {
			return 0, fmt.Errorf("%w: %s", code, r.ErrorMessage)
		}
		return 0, code
	}
	return r.BaseOffset, nil
}

func produceRequest(at eventstore.Partition, set protocol.RawRecordSet) rawproduce.Request {
	return rawproduce.Request{
		Acks:    acksAll,
		Timeout: int32(requestTimeout.Milliseconds() / 2),
		Topics: []rawproduce.RequestTopic{{Topic: at.Topic, Partitions: []rawproduce.RequestPartition{
			{Partition: at.Number, RecordSet: set},
		}}},
	}
}

// recordSet is a batch as RawProduce takes it: its size in front.
func recordSet(batch []byte) protocol.RawRecordSet {
	var size [4]byte
	binary.BigEndian.PutUint32(size[:], uint32(len(batch)))
	return protocol.RawRecordSet{Reader: io.MultiReader(bytes.NewReader(size[:]), bytes.NewReader(batch))}
}
