package history

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// MergeLog hands out every record of a pipeline's row topics and of its schema topic in commit order, by (csn, index). A record that stands
// in its partition behind a later one comes where it stands. It holds little in memory, and expects that nothing is written meanwhile.
func MergeLog(ctx context.Context, broker, pipeline string, each func(*Record) error) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	defer client.Close()
	ends, err := ends(ctx, client, dataOf(pipeline, true))
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer stop()
	var heads []*head
	for p, end := range ends {
		h := &head{partition: p, batches: make(chan []Record, 1), schema: p.topic == pipeline+".schema"}
		readers.Go(func() { h.err = h.read(ctx, broker, end); close(h.batches) })
		heads = append(heads, h)
	}
	for left := heads; ; {
		heads, left = left, left[:0:0]
		var first *head
		for _, h := range heads {
			ok, err := h.fill()
			if err != nil {
				return fmt.Errorf("read log: %w", err)
			}
			if !ok {
				continue
			}
			left = append(left, h)
			if first == nil || h.place(first) < 0 {
				first = h
			}
		}
		if first == nil {
			return nil
		}
		// Everything up to the next partition's record can be had without looking at all of them again.
		var second *head
		for _, h := range left {
			if h != first && (second == nil || h.place(second) < 0) {
				second = h
			}
		}
		for more := true; more && (second == nil || first.place(second) <= 0); more = len(first.batch) > 0 {
			if err := each(&first.batch[0]); err != nil {
				return err
			}
			first.batch = first.batch[1:]
		}
	}
}

// head is the next part of a partition.
type head struct {
	partition
	schema  bool
	batches chan []Record
	err     error // of the reader, once batches is closed
	batch   []Record
}

func (h *head) place(o *head) int {
	a, b := &h.batch[0], &o.batch[0]
	return cmp.Or(cmp.Compare(a.CSN, b.CSN), cmp.Compare(a.Index, b.Index))
}

// fill has a record at hand, and tells whether there is one.
func (h *head) fill() (bool, error) {
	for len(h.batch) == 0 {
		batch, ok := <-h.batches
		if !ok {
			return false, h.err
		}
		h.batch = batch
	}
	return true, nil
}

// read reads one partition up to its end.
func (h *head) read(ctx context.Context, broker string, end int64) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.KeepControlRecords(), kgo.FetchMaxBytes(1<<20), kgo.FetchMaxPartitionBytes(1<<20),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{h.topic: {h.number: kgo.NewOffset().At(0)}}))
	if err != nil {
		return err
	}
	defer client.Close()
	for next := int64(0); next < end; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		var batch []Record
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			next = r.Offset + 1
			if r.Offset >= end || r.Attrs.IsControl() {
				continue
			}
			parse := parseRecord
			if h.schema {
				parse = parseSchema
			}
			record, err := parse(r)
			if err != nil {
				return fmt.Errorf("%s/%d offset %d: %w", r.Topic, r.Partition, r.Offset, err)
			}
			batch = append(batch, record)
		}
		select {
		case h.batches <- batch:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// parseSchema reads a record of the schema topic.
func parseSchema(r *kgo.Record) (Record, error) {
	out := Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
	var value struct {
		Op, DB, Table, GTID string
		CSN, Index          uint64
		To                  struct{ DB, Table string }
	}
	if err := json.Unmarshal(r.Value, &value); err != nil {
		return out, fmt.Errorf("value: %w", err)
	}
	if value.Op == "" || value.CSN == 0 {
		return out, errors.New("want op and csn")
	}
	out.CSN, out.Index, out.GTID = value.CSN, value.Index, value.GTID
	out.Statement, out.Schema, out.Table, out.ToSchema, out.To = value.Op, value.DB, value.Table, value.To.DB, value.To.Table
	return out, nil
}
