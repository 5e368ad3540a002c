package servers

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestCluster kills, pauses and restarts nodes: with one of three gone writes go on, with two gone none is acknowledged, and what was
// acknowledged is there at the end.
func TestCluster(t *testing.T) {
	t.Attr("server", string(Kafka))
	ctx := t.Context()
	began := time.Now()
	c, err := StartCluster(ctx, ClusterOptions{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Logf("three nodes after %v", time.Since(began).Round(time.Millisecond))
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers()...), kgo.DefaultProduceTopic("copies"), kgo.RequiredAcks(kgo.AllISRAcks()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	created, err := kadm.NewClient(client).CreateTopic(ctx, 1, -1, nil, "copies")
	if err != nil || created.ReplicationFactor != 3 {
		t.Fatalf("topic has %d copies, want 3: %v", created.ReplicationFactor, err)
	}
	written := 0
	write := func(when string) {
		t.Helper()
		if err := client.ProduceSync(ctx, kgo.StringRecord(fmt.Sprint(written))).FirstErr(); err != nil {
			t.Fatalf("write %s: %v", when, err)
		}
		written++
	}
	write("with three nodes")
	if err := c.Nodes[0].Kill(); err != nil {
		t.Fatal(err)
	}
	write("with a node killed")
	if err := c.Nodes[1].Pause(); err != nil {
		t.Fatal(err)
	}
	// One of three is left: neither replicas nor controllers are enough.
	impatient, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers()...), kgo.DefaultProduceTopic("copies"), kgo.RecordDeliveryTimeout(time.Second),
		kgo.RecordRetries(0), kgo.DisableIdempotentWrite())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(impatient.Close)
	limited, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := impatient.ProduceSync(limited, kgo.StringRecord("refused")).FirstErr(); err == nil {
		t.Error("one node of three acknowledged a write")
	} else if kerr.IsRetriable(err) {
		t.Log("with one node:", err)
	}
	if err := c.Nodes[1].Continue(); err != nil {
		t.Fatal(err)
	}
	write("with the paused node continued")
	if err := c.Nodes[0].Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Await(ctx, ClusterNodes); err != nil {
		t.Fatal(err)
	}
	write("with three nodes again")
	reader, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers()...), kgo.ConsumeTopics("copies"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Close)
	seen := map[string]bool{}
	for !seen[fmt.Sprint(written-1)] {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			seen[string(it.Next().Value)] = true
		}
	}
	for n := range written {
		if !seen[fmt.Sprint(n)] {
			t.Errorf("acknowledged record %d is not there", n)
		}
	}
}
