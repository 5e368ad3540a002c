package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
)

// admin returns an independent client.
func admin(t *testing.T, addrs []string, opts ...kgo.Opt) (*kgo.Client, *kadm.Client) {
	t.Helper()
	c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(addrs...))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, kadm.NewClient(c)
}

func create(t *testing.T, adm *kadm.Client, topic string, partitions int32, settings map[string]string) {
	t.Helper()
	values := make(map[string]*string)
	for name, value := range settings {
		values[name] = &value
	}
	if _, err := adm.CreateTopic(t.Context(), partitions, 1, values, topic); err != nil {
		t.Fatalf("create %s: %v", topic, err)
	}
	// It is there when its leader answers.
	for {
		offsets, err := adm.ListEndOffsets(t.Context(), topic)
		if err == nil && offsets.Error() == nil && len(offsets[topic]) == int(partitions) {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
}

func put(t *testing.T, c *kgo.Client, r *kgo.Record) {
	t.Helper()
	if err := c.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// count returns how many offsets a topic holds.
func count(t *testing.T, adm *kadm.Client, topic string) (n int64) {
	t.Helper()
	offsets, err := adm.ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	offsets.Each(func(o kadm.ListedOffset) { n += o.Offset })
	return n
}

var right = map[string]string{"retention.ms": "-1", "retention.bytes": "-1", "max.message.bytes": "2000000"}

// bothBrokers runs a test on kfake and on the real broker.
func bothBrokers(t *testing.T, run func(t *testing.T, addrs []string)) {
	for _, b := range []brokers{fake, genuine} {
		t.Run(b.name, func(t *testing.T) { run(t, b.addrs(t)) })
	}
}

// Everything that is wrong with existing topics is in one error, with the commands, and nothing was written.
func TestTopicsWithOtherSettings(t *testing.T) {
	bothBrokers(t, func(t *testing.T, addrs []string) {
		name := pipeline()
		_, adm := admin(t, addrs)
		create(t, adm, name+".watermark", 3, map[string]string{"retention.ms": "604800000", "cleanup.policy": "compact", "max.message.bytes": "2000000", "retention.bytes": "-1"})
		create(t, adm, name+".shop.stock", 4, map[string]string{"retention.ms": "-1", "retention.bytes": "1000", "max.message.bytes": "1000"})
		create(t, adm, name+".shop.orders", 4, right)

		_, err := open(t, config(t, addrs, name)).Begin(t.Context())
		wrong, ok := errors.AsType[*kafkalog.SettingsError](err)
		if !ok {
			t.Fatalf("begin: %v, want a SettingsError", err)
		}
		var got []string
		for _, d := range wrong.Deviations {
			got = append(got, strings.TrimPrefix(d.Topic, name)+" "+d.Setting+" "+d.Has+" "+d.Wants)
			if d.Setting != "partitions" && !strings.Contains(d.Fix, "--entity-name "+d.Topic+" --add-config "+d.Setting+"=") {
				t.Errorf("fix of %s: %s", d.Setting, d.Fix)
			}
			if !strings.Contains(err.Error(), d.Topic) || !strings.Contains(err.Error(), d.Fix) {
				t.Errorf("%v is not in the text:\n%v", d, err)
			}
		}
		want := []string{
			".shop.stock retention.bytes 1000 -1",
			".shop.stock max.message.bytes 1000 at least 1048576",
			".watermark cleanup.policy compact delete",
			".watermark retention.ms 604800000 -1",
			".watermark partitions 3 1",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("deviations (-want +got):\n%s", diff)
		}
		if errors.Is(err, eventstore.ErrUnavailable) {
			t.Error("a wrong setting does not pass, but wraps ErrUnavailable")
		}
		for _, topic := range []string{".watermark", ".shop.stock", ".shop.orders"} {
			if n := count(t, adm, name+topic); n != 0 {
				t.Errorf("%d offsets were written to %s", n, topic)
			}
		}
	})
}

// A topic that is created with wrong settings after Begin is found before its first record.
func TestTopicWithOtherSettingsAtFirstUse(t *testing.T) {
	bothBrokers(t, func(t *testing.T, addrs []string) {
		name := pipeline()
		_, adm := admin(t, addrs)
		log := open(t, config(t, addrs, name))
		w := begin(t, log)
		mark(t, w, 0)
		create(t, adm, name+".shop.stock", 4, map[string]string{"retention.ms": "1000"})
		err := w.Append(t.Context(), everywhere(1))
		if _, ok := errors.AsType[*kafkalog.SettingsError](err); !ok {
			t.Errorf("append: %v, want a SettingsError", err)
		}
		if n := count(t, adm, name+".shop.stock"); n != 0 {
			t.Errorf("%d records were written", n)
		}
	})
}

// A topic made in advance keeps its own number of partitions.
func TestTopicMadeInAdvance(t *testing.T) {
	bothBrokers(t, func(t *testing.T, addrs []string) {
		name := pipeline()
		_, adm := admin(t, addrs)
		create(t, adm, name+".shop.stock", 7, right)
		log := open(t, config(t, addrs, name))
		w := begin(t, log)
		mark(t, w, 0)
		if err := w.Append(t.Context(), everywhere(1)); err != nil {
			t.Fatal(err)
		}
		mark(t, w, 1)
		head, _, err := log.Head(t.Context())
		if err != nil || len(head.Ends) != 7 {
			t.Errorf("ends %v, %v; want 7 partitions", head.Ends, err)
		}
		var sum int64
		for p, end := range head.Ends {
			if sum += end; end == 0 {
				t.Errorf("%v is empty", p)
			}
		}
		if want := int64(len(everywhere(1).Records)); sum != want {
			t.Errorf("ends sum up to %d, want %d", sum, want)
		}
	})
}

// Records that no watermark lists are not this log's: it would number them again.
func TestRecordsWithoutWatermark(t *testing.T) {
	bothBrokers(t, func(t *testing.T, addrs []string) {
		name := pipeline()
		c, adm := admin(t, addrs)
		create(t, adm, name+".shop.stock", 4, right)
		put(t, c, &kgo.Record{Topic: name + ".shop.stock", Value: []byte("x")})
		if _, err := open(t, config(t, addrs, name)).Begin(t.Context()); !errors.Is(err, eventstore.ErrLogMismatch) || !strings.Contains(err.Error(), name+".shop.stock") {
			t.Errorf("begin: %v, want ErrLogMismatch that names the topic", err)
		}
	})
}

// The same for a topic that appears when the log is in use.
func TestUnlistedTopicWithRecords(t *testing.T) {
	bothBrokers(t, func(t *testing.T, addrs []string) {
		name := pipeline()
		c, adm := admin(t, addrs)
		w := begin(t, open(t, config(t, addrs, name)))
		mark(t, w, 0)
		create(t, adm, name+".shop.stock", 4, right)
		put(t, c, &kgo.Record{Topic: name + ".shop.stock", Value: []byte("x")})
		if err := w.Append(t.Context(), everywhere(1)); !errors.Is(err, eventstore.ErrLogMismatch) {
			t.Errorf("append: %v, want ErrLogMismatch", err)
		}
		if n := count(t, adm, name+".shop.stock"); n != 1 {
			t.Errorf("the topic holds %d offsets, want 1", n)
		}
	})
}

func TestTopicsAreCreatedWithTheirSettings(t *testing.T) {
	bothBrokers(t, func(t *testing.T, addrs []string) {
		name := pipeline()
		_, adm := admin(t, addrs)
		w := begin(t, open(t, config(t, addrs, name)))
		mark(t, w, 0)
		if err := w.Append(t.Context(), everywhere(1)); err != nil {
			t.Fatal(err)
		}
		described, err := adm.DescribeTopicConfigs(t.Context(), name+".watermark", name+".shop.stock")
		if err != nil {
			t.Fatal(err)
		}
		for _, topic := range described {
			has := make(map[string]string)
			for _, c := range topic.Configs {
				has[c.Key] = c.MaybeValue()
			}
			for setting, want := range map[string]string{"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1", "max.message.bytes": "1048576"} {
				if has[setting] != want {
					t.Errorf("%s: %s is %q, want %q", topic.Name, setting, has[setting], want)
				}
			}
		}
	})
}

// A deleted topic is named; the log does not begin without it.
func TestListedTopicDeleted(t *testing.T) {
	name := pipeline()
	addrs := genuine.addrs(t)
	written(t, addrs, name)
	_, adm := admin(t, addrs)
	if _, err := adm.DeleteTopics(t.Context(), name+".shop.stock"); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, config(t, addrs, name)).Begin(t.Context()); !errors.Is(err, eventstore.ErrLogMismatch) || !strings.Contains(err.Error(), name+".shop.stock") {
		t.Errorf("begin: %v, want ErrLogMismatch that names the topic", err)
	}
}

// recreate deletes a topic and makes it anew.
func recreate(t *testing.T, adm *kadm.Client, topic string) {
	t.Helper()
	if _, err := adm.DeleteTopics(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	for { // deletion is asynchronous
		if topics, err := adm.ListTopics(t.Context(), topic); err == nil && topics.Error() != nil {
			break
		}
	}
	create(t, adm, topic, 4, right)
}

// A recreated topic has lost what a watermark promises.
func TestListedTopicRecreated(t *testing.T) {
	bothBrokers(t, func(t *testing.T, addrs []string) {
		name := pipeline()
		written(t, addrs, name)
		_, adm := admin(t, addrs)
		recreate(t, adm, name+".shop.stock")
		if _, err := open(t, config(t, addrs, name)).Begin(t.Context()); !errors.Is(err, eventstore.ErrLogMismatch) {
			t.Errorf("begin: %v, want ErrLogMismatch", err)
		}
		var last error
		for c, err := range open(t, config(t, addrs, name)).Cuts(t.Context(), eventstore.CutOptions{}) {
			if last = err; err == nil {
				for _, err := range c.Records() {
					last = err
				}
			}
		}
		if !errors.Is(last, eventstore.ErrLogMismatch) {
			t.Errorf("cuts: %v, want ErrLogMismatch", last)
		}
	})
}

// What retention has cut off is not passed over.
func TestRecordsGone(t *testing.T) {
	bothBrokers(t, func(t *testing.T, addrs []string) {
		name := pipeline()
		w := written(t, addrs, name)
		if err := w.Append(t.Context(), everywhere(2)); err != nil {
			t.Fatal(err)
		}
		mark(t, w, 2)
		_, adm := admin(t, addrs)
		ends, err := adm.ListEndOffsets(t.Context(), name+".shop.stock")
		if err != nil {
			t.Fatal(err)
		}
		cut := make(kadm.Offsets)
		ends.Each(func(o kadm.ListedOffset) { cut.AddOffset(o.Topic, o.Partition, o.Offset/2+1, -1) })
		if _, err := adm.DeleteRecords(t.Context(), cut); err != nil {
			t.Fatal(err)
		}
		log := open(t, config(t, addrs, name))
		wantLost(t, log, 0)
		wantLost(t, log, 1)
		if got := readAll(t, log, 2, 2); got != 0 {
			t.Errorf("up to date, a reader got %d records", got)
		}
		begin(t, log) // the writer needs nothing below its last watermark
	})
}

func wantLost(t *testing.T, log eventstore.Log, after eventstore.CSN) {
	t.Helper()
	for c, err := range log.Cuts(t.Context(), eventstore.CutOptions{After: after}) {
		if errors.Is(err, eventstore.ErrPositionLost) {
			wantWayOn(t, err, after)
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range c.Records() {
			if errors.Is(err, eventstore.ErrPositionLost) {
				wantWayOn(t, err, after)
				return
			}
		}
		if c.CSN == 2 {
			break
		}
	}
	t.Errorf("after %d: no ErrPositionLost", after)
}

// wantWayOn checks that a reader of a log that is whole behind csn 2 is told so.
func wantWayOn(t *testing.T, err error, after eventstore.CSN) {
	t.Helper()
	lost, ok := errors.AsType[*eventstore.PositionLostError](err)
	if !ok || !lost.Found || lost.Oldest != 2 || lost.After != after || !strings.Contains(err.Error(), "whole behind csn 2") {
		t.Errorf("after %d: %v, want a PositionLostError that tells where the log is whole", after, err)
	}
}

// readAll returns how many records there are after a csn up to another.
func readAll(t *testing.T, log eventstore.Log, after, through eventstore.CSN) (n int) {
	t.Helper()
	for c, err := range log.Cuts(t.Context(), eventstore.CutOptions{After: after}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range c.Records() {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if c.CSN >= through {
			break
		}
	}
	return n
}

// written makes a log with transaction 1.
func written(t *testing.T, addrs []string, name string) eventstore.Writer {
	t.Helper()
	w := begin(t, open(t, config(t, addrs, name)))
	mark(t, w, 0)
	if err := w.Append(t.Context(), everywhere(1)); err != nil {
		t.Fatal(err)
	}
	mark(t, w, 1)
	return w
}

// A record that no relay wrote stops the writer that finds it in the tail.
func TestStrangersRecord(t *testing.T) {
	bothBrokers(t, func(t *testing.T, addrs []string) {
		name := pipeline()
		written(t, addrs, name)
		c, _ := admin(t, addrs)
		put(t, c, &kgo.Record{Topic: name + ".shop.stock", Key: []byte("k"), Value: []byte("secret")})
		_, err := open(t, config(t, addrs, name)).Begin(t.Context())
		if err == nil || errors.Is(err, eventstore.ErrUnavailable) || !strings.Contains(err.Error(), name+".shop.stock/") || strings.Contains(err.Error(), "secret") {
			t.Errorf("begin: %v, want an error that names the partition", err)
		}
	})
}

// Many topics may be new in one flush: all are listed in one watermark before their first record.
func TestManyNewTopics(t *testing.T) {
	bothBrokers(t, func(t *testing.T, addrs []string) {
		log := open(t, config(t, addrs, pipeline()))
		w := begin(t, log)
		mark(t, w, 0)
		f := everywhere(1)
		for i := range f.Records {
			f.Records[i].Topic = fmt.Sprintf("shop.t%02d", i%30)
		}
		if err := w.Append(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		head, _, err := log.Head(t.Context())
		if err != nil || head.CSN != 0 || len(head.Ends) != 30*4 {
			t.Errorf("head at csn %d with %d ends, %v; want 0 with 120", head.CSN, len(head.Ends), err)
		}
		mark(t, w, 1)
		if got := readAll(t, log, 0, 1); got != len(f.Records) {
			t.Errorf("read %d records, want %d", got, len(f.Records))
		}
	})
}

// lastValue returns the value of a topic's last record in partition 0.
func lastValue(t *testing.T, c *kgo.Client, adm *kadm.Client, topic string) string {
	t.Helper()
	records := consume(t, c.Opts(), adm, topic)
	return string(records[len(records)-1].Value)
}

// consume reads a topic from its beginning to its present end, in the order of each partition.
func consume(t *testing.T, opts []kgo.Opt, adm *kadm.Client, topic string) []*kgo.Record {
	t.Helper()
	ends, err := adm.ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	missing := 0
	at := make(map[int32]kgo.Offset)
	ends.Each(func(o kadm.ListedOffset) {
		if at[o.Partition] = kgo.NewOffset().AtStart(); o.Offset > 0 {
			missing++
		}
	})
	c, err := kgo.NewClient(append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: at}), kgo.KeepControlRecords())...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var out []*kgo.Record
	for missing > 0 {
		fetches := c.PollFetches(t.Context())
		if err := fetches.Err(); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				out = append(out, r)
			}
			if r.Offset == ends[topic][r.Partition].Offset-1 {
				missing--
			}
		})
	}
	return out
}
