// Package faults breaks connections on purpose: decorators that lose, delay and repeat what a client sends.
package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/eventstoretest"
)

// Kafka is a [kafka.RoundTripper] that lets produce requests meet the fate that Fate decides by Kafka topic. Other requests pass.
// It is safe for concurrent use.
type Kafka struct {
	Next kafka.RoundTripper
	// Fate is asked before each attempt. Nil delivers everything.
	Fate func(topic string) eventstoretest.Fate
	// Keep takes what is held; calling deliver sends it after all and returns the broker's answer.
	Keep func(deliver func() error)
}

var _ kafka.RoundTripper = (*Kafka)(nil)

// RoundTrip implements [kafka.RoundTripper].
func (k *Kafka) RoundTrip(ctx context.Context, addr net.Addr, req kafka.Request) (kafka.Response, error) {
	p, ok := req.(*rawproduce.Request)
	if !ok || k.Fate == nil {
		return k.Next.RoundTrip(ctx, addr, req)
	}
	switch k.Fate(p.Topics[0].Topic) {
	case eventstoretest.Drop:
		return nil, fmt.Errorf("injected: lost on its way: %w", syscall.ECONNRESET)
	case eventstoretest.LoseReply:
		if _, err := k.Next.RoundTrip(ctx, addr, req); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("injected: reply lost: %w", io.ErrUnexpectedEOF)
	case eventstoretest.Hold:
		held, err := clone(p)
		if err != nil {
			return nil, err
		}
		k.Keep(func() error { return k.deliver(context.WithoutCancel(ctx), addr, held) })
		return nil, fmt.Errorf("injected: held back: %w", syscall.ETIMEDOUT)
	default:
		return k.Next.RoundTrip(ctx, addr, req)
	}
}

// deliver sends a held request and returns what the broker says to it.
func (k *Kafka) deliver(ctx context.Context, addr net.Addr, req *rawproduce.Request) error {
	res, err := k.Next.RoundTrip(ctx, addr, req)
	if err != nil {
		return err
	}
	return answer(res)
}

func answer(res kafka.Response) error {
	for _, t := range res.(*produce.Response).Topics {
		for _, p := range t.Partitions {
			switch code := kafka.Error(p.ErrorCode); code {
			case 0:
			case kafka.InvalidProducerEpoch, kafka.ProducerFenced:
				return fmt.Errorf("%w: %w", eventstore.ErrFenced, code)
			default:
				return code
			}
		}
	}
	return nil
}

// clone copies a request whose memory its owner uses again.
func clone(p *rawproduce.Request) (*rawproduce.Request, error) {
	if len(p.Topics) != 1 || len(p.Topics[0].Partitions) != 1 {
		return nil, errors.New("injected: only requests of one partition can be held")
	}
	part := p.Topics[0].Partitions[0]
	data, err := io.ReadAll(part.RecordSet.Reader)
	if err != nil {
		return nil, err
	}
	c := *p
	c.Topics = []rawproduce.RequestTopic{{Topic: p.Topics[0].Topic, Partitions: []rawproduce.RequestPartition{
		{Partition: part.Partition, RecordSet: protocol.RawRecordSet{Reader: bytes.NewReader(data)}},
	}}}
	return &c, nil
}
