package kafkalog

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/endtxn"
	"github.com/segmentio/kafka-go/protocol/initproducerid"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/safeguard"
)

// producerID is a producer id with its epoch: one writer.
type producerID struct {
	id    int64
	epoch int16
}

// transactionTimeoutMillis is how long the fence's transaction may be open: ordinarily some milliseconds.
const transactionTimeoutMillis = 60_000

// initProducer gets the transactional id's producer id, with an epoch above every earlier one: step 5.
func (l *Log) initProducer(ctx context.Context) (p producerID, err error) {
	err = l.client.retry(ctx, "init producer id", func(ctx context.Context) error {
		res, err := send[*initproducerid.Response](ctx, l.client, &initproducerid.Request{
			TransactionalID: l.cfg.transactionalID(), TransactionTimeoutMs: transactionTimeoutMillis, ProducerID: -1, ProducerEpoch: -1,
		})
		if err != nil {
			return err
		}
		if res.ErrorCode != 0 {
			return kafka.Error(res.ErrorCode)
		}
		p = producerID{res.ProducerID, res.ProducerEpoch}
		return nil
	})
	return p, err
}

// fence makes Kafka partitions refuse every epoch below p's: steps 6 and 9. When it has returned, nothing of an older writer lands
// there any more.
func (l *Log) fence(ctx context.Context, p producerID, parts []eventstore.Partition) error {
	if len(parts) == 0 || !safeguard.Fence {
		return nil
	}
	if err := l.client.retry(ctx, "fence: add "+describe(parts), func(ctx context.Context) error {
		return l.addPartitions(ctx, p, parts)
	}); err != nil {
		return err
	}
	if err := l.endTransaction(ctx, p, parts); err != nil {
		return err
	}
	if !safeguard.SecondOK {
		return nil
	}
	// The first OK says that the abort is decided. Only when it is answered again are its markers in every partition: until then
	// CONCURRENT_TRANSACTIONS comes back, and old writers are still let in.
	return l.endTransaction(ctx, p, parts)
}

func (l *Log) addPartitions(ctx context.Context, p producerID, parts []eventstore.Partition) error {
	byTopic := make(map[string][]int32)
	for _, part := range parts {
		byTopic[part.Topic] = append(byTopic[part.Topic], part.Number)
	}
	req := &addpartitionstotxn.Request{TransactionalID: l.cfg.transactionalID(), ProducerID: p.id, ProducerEpoch: p.epoch}
	for _, topic := range sortedKeys(byTopic) {
		req.Topics = append(req.Topics, addpartitionstotxn.RequestTopic{Name: topic, Partitions: byTopic[topic]})
	}
	res, err := send[*addpartitionstotxn.Response](ctx, l.client, req)
	if err != nil {
		return err
	}
	// One partition's error fails all; the others answer OPERATION_NOT_ATTEMPTED, which says nothing.
	var first error
	for _, t := range res.Results {
		for _, r := range t.Results {
			code := kafka.Error(r.ErrorCode)
			if code == 0 {
				continue
			}
			if first == nil || code != errNotAttempted {
				first = fmt.Errorf("%s/%d: %w", t.Name, r.PartitionIndex, code)
			}
		}
	}
	return first
}

// errNotAttempted is a code that kafka-go has no name for.
const errNotAttempted kafka.Error = 55

func (l *Log) endTransaction(ctx context.Context, p producerID, parts []eventstore.Partition) error {
	tries := 0
	return l.client.retry(ctx, "fence: end the transaction over "+describe(parts), func(ctx context.Context) error {
		res, err := send[*endtxn.Response](ctx, l.client, &endtxn.Request{
			TransactionalID: l.cfg.transactionalID(), ProducerID: p.id, ProducerEpoch: p.epoch, Committed: false,
		})
		if err != nil {
			return err
		}
		code := kafka.Error(res.ErrorCode)
		if code == kafka.ConcurrentTransactions {
			if tries++; tries%20 == 0 {
				l.tellOffline(ctx, parts)
			}
		}
		switch code {
		case 0:
			return nil
		case kafka.InvalidTransactionState: // the coordinator has no such transaction open
			return fmt.Errorf("%w: %w", errBeginAgain, code)
		}
		return code
	})
}

// tellOffline says which partitions hold up a fence.
func (l *Log) tellOffline(ctx context.Context, parts []eventstore.Partition) {
	topics, err := l.client.layout(ctx, func(string) bool { return true })
	if err != nil {
		return
	}
	var offline []eventstore.Partition
	for _, p := range parts {
		if _, ok := topics[p.Topic].leaders[p.Number]; !ok {
			offline = append(offline, p)
		}
	}
	if len(offline) > 0 {
		l.log.Warn("the fence waits for partitions without a leader", "partitions", partitionNames(offline))
	}
}

// describe names what is fenced, short enough for a message.
func describe(parts []eventstore.Partition) string {
	if len(parts) == 1 {
		return parts[0].String()
	}
	return fmt.Sprintf("%d partitions (%v …)", len(parts), parts[0])
}
