// Package kafkalog tests the log on Kafka against kfake and a real broker.
package kafkalog

import (
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
	return kafkalog.Config{
		Brokers: addrs, Pipeline: pipeline, MaxMessageBytes: maxMessageBytes,
		Transport: transport(t),
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
