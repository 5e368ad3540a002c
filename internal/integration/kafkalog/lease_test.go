package kafkalog

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
)

// onWarn is a logger that calls f at the first warning that has text in it.
func onWarn(text string, f func()) *slog.Logger {
	return slog.New(slog.NewTextHandler(writerFunc(func(line []byte) {
		if bytes.Contains(line, []byte("level=WARN")) && bytes.Contains(line, []byte(text)) {
			f()
		}
	}), nil))
}

type writerFunc func(line []byte)

func (f writerFunc) Write(line []byte) (int, error) {
	f(line)
	return len(line), nil
}

// A writer renews its lease while it runs: every listed partition is told of it, also those that nothing is written to, and it goes on beyond
// the lease that it began with, under the same epoch and sequence.
func TestKeepAlive(t *testing.T) {
	bothBrokers(t, func(t *testing.T, addrs []string) {
		name := pipeline()
		cfg := config(t, addrs, name)
		cfg.Lease = 2 * time.Second
		log := open(t, cfg)
		w := begin(t, log)
		mark(t, w, 0)
		if err := w.Append(t.Context(), everywhere(1)); err != nil {
			t.Fatal(err)
		}
		mark(t, w, 1)
		_, adm := admin(t, addrs)
		ends := func() kadm.ListedOffsets {
			offsets, err := adm.ListEndOffsets(t.Context(), name+".shop.stock")
			if err != nil {
				t.Fatal(err)
			}
			return offsets
		}
		before := ends()
		csn := eventstore.CSN(2)
		for began := time.Now(); time.Since(began) < 2*cfg.Lease; csn++ {
			f := &eventstore.Flush{Records: []eventstore.Record{{Place: eventstore.Place{CSN: csn}, Topic: "shop.orders", Key: []byte("1"), Value: []byte("x")}}}
			f.Stamp.Add(csn, "0-1-1")
			if err := w.Append(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			mark(t, w, csn)
		}
		after := ends()
		before.Each(func(o kadm.ListedOffset) {
			if now := after[o.Topic][o.Partition].Offset; now < o.Offset+keepAlivesSeen {
				t.Errorf("%s/%d was at %d and is at %d: the keep-alives are not there", o.Topic, o.Partition, o.Offset, now)
			}
		})
		if got := readAll(t, log, 1, csn-1); got != int(csn-2) {
			t.Errorf("a reader got %d records behind csn 1, want %d: the keep-alives' markers are not records", got, csn-2)
		}
	})
}

// keepAlivesSeen is fewer than are due in two leases, for a machine with much to do.
const keepAlivesSeen = 3

// The fence does not reach a writer of another producer id: Begin waits until that one's lease is over, and says so.
func TestForeignProducer(t *testing.T) {
	bothBrokers(t, func(t *testing.T, addrs []string) {
		name := pipeline()
		written(t, addrs, name)
		c, adm := admin(t, addrs)
		head := lastValue(t, c, adm, name+".watermark")
		foreign := regexp.MustCompile(`"producer":\d+`).ReplaceAllString(head, `"producer":4242`)
		put(t, c, &kgo.Record{Topic: name + ".watermark", Value: []byte(foreign)})

		cfg := config(t, addrs, name)
		ctx, cancel := context.WithCancel(t.Context())
		cfg.Logger = onWarn("waiting until the lease of the writer before is over", cancel)
		if _, err := open(t, cfg).Begin(ctx); !errors.Is(err, kafkalog.ErrForeignProducer) || !errors.Is(err, context.Canceled) {
			t.Errorf("begin: %v, want ErrForeignProducer", err)
		}

		short := regexp.MustCompile(`"lease":\d+`).ReplaceAllString(foreign, `"lease":1`)
		put(t, c, &kgo.Record{Topic: name + ".watermark", Value: []byte(short)})
		began := time.Now()
		w := begin(t, open(t, config(t, addrs, name)))
		if took := time.Since(began); took < time.Second {
			t.Errorf("begun after %v, the other writer's lease is 1s", took)
		}
		mark(t, w, 1)

		put(t, c, &kgo.Record{Topic: name + ".watermark", Value: []byte(foreign)})
		cfg = config(t, addrs, name)
		cfg.TakeOver = true
		w = begin(t, open(t, cfg))
		mark(t, w, 1)
		begin(t, open(t, config(t, addrs, name))) // and then it is the pipeline's own again
	})
}

// On a log without a watermark nobody states a lease, and the writer that has fenced it under another producer id may be about to write the first one:
// the markers of its fence tell of it, and Begin waits.
func TestForeignFence(t *testing.T) {
	bothBrokers(t, func(t *testing.T, addrs []string) {
		name := pipeline()
		begin(t, open(t, config(t, addrs, name)))
		begin(t, open(t, config(t, addrs, name))) // markers of its own keep nobody waiting
		fenceAs(t, addrs, name+"-formerly", name+".watermark")

		cfg := config(t, addrs, name)
		ctx, cancel := context.WithCancel(t.Context())
		cfg.Logger = onWarn("waiting until the lease of the writer before is over", cancel)
		if _, err := open(t, cfg).Begin(ctx); !errors.Is(err, kafkalog.ErrForeignProducer) || !errors.Is(err, context.Canceled) {
			t.Errorf("begin: %v, want ErrForeignProducer", err)
		}

		cfg = config(t, addrs, name)
		cfg.TakeOver = true
		w := begin(t, open(t, cfg))
		mark(t, w, 0)
		begin(t, open(t, config(t, addrs, name))) // behind a watermark it is the pipeline's own
	})
}

// fenceAs writes the marker of an aborted transaction into a topic's first partition, under a transactional id of its own.
func fenceAs(t *testing.T, addrs []string, id, topic string) {
	t.Helper()
	c, _ := admin(t, addrs, kgo.TransactionalID(id))
	producer, epoch, err := c.ProducerID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	add := kmsg.NewPtrAddPartitionsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch = id, producer, epoch
	add.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: topic, Partitions: []int32{0}}}
	added, err := add.RequestWith(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range added.Topics {
		for _, p := range r.Partitions {
			if p.ErrorCode != 0 {
				t.Fatalf("add partition: code %d", p.ErrorCode)
			}
		}
	}
	for range 2 { // the second OK
		for code := concurrentTransactions; code == concurrentTransactions; {
			end := kmsg.NewPtrEndTxnRequest()
			end.TransactionalID, end.ProducerID, end.ProducerEpoch = id, producer, epoch
			ended, err := end.RequestWith(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if code = ended.ErrorCode; code != 0 && code != concurrentTransactions {
				t.Fatalf("end transaction: code %d", code)
			}
		}
	}
}

const concurrentTransactions int16 = 51

// Brokers that forget a producer sooner than its lease ends are refused.
func TestForgetfulBrokers(t *testing.T) {
	addrs := genuine.addrs(t)
	cfg := config(t, addrs, pipeline())
	cfg.Lease = 20 * time.Hour // a broker remembers for a day what a partition's producer was, unless it is told otherwise
	_, adm := admin(t, addrs)
	create(t, adm, cfg.Pipeline+".watermark", 1, map[string]string{"cleanup.policy": "compact", "retention.ms": "-1"}) // and a topic is wrong, too
	_, err := open(t, cfg).Begin(t.Context())
	wrong, ok := errors.AsType[*kafkalog.SettingsError](err)
	if !ok {
		t.Fatalf("begin: %v, want a SettingsError", err)
	}
	var got []string
	for _, d := range wrong.Deviations {
		got = append(got, d.Setting+" "+d.Has+" "+d.Wants)
	}
	if diff := cmp.Diff([]string{"cleanup.policy compact delete", "producer.id.expiration.ms 86400000 at least 144000000"}, got); diff != "" {
		t.Error(diff)
	}
}

// A topic that is deleted and made anew under a running writer is noticed at the next flush.
func TestTopicRecreatedMeanwhile(t *testing.T) {
	addrs := genuine.addrs(t)
	name := pipeline()
	w := written(t, addrs, name)
	_, adm := admin(t, addrs)
	recreate(t, adm, name+".shop.stock")
	err := w.Append(t.Context(), everywhere(2))
	if errors.Is(err, eventstore.ErrUnavailable) { // the broker asks for a new epoch; who begins finds it
		_, err = open(t, config(t, addrs, name)).Begin(t.Context())
	}
	if !errors.Is(err, eventstore.ErrLogMismatch) || !strings.Contains(err.Error(), name+".shop.stock/") {
		t.Errorf("append: %v, want ErrLogMismatch that names the partition", err)
	}
}

// A topic that is given more partitions keeps those that were listed: keys stay where they are.
func TestMorePartitions(t *testing.T) {
	bothBrokers(t, func(t *testing.T, addrs []string) {
		name := pipeline()
		w := written(t, addrs, name)
		_, adm := admin(t, addrs)
		if _, err := adm.CreatePartitions(t.Context(), 4, name+".shop.stock"); err != nil {
			t.Fatal(err)
		}
		if err := w.Append(t.Context(), everywhere(2)); err != nil {
			t.Fatal(err)
		}
		mark(t, w, 2)
		log := open(t, config(t, addrs, name))
		w = begin(t, log)
		if err := w.Append(t.Context(), everywhere(3)); err != nil {
			t.Fatal(err)
		}
		mark(t, w, 3)
		if first, all := readAll(t, log, 0, 1), readAll(t, log, 0, 3); all != 3*first {
			t.Errorf("a reader got %d records, want three times %d", all, first)
		}
		offsets, err := adm.ListEndOffsets(t.Context(), name+".shop.stock")
		if err != nil {
			t.Fatal(err)
		}
		offsets.Each(func(o kadm.ListedOffset) {
			if o.Partition >= 4 && o.Offset > 0 {
				t.Errorf("partition %d, which is not listed, holds %d offsets", o.Partition, o.Offset)
			}
		})
	})
}

// Topics of several copies that may lose with one broker what was acknowledged are refused, unless that is accepted; those the log makes may not.
func TestReplicatedTopics(t *testing.T) {
	addrs := threeFakes.addrs(t)
	name := pipeline()
	_, adm := admin(t, addrs)
	value := func(s string) *string { return &s }
	settings := map[string]*string{"min.insync.replicas": value("1"), "unclean.leader.election.enable": value("true")}
	for k, v := range right {
		settings[k] = &v
	}
	if _, err := adm.CreateTopic(t.Context(), 4, 3, settings, name+".shop.stock"); err != nil {
		t.Fatal(err)
	}
	cfg := config(t, addrs, name)
	cfg.AcceptLoss = false
	_, err := open(t, cfg).Begin(t.Context())
	wrong, ok := errors.AsType[*kafkalog.SettingsError](err)
	if !ok || len(wrong.Deviations) != 2 || wrong.Deviations[0].Setting != "min.insync.replicas" || wrong.Deviations[1].Setting != "unclean.leader.election.enable" ||
		!strings.Contains(err.Error(), "--add-config min.insync.replicas=2") {
		t.Errorf("begin: %v, want a SettingsError about both", err)
	}
	cfg = config(t, addrs, name)
	begin(t, open(t, cfg))

	cfg = config(t, addrs, pipeline())
	cfg.AcceptLoss, cfg.ReplicationFactor = false, 3
	w := begin(t, open(t, cfg))
	mark(t, w, 0)
	if err := w.Append(t.Context(), everywhere(1)); err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{".watermark", ".shop.stock"} {
		configs, err := adm.DescribeTopicConfigs(t.Context(), cfg.Pipeline+topic)
		if err != nil {
			t.Fatal(err)
		}
		has := map[string]string{}
		for _, c := range configs[0].Configs {
			has[c.Key] = c.MaybeValue()
		}
		if has["min.insync.replicas"] != "2" || has["unclean.leader.election.enable"] != "false" {
			t.Errorf("%s has min.insync.replicas=%s, unclean.leader.election.enable=%s", topic, has["min.insync.replicas"], has["unclean.leader.election.enable"])
		}
	}
}
