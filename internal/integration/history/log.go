package history

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Record is one record of the log's row topics.
type Record struct {
	Topic      string
	Partition  int32
	Offset     int64
	CSN, Index uint64
	Key        map[string]Value
	// The rest is not set on a tombstone.
	Tombstone     bool
	Op            byte
	Schema, Table string
	GTID          string
	Before, After map[string]Value
	// Columns are the names in the images, in their order there.
	Columns []string
	// Statement is the op of a record of the schema topic, which [MergeLog] hands out, too: "define", "rename", …; then To is the new name of
	// a renamed table.
	Statement    string
	ToSchema, To string
}

// At says where the record stands, for messages.
func (r *Record) At() string {
	return fmt.Sprintf("%s/%d offset %d (csn %d index %d)", r.Topic, r.Partition, r.Offset, r.CSN, r.Index)
}

// ReadLog reads every row topic of a pipeline from its first record to its end, each partition in its order. It expects that nothing is
// written meanwhile.
func ReadLog(ctx context.Context, brokers []string, pipeline string) ([]Record, error) {
	var records []Record
	err := readTopics(ctx, brokers, dataOf(pipeline, false), func(r *kgo.Record) error {
		record, err := parseRecord(r)
		records = append(records, record)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	return records, nil
}

// dataOf tells the row topics of a pipeline from others; with schema also the schema topic.
func dataOf(pipeline string, schema bool) func(topic string) bool {
	return func(topic string) bool {
		name, ours := strings.CutPrefix(topic, pipeline+".")
		return ours && name != "watermark" && name != "leader" && (schema || name != "schema")
	}
}

// readTopics hands out every record of some topics, each partition in its order, without those of the fences.
func readTopics(ctx context.Context, brokers []string, want func(topic string) bool, each func(*kgo.Record) error) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.KeepControlRecords())
	if err != nil {
		return err
	}
	defer client.Close()
	left, err := ends(ctx, client, want)
	if err != nil {
		return err
	}
	assign := map[string]map[int32]kgo.Offset{}
	for p := range left {
		if assign[p.topic] == nil {
			assign[p.topic] = map[int32]kgo.Offset{}
		}
		assign[p.topic][p.number] = kgo.NewOffset().At(0)
	}
	client.AddConsumePartitions(assign)
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			p := partition{r.Topic, r.Partition}
			end, open := left[p]
			if open && !r.Attrs.IsControl() {
				if err := each(r); err != nil {
					return fmt.Errorf("%s/%d offset %d: %w", r.Topic, r.Partition, r.Offset, err)
				}
			}
			if r.Offset+1 >= end {
				delete(left, p)
			}
		}
	}
	return nil
}

type partition struct {
	topic  string
	number int32
}

// ends returns the ends of all partitions that are not empty of the topics that are wanted.
func ends(ctx context.Context, client *kgo.Client, want func(topic string) bool) (map[partition]int64, error) {
	metadata, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	ask := kmsg.NewPtrListOffsetsRequest()
	ask.ReplicaID = -1
	for _, t := range metadata.Topics {
		if t.Topic == nil || !want(*t.Topic) {
			continue
		}
		topic := kmsg.NewListOffsetsRequestTopic()
		topic.Topic = *t.Topic
		for _, p := range t.Partitions {
			one := kmsg.NewListOffsetsRequestTopicPartition()
			one.Partition, one.Timestamp = p.Partition, -1
			topic.Partitions = append(topic.Partitions, one)
		}
		ask.Topics = append(ask.Topics, topic)
	}
	if len(ask.Topics) == 0 {
		return nil, errors.New("no topic is there")
	}
	ends := map[partition]int64{}
	for _, shard := range client.RequestSharded(ctx, ask) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return nil, fmt.Errorf("end of %s/%d: %w", t.Topic, p.Partition, err)
				}
				if p.Offset > 0 {
					ends[partition{t.Topic, p.Partition}] = p.Offset
				}
			}
		}
	}
	return ends, nil
}

// envelope is a record's value.
type envelope struct {
	Before, After json.RawMessage
	Op            string
	Source        struct {
		DB, Table, GTID string
		CSN, Index      uint64
	}
}

func parseRecord(r *kgo.Record) (Record, error) {
	out := Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Tombstone: r.Value == nil}
	var seen int
	for _, h := range r.Headers {
		for name, field := range map[string]*uint64{"csn": &out.CSN, "index": &out.Index} {
			if h.Key == name {
				n, err := strconv.ParseUint(string(h.Value), 10, 64)
				if err != nil {
					return out, fmt.Errorf("header %s is not a number", name)
				}
				*field = n
				seen++
			}
		}
	}
	if seen != 2 {
		return out, errors.New("want the headers csn and index, once each")
	}
	var err error
	if out.Key, _, err = object(r.Key); err != nil {
		return out, fmt.Errorf("key: %w", err)
	}
	if out.Tombstone {
		return out, nil
	}
	var e envelope
	if err := decode(r.Value, &e); err != nil {
		return out, fmt.Errorf("value: %w", err)
	}
	if e.Source.CSN != out.CSN || e.Source.Index != out.Index || len(e.Op) != 1 {
		return out, errors.New("headers and envelope do not agree, or op is not a letter")
	}
	out.Op, out.Schema, out.Table, out.GTID = e.Op[0], e.Source.DB, e.Source.Table, e.Source.GTID
	for _, image := range []struct {
		json json.RawMessage
		into *map[string]Value
	}{{e.Before, &out.Before}, {e.After, &out.After}} {
		row, columns, err := object(image.json)
		if err != nil {
			return out, fmt.Errorf("image: %w", err)
		}
		if *image.into = row; row != nil {
			out.Columns = columns
		}
	}
	return out, nil
}

// names returns the names of a JSON object's members in their order.
func names(object []byte) ([]string, error) {
	var out []string
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil { // {
		return nil, err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		out = append(out, name.(string)) // a decoder takes nothing else here
	}
	return out, nil
}

func decode(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode(into)
}

// texts returns the values of a JSON object as text.
func texts(object map[string]any) map[string]Value {
	if object == nil {
		return nil
	}
	out := make(map[string]Value, len(object))
	for name, v := range object {
		switch v := v.(type) {
		case nil:
			out[name] = Value{Null: true}
		case string:
			out[name] = Value{Text: v}
		default: // a json.Number prints as it was written
			out[name] = Value{Text: fmt.Sprint(v)}
		}
	}
	return out
}
