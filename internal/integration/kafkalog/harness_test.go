// Package kafkalog tests the log on Kafka against kfake and a real broker.
package kafkalog

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/eventstoretest"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/internal/integration/faults"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

const maxMessageBytes = 1 << 20

// brokers gives the tests their brokers.
type brokers struct {
	name  string
	addrs func(t testing.TB) []string
}

var (
	fake       = brokers{"kfake", func(t testing.TB) []string { return fakeCluster(t, 1) }}
	threeFakes = brokers{"kfake of three", func(t testing.TB) []string { return fakeCluster(t, 3) }}
)

func fakeCluster(t testing.TB, n int) []string {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(n))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster.ListenAddrs()
}

var genuine = brokers{"kafka", func(t testing.TB) []string {
	return []string{servers.Find(t, servers.Kafka).Value}
}}

// pipeline returns a name that no other test has.
func pipeline() string { return "t" + strings.ToLower(rand.Text()[:12]) }

// config is the configuration of a log of the tests, with connections of its own.
func config(t *testing.T, addrs []string, pipeline string) kafkalog.Config {
	t.Helper()
	t.Cleanup(func() { removeTopics(t, addrs, pipeline) })
	return kafkalog.Config{
		Brokers: addrs, Pipeline: pipeline, MaxMessageBytes: maxMessageBytes,
		Transport: transport(t), AcceptLoss: true, // kfake's topics have three copies, and need one
	}
}

// removeTopics leaves a shared broker as it was: with thousands of topics each look at the cluster's layout takes seconds.
func removeTopics(t *testing.T, addrs []string, pipeline string) {
	client := &kafka.Client{Addr: kafka.TCP(addrs...), Transport: &kafka.Transport{}, Timeout: 10 * time.Second}
	defer client.Transport.(*kafka.Transport).CloseIdleConnections()
	ctx := context.WithoutCancel(t.Context())
	cluster, err := client.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return // the test has stopped its broker, or spoiled it
	}
	var names []string
	for _, topic := range cluster.Topics {
		if strings.HasPrefix(topic.Name, pipeline+".") {
			names = append(names, topic.Name)
		}
	}
	if len(names) == 0 {
		return
	}
	if _, err := client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: names}); err != nil {
		t.Logf("topics of %s are left over: %v", pipeline, err)
	}
}

// transport returns connections that see new topics soon.
func transport(t *testing.T) *kafka.Transport {
	t.Helper()
	tr := &kafka.Transport{MetadataTTL: time.Second}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func open(t *testing.T, cfg kafkalog.Config) *kafkalog.Log {
	t.Helper()
	log, err := kafkalog.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

// store is a log on Kafka as several processes see it.
type store struct {
	addrs    []string
	pipeline string
}

func (s store) Open(t *testing.T, network *eventstoretest.Network) eventstore.Log {
	cfg := config(t, s.addrs, s.pipeline)
	if network != nil {
		cfg.RetryTimeout = 2 * time.Second
		cfg.Transport = &faults.Kafka{
			Next: cfg.Transport,
			Fate: func(topic string) eventstoretest.Fate { return network.Fate(seamTopic(s.pipeline, topic)) },
			Keep: network.Keep,
		}
	}
	return open(t, cfg)
}

// seamTopic returns what the suite calls a Kafka topic.
func seamTopic(pipeline, topic string) string {
	topic = strings.TrimPrefix(topic, pipeline+".")
	if topic == "watermark" {
		return eventstoretest.Watermarks
	}
	return topic
}

func testLog(t *testing.T, b brokers) {
	addrs := b.addrs(t)
	eventstoretest.TestLog(t, eventstoretest.Harness{
		MaxRecordBytes: maxMessageBytes,
		New:            func(t *testing.T) eventstoretest.Store { return store{addrs, pipeline()} },
	})
}

func TestLogFake(t *testing.T) { testLog(t, fake) }

func TestLogThreeFakes(t *testing.T) { testLog(t, threeFakes) }

func TestLogGenuine(t *testing.T) { testLog(t, genuine) }
