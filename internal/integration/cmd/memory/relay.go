package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// maxBytes is the relay's one bound of memory: its default.
const maxBytes = 64 << 20

// job is what one relay has to carry.
type job struct {
	DB, Kafka, Pipeline string
	CSN                 eventstore.CSN // of the last transaction
	MessageBytes        int            // kafkalog's MaxMessageBytes
}

// used is what a relay took.
type used struct {
	Peak    uint64 // resident, bytes
	Heap    uint64 // of Go's objects, garbage included, bytes
	Seconds float64
}

// spawn runs the relay in a process of its own, so that its memory is its own.
func (j job) spawn(ctx context.Context) (used, error) {
	var u used
	self, err := os.Executable()
	if err != nil {
		return u, err
	}
	cmd := exec.CommandContext(ctx, self, "-relay", j.describe())
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return u, fmt.Errorf("relay: %w", err)
	}
	return u, json.Unmarshal(out, &u)
}

// runRelay carries a database's whole binlog into the log, until a watermark covers it, and prints what that took.
func runRelay(ctx context.Context, description string) error {
	var j job
	if err := json.Unmarshal([]byte(description), &j); err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	source, err := binlog.New(binlog.Config{Addr: j.DB, User: servers.CDCUser, Password: servers.CDCPassword, Logger: logger,
		Filter: cdc.Filter{Include: []string{"memory.*"}}})
	if err != nil {
		return err
	}
	log, err := kafkalog.New(kafkalog.Config{Brokers: []string{j.Kafka}, Pipeline: j.Pipeline, MaxMessageBytes: j.MessageBytes, Logger: logger})
	if err != nil {
		return err
	}
	defer log.Close()
	ctx, done := context.WithCancel(ctx)
	defer done()
	complete := false
	relay, err := cdc.NewRelay(cdc.Config{Source: source, Log: log, Logger: logger, MaxBytes: maxBytes, Hooks: cdc.Hooks{Flushed: func(i cdc.FlushInfo) {
		if i.CSN >= j.CSN && i.Recorded {
			complete = true
			done()
		}
	}}})
	if err != nil {
		return err
	}
	var u used
	var watching sync.WaitGroup
	watching.Go(func() { u.Heap = heapPeak(ctx) })
	began := time.Now()
	for tries := 0; ; tries++ { // a broker that has just been given gigabytes may not answer for a while
		err := relay.Run(ctx)
		if err == nil {
			break
		}
		if tries == 5 || !errors.Is(err, eventstore.ErrUnavailable) && !errors.Is(err, cdc.ErrUnavailable) {
			return err
		}
	}
	u.Seconds = time.Since(began).Seconds()
	done()
	watching.Wait()
	if !complete {
		return errors.New("the relay stopped before the last transaction was recorded")
	}
	if u.Peak, err = supervise.PeakMemory(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(u)
}

// heapPeak returns the most memory that objects on the heap took until ctx ended.
func heapPeak(ctx context.Context) (highest uint64) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	for {
		metrics.Read(sample)
		highest = max(highest, sample[0].Value.Uint64())
		select {
		case <-ctx.Done():
			return highest
		case <-tick.C:
		}
	}
}
