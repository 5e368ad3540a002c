package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// RelayChild is the first argument of the program when it is to be the relay's process, which calls [Child].
const RelayChild = "snapshot-relay"

// task is what the relay's process has to do.
type task struct {
	Flavor, Addr, Broker, Pipeline string
	Include                        []string
	FlushBytes                     int
	Snapshot                       cdc.SnapshotConfig
}

// event is a line that the relay's process prints.
type event struct {
	Kind string         `json:"kind"`
	CSN  eventstore.CSN `json:"csn,omitempty"`
	Tail int            `json:"tail,omitempty"` // records that a predecessor had left out
	Text string         `json:"text,omitempty"`
	// Of a snapshot.
	Table    string `json:"table,omitempty"`
	Request  string `json:"request,omitempty"`
	Rows     uint64 `json:"rows,omitempty"`
	Done     bool   `json:"done,omitempty"`
	Complete bool   `json:"complete,omitempty"`
	// Discarded is why a chunk came to nothing.
	Discarded string `json:"discarded,omitempty"`
	Peak      uint64 `json:"peak,omitempty"` // memory, bytes
}

const (
	eventBegan = "began"
	eventTail  = "tail"
	eventRetry = "retry"
	eventChunk = "chunk"
	eventEnded = "ended"
)

// Child is the relay's process. It returns the exit code.
func Child() int {
	return supervise.Serve(func(ctx context.Context, line []byte) error {
		var t task
		if err := json.Unmarshal(line, &t); err != nil {
			return err
		}
		return t.relay(ctx)
	})
}

func (t task) relay(ctx context.Context) error {
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("relay", os.Getpid())
	source, err := binlog.New(binlog.Config{
		Addr: t.Addr, User: servers.CDCUser, Password: servers.CDCPassword, Flavor: t.Flavor,
		Filter: cdc.Filter{Include: t.Include}, Logger: logger,
	})
	if err != nil {
		return err
	}
	log, err := kafkalog.New(kafkalog.Config{Brokers: []string{t.Broker}, Pipeline: t.Pipeline, Logger: logger})
	if err != nil {
		return err
	}
	defer log.Close()
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	say := func(e event) {
		mu.Lock()
		defer mu.Unlock()
		_ = out.Encode(e) // the supervisor may be gone
	}
	relay, err := cdc.NewRelay(cdc.Config{
		Source: source, Log: log, Logger: logger, FlushBytes: t.FlushBytes, Snapshot: t.Snapshot,
		Hooks: cdc.Hooks{
			Began:        func(i cdc.BeginInfo) { say(event{Kind: eventBegan, CSN: i.CSN}) },
			TailFinished: func(i cdc.TailInfo) { say(event{Kind: eventTail, CSN: i.CSN, Tail: i.Transactions}) },
			Snapshot: func(i cdc.SnapshotInfo) {
				say(event{Kind: eventChunk, Table: i.Table, Request: i.Request, Rows: i.Rows, Done: i.Done, Complete: i.Complete, Discarded: i.Discarded})
			},
			Retrying: func(i cdc.RetryInfo) { say(event{Kind: eventRetry, Text: i.Err.Error()}) },
		},
	})
	if err != nil {
		return err
	}
	for again := time.NewTicker(200 * time.Millisecond); ; {
		err := relay.Run(ctx)
		if err == nil || !errors.Is(err, cdc.ErrUnavailable) {
			peak, noPeak := supervise.PeakMemory()
			say(event{Kind: eventEnded, Peak: peak})
			return errors.Join(err, noPeak)
		}
		say(event{Kind: eventRetry, Text: err.Error()})
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
	}
}
