package exactlyonce

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// RelayChild is the first argument of the program when it is to be a relay's process, which calls [Child].
const RelayChild = "exactlyonce-relay"

// task is what a relay's process has to do.
type task struct {
	Name, Flavor, Addr, Pipeline string
	Brokers                      []string
	// MaxBytes is the relay's bound of memory; 0: limits so small that a transaction of a few hundred rows takes several flushes.
	MaxBytes int
}

// order is what a relay's process is told.
type order struct {
	Do      string `json:"do"`
	Step    string `json:"step,omitempty"`
	Standby bool   `json:"standby,omitempty"` // run as one of several
}

const (
	doRun  = "run"  // begin to relay
	doHalt = "halt" // at a step
	doGo   = "go"   // on
)

// event is a line that a relay's process prints.
type event struct {
	Kind    string         `json:"kind"`
	CSN     eventstore.CSN `json:"csn,omitempty"`
	Records int            `json:"records,omitempty"` // that a predecessor had left out
	Took    time.Duration  `json:"took,omitempty"`    // of a flush
	Step    string         `json:"step,omitempty"`
	Peak    uint64         `json:"peak,omitempty"` // resident bytes
	Text    string         `json:"text,omitempty"`
}

const (
	eventReady    = "ready" // to be told
	eventBegan    = "began"
	eventTail     = "tail"
	eventFlushing = "flushing"
	eventFlushed  = "flushed"
	eventRetry    = "retry"
	eventHalted   = "halted"
	eventFenced   = "fenced"
	eventStandby  = "standby"
	eventMemory   = "memory"
)

// Child is a relay's process. It returns the exit code.
func Child() int {
	return supervise.ServeOrders(func(ctx context.Context, line []byte, orders <-chan []byte) error {
		var t task
		if err := json.Unmarshal(line, &t); err != nil {
			return err
		}
		return newChild(t).obey(ctx, orders)
	})
}

type child struct {
	task
	logger *slog.Logger
	gate   *gate
	steps  *stepper

	mu  sync.Mutex
	out *json.Encoder
}

func newChild(t task) *child {
	c := &child{task: t, logger: slog.New(slog.NewTextHandler(os.Stderr, nil)).With("relay", t.Name), out: json.NewEncoder(os.Stdout)}
	c.gate = &gate{tell: func(step string) { c.say(event{Kind: eventHalted, Step: step}) }}
	c.steps = &stepper{gate: c.gate, watermark: t.Pipeline + ".watermark",
		next: &kafka.Transport{ClientID: "relay-" + t.Name, MetadataTTL: time.Second, DialTimeout: 2 * time.Second}}
	return c
}

func (c *child) say(e event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.out.Encode(e) // the supervisor may be gone
}

// obey follows orders until ctx ends.
func (c *child) obey(ctx context.Context, orders <-chan []byte) error {
	c.say(event{Kind: eventReady})
	ended, running := make(chan error, 1), false
	for {
		select {
		case line := <-orders:
			var o order
			if err := json.Unmarshal(line, &o); err != nil {
				return err
			}
			switch {
			case o.Do == doHalt:
				c.gate.arm(o.Step)
			case o.Do == doGo:
				c.gate.release()
			case o.Do == doRun && !running:
				running = true
				go func() { ended <- c.relay(ctx, o.Standby) }()
			}
		case err := <-ended:
			running = false
			if !errors.Is(err, eventstore.ErrFenced) {
				return err
			}
			c.say(event{Kind: eventFenced, Text: err.Error()})
		case <-ctx.Done():
			c.gate.release()
			if running {
				if err := <-ended; !errors.Is(err, eventstore.ErrFenced) {
					return err
				}
			}
			return nil
		}
	}
}

// Sizes of the relay under test: so small that transactions of a few hundred rows come in several slices and flushes.
const (
	sliceBytes = 16 << 10
	flushBytes = 64 << 10
)

// relay runs until the context ends, another relay has taken over, or something is wrong.
func (c *child) relay(ctx context.Context, standby bool) error {
	source := binlog.Config{
		Addr: c.Addr, User: servers.CDCUser, Password: servers.CDCPassword, Flavor: c.Flavor, MaxSliceBytes: sliceBytes,
		HeartbeatPeriod: 500 * time.Millisecond, Filter: cdc.Filter{Include: []string{schema + ".*"}}, Logger: c.logger,
	}
	cfg := cdc.Config{FlushBytes: flushBytes, Heartbeat: time.Second, Standby: standby, Name: c.Name, Logger: c.logger, Hooks: c.hooks()}
	if c.MaxBytes > 0 {
		source.MaxSliceBytes, cfg.FlushBytes, cfg.MaxBytes = 0, 0, c.MaxBytes
	}
	var err error
	if cfg.Source, err = binlog.New(source); err != nil {
		return err
	}
	log, err := kafkalog.New(kafkalog.Config{Brokers: c.Brokers, Pipeline: c.Pipeline, Partitions: 3, RetryTimeout: 8 * time.Second, Transport: c.steps, Logger: c.logger})
	if err != nil {
		return err
	}
	defer log.Close()
	cfg.Log = log
	relay, err := cdc.NewRelay(cfg)
	if err != nil {
		return err
	}
	// A relay that starts while a server is down gives up; whoever runs it starts it again.
	for again := time.NewTicker(200 * time.Millisecond); ; {
		err := relay.Run(ctx)
		if err == nil || !errors.Is(err, cdc.ErrUnavailable) && !errors.Is(err, eventstore.ErrUnavailable) {
			return err
		}
		c.say(event{Kind: eventRetry, Text: err.Error()})
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
	}
}

func (c *child) hooks() cdc.Hooks {
	return cdc.Hooks{
		Began: func(i cdc.BeginInfo) {
			c.steps.finishes(i.Tail > 0)
			c.say(event{Kind: eventBegan, CSN: i.CSN})
		},
		TailFinished: func(i cdc.TailInfo) {
			c.steps.finishes(false)
			c.say(event{Kind: eventTail, CSN: i.CSN, Records: i.Records})
		},
		Standby: func(i cdc.StandbyInfo) { c.say(event{Kind: eventStandby, Text: i.Leader}) },
		Flushing: func(i cdc.FlushInfo) {
			c.steps.finishes(false)
			c.say(event{Kind: eventFlushing, CSN: i.CSN})
		},
		Flushed: func(i cdc.FlushInfo) {
			c.say(event{Kind: eventFlushed, CSN: i.CSN, Took: i.Took})
			if c.MaxBytes > 0 {
				if peak, err := supervise.PeakMemory(); err == nil {
					c.say(event{Kind: eventMemory, Peak: peak})
				}
			}
		},
		Retrying: func(i cdc.RetryInfo) { c.say(event{Kind: eventRetry, Text: i.Err.Error()}) },
	}
}
