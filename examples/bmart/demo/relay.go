package demo

import (
	"context"
	"log/slog"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/examples/bmart/schema"
)

// runRelay is the relay process.
func runRelay(ctx context.Context, t task, out *reporter, logger *slog.Logger) error {
	binlogSource, err := binlog.New(binlog.Config{
		Addr: t.Addr, User: t.User, Password: t.Password, Flavor: t.Flavor,
		Filter: cdc.Filter{Include: []string{schema.Database + ".*"}},
		Logger: logger,
	})
	if err != nil {
		return err
	}
	log, err := openLog(t.Brokers, logger)
	if err != nil {
		return err
	}
	defer log.Close()
	relay, err := cdc.NewRelay(cdc.Config{
		Source: breakSource(binlogSource, t.Break), Log: breakLog(log, t.Break), Logger: logger,
		Hooks: cdc.Hooks{
			Began: func(i cdc.BeginInfo) { out.send(report{Event: eventBegan, CSN: i.CSN, Tail: i.Tail}) },
			TailFinished: func(i cdc.TailInfo) {
				out.send(report{Event: eventTail, CSN: i.CSN, Tail: i.Transactions, Records: i.Records})
			},
			Flushing: func(i cdc.FlushInfo) { out.send(report{Event: eventFlushing, CSN: i.CSN, Records: i.Records}) },
			Flushed: func(i cdc.FlushInfo) {
				out.send(report{Event: eventFlushed, CSN: i.CSN, Records: i.Records, Took: i.Took})
			},
			Snapshot: func(i cdc.SnapshotInfo) { out.send(report{Event: eventSnapshot, Snapshot: i}) },
			Retrying: func(i cdc.RetryInfo) { out.send(report{Event: eventRetry, Text: i.Err.Error()}) },
		},
	})
	if err != nil {
		return err
	}
	return relay.Run(ctx)
}

func openLog(brokers []string, logger *slog.Logger) (*kafkalog.Log, error) {
	return kafkalog.New(kafkalog.Config{Brokers: brokers, Pipeline: pipeline, Logger: logger})
}

// topic is a table's topic, as another Kafka client sees it.
func topic(table string) string {
	return pipeline + "." + eventstore.RowTopic(schema.Database, table)
}
