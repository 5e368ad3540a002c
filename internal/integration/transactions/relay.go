package transactions

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
const RelayChild = "transactions-relay"

// task is what the relay's process has to do.
type task struct {
	Flavor, Addr, Broker, Pipeline, Break string
}

// event is a line that the relay's process prints.
type event struct {
	Kind string         `json:"kind"`
	CSN  eventstore.CSN `json:"csn,omitempty"`
	Tail int            `json:"tail,omitempty"` // records that a predecessor had left out
	Took time.Duration  `json:"took,omitempty"` // of a flush
	Text string         `json:"text,omitempty"`
}

const (
	eventBegan    = "began"
	eventTail     = "tail"
	eventFlushing = "flushing"
	eventFlushed  = "flushed"
	eventRetry    = "retry"
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

// Sizes of the relay under test: so small that transactions of a few hundred rows come in several slices and flushes.
const (
	sliceBytes = 16 << 10
	flushBytes = 64 << 10
)

func (t task) relay(ctx context.Context) error {
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("relay", os.Getpid())
	source, err := binlog.New(binlog.Config{
		Addr: t.Addr, User: servers.CDCUser, Password: servers.CDCPassword, Flavor: t.Flavor, MaxSliceBytes: sliceBytes,
		Filter: cdc.Filter{Include: []string{schema + ".*"}}, Logger: logger,
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
		Source: broken(source, t.Break), Log: log, FlushBytes: flushBytes, Logger: logger,
		Hooks: cdc.Hooks{
			Began:        func(i cdc.BeginInfo) { say(event{Kind: eventBegan, CSN: i.CSN}) },
			TailFinished: func(i cdc.TailInfo) { say(event{Kind: eventTail, CSN: i.CSN, Tail: i.Transactions}) },
			Flushing:     func(i cdc.FlushInfo) { say(event{Kind: eventFlushing, CSN: i.CSN}) },
			Flushed:      func(i cdc.FlushInfo) { say(event{Kind: eventFlushed, CSN: i.CSN, Took: i.Took}) },
			Retrying:     func(i cdc.RetryInfo) { say(event{Kind: eventRetry, Text: i.Err.Error()}) },
		},
	})
	if err != nil {
		return err
	}
	// A relay that starts while the server is down gives up; whoever runs it starts it again.
	for again := time.NewTicker(200 * time.Millisecond); ; {
		err := relay.Run(ctx)
		if err == nil || !errors.Is(err, cdc.ErrUnavailable) {
			return err
		}
		say(event{Kind: eventRetry, Text: err.Error()})
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
	}
}
