package kafkalog_test

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go"

	"github.com/millrace-go/millrace/eventstore/kafkalog"
)

func TestNewReportsEveryProblem(t *testing.T) {
	_, err := kafkalog.New(kafkalog.Config{
		Brokers: []string{"localhost"}, Pipeline: "a.b", Partitions: -1, ReplicationFactor: -1, Compression: "rar",
		MaxMessageBytes: 1, RetryTimeout: -1, TLS: &tls.Config{}, Transport: &kafka.Transport{},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, field := range []string{"Brokers", "Pipeline", "Partitions", "ReplicationFactor", "Compression", "MaxMessageBytes", "RetryTimeout", "Transport"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not reported in:\n%v", field, err)
		}
	}
}

func TestPipelineNames(t *testing.T) {
	for name, ok := range map[string]bool{"shop": true, "Shop_2-a": true, "": false, "a b": false, "a.b": false, "ä": false, "a\n": false, strings.Repeat("x", 101): false} {
		log, err := kafkalog.New(kafkalog.Config{Brokers: []string{"localhost:9092"}, Pipeline: name})
		if (err == nil) != ok {
			t.Errorf("pipeline %q: %v", name, err)
		}
		if err == nil {
			log.Close()
		}
	}
}

func ExampleNew() {
	log, err := kafkalog.New(kafkalog.Config{Brokers: []string{"localhost:9092"}, Pipeline: "shop"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close() // nothing was connected yet

	_, err = kafkalog.New(kafkalog.Config{Pipeline: "my shop"})
	fmt.Println(err)
	// Output:
	// kafkalog config: Brokers is empty, want at least one host:port
	// Pipeline is "my shop", want 1 to 100 letters, digits, - and _
}
