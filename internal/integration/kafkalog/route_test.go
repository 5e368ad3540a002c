package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

// TestRoutes: rows of several tables stand in one Kafka topic in commit order, a reader that also names the topics which the tables would have
// without routes gets them, and these topics are not made.
func TestRoutes(t *testing.T) {
	for _, b := range []brokers{fake, genuine} {
		t.Run(b.name, func(t *testing.T) {
			addrs, name := b.addrs(t), pipeline()
			log := open(t, config(t, addrs, name))
			source, err := cdc.NewMemorySource(cdc.Filter{}, 0)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for i := range 20 {
				table := &cdc.Table{Schema: "shop", Name: fmt.Sprintf("order_%d", i%3), Key: []int{0}}
				source.Commit(cdc.Change{Table: table, Op: cdc.Create, Key: fmt.Appendf(nil, `{"id":%d}`, i/3), After: fmt.Appendf(nil, `{"id":%d}`, i/3)})
				want = append(want, fmt.Sprintf("%d %s {\"id\":%d}", i+1, table, i/3))
			}
			routes := eventstore.Routes{{Tables: "shop.order_*", Topic: "{schema}.orders"}}
			relay, err := cdc.NewRelay(cdc.Config{Source: source, Log: log, Routes: routes})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- relay.Run(ctx) }()
			var got []string
			topics := slices.Concat(routes.Topics("shop", "order_0"), routes.Topics("shop", "order_1"), routes.Topics("shop", "order_2"))
			for cut, err := range log.Cuts(ctx, eventstore.CutOptions{Topics: topics}) {
				if err != nil {
					t.Fatal(err)
				}
				for rec, err := range cut.Records() {
					if err != nil {
						t.Fatal(err)
					}
					var row eventstore.RowChange
					if err := eventstore.ParseRow(rec, &row); err != nil {
						t.Fatal(err)
					}
					got = append(got, fmt.Sprintf("%d %s.%s %s", rec.CSN, row.Schema, row.Table, row.After))
				}
				if cut.CSN == 20 {
					break
				}
			}
			cancel()
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			client := &kafka.Client{Addr: kafka.TCP(addrs...), Transport: transport(t)}
			cluster, err := client.Metadata(t.Context(), &kafka.MetadataRequest{})
			if err != nil {
				t.Fatal(err)
			}
			var made []string
			for _, topic := range cluster.Topics {
				if rest, ok := strings.CutPrefix(topic.Name, name+"."); ok {
					made = append(made, rest)
				}
			}
			slices.Sort(made)
			if diff := cmp.Diff([]string{"schema", "shop.orders", "watermark"}, made); diff != "" {
				t.Error(diff)
			}
		})
	}
}
