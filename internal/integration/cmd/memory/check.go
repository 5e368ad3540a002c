package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace-go/millrace/eventstore"
)

// read reads a table's whole topic with a client that shares no code with the log, says what is in it, and deletes it. The images of
// column are judged by the bytes of the huge value, others as they are.
func (j job) read(ctx context.Context, table, column string) (c content, err error) {
	topic := j.Pipeline + "." + eventstore.RowTopic("memory", table)
	client, err := kgo.NewClient(kgo.SeedBrokers(j.Kafka), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.KeepControlRecords(), kgo.FetchMaxBytes(16<<20), kgo.FetchMaxPartitionBytes(16<<20), kgo.BrokerMaxReadBytes(1<<30),
		kgo.MaxConcurrentFetches(1))
	if err != nil {
		return c, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return c, err
	}
	left := 0
	ends.Each(func(end kadm.ListedOffset) {
		if err = errors.Join(err, end.Err); end.Offset > 0 {
			left++
		}
	})
	for left > 0 && err == nil {
		fetches := client.PollRecords(ctx, 10_000)
		if err := fetches.Err0(); err != nil {
			return c, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				err = errors.Join(err, c.record(r, column))
			}
			if end, _ := ends.Lookup(topic, r.Partition); r.Offset+1 == end.Offset {
				left--
			}
		})
	}
	if err != nil {
		return c, err
	}
	_, err = admin.DeleteTopics(ctx, topic)
	return c, err
}

// record takes note of one record.
func (c *content) record(r *kgo.Record, column string) error {
	var row eventstore.RowChange
	if err := eventstore.ParseRow(&eventstore.Record{Key: r.Key, Value: r.Value}, &row); err != nil {
		return err
	}
	c.records++
	for _, side := range []struct {
		image []byte
		sum   *digest
	}{{row.Before, &c.before}, {row.After, &c.after}} {
		if side.image == nil {
			continue
		}
		bytes, err := value(side.image, column)
		if err != nil {
			return err
		}
		side.sum.add(sha256.Sum256(bytes))
	}
	return nil
}

// value is what of an image the server's hash is of.
func value(image []byte, column string) ([]byte, error) {
	if column == "" {
		return image, nil
	}
	id, body, ok1 := bytes.Cut(image, []byte(`,"body":"`))
	ok1 = ok1 && (string(id) == `{"id":1` || string(id) == `{"id":2`)
	body, ok2 := bytes.CutSuffix(body, []byte(`"}`))
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("image %.40q, want id and body", image)
	}
	if strings.HasPrefix(column, "LONGBLOB") {
		n, err := base64.StdEncoding.Decode(body, body)
		return body[:n], err
	}
	return body, nil
}
