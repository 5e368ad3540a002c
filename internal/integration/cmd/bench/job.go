package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// job is one step of a part, done by a process of its own, so that CPU time and memory are its own.
type job struct {
	Step                      string
	Kind, DB, Kafka, Pipeline string
	Sink                      string // address of its server
	Rows                      uint64
	Products, Catalogs        int
	Pebble                    bool // local state on disk, else in memory
}

// result is what a step cost its process.
type result struct {
	Rows      uint64
	Seconds   float64
	CPU       float64 // seconds, user and system
	Peak      uint64  // bytes resident
	Documents int     // written
	Bytes     int     // of them
	Cards     int64   // documents and parts built
	Middle    float64 // seconds that half of the rows have taken at most, one by one
}

func (r result) rate() float64 { return float64(r.Rows) / r.Seconds }
func (r result) cpu() float64  { return r.CPU / float64(r.Rows) * 1e6 }

func (j job) run(ctx context.Context) (result, error) {
	figures := map[string]func(context.Context) (result, error){"fold": j.backlog, "products": j.backlog, "catalogs": j.backlog, "rebuild": j.rebuild, "sell": j.sell}
	if step, ok := figures[j.Step]; ok {
		return step(ctx)
	}
	steps := map[string]func(context.Context) error{"decode": j.decode, "source": j.source, "relay": j.relay, "cuts": j.cuts}
	step, ok := steps[j.Step]
	if !ok {
		return result{}, fmt.Errorf("unknown step %q", j.Step)
	}
	began := time.Now()
	if err := step(ctx); err != nil {
		return result{}, err
	}
	r := result{Rows: j.Rows, Seconds: time.Since(began).Seconds()}
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return r, err
	}
	r.CPU = time.Duration(use.Utime.Nano() + use.Stime.Nano()).Seconds()
	var err error
	r.Peak, err = supervise.PeakMemory()
	return r, err
}

// decode reads the backlog with go-mysql as its documentation shows it.
func (j job) decode(ctx context.Context) error {
	host, text, err := net.SplitHostPort(j.DB)
	if err != nil {
		return err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return err
	}
	syncer := replication.NewBinlogSyncer(replication.BinlogSyncerConfig{ServerID: 4_000_000_001, Flavor: j.Kind, Host: host, Port: uint16(port),
		User: servers.CDCUser, Password: servers.CDCPassword,
		Logger: slog.New(slog.DiscardHandler)})
	defer syncer.Close()
	set, err := mysql.ParseGTIDSet(j.Kind, "")
	if err != nil {
		return err
	}
	streamer, err := syncer.StartSyncGTID(set)
	if err != nil {
		return err
	}
	seen := uint64(0)
	count := func(event *replication.BinlogEvent) {
		rows, ok := event.Event.(*replication.RowsEvent)
		if !ok || string(rows.Table.Schema) != "bench" {
			return
		}
		n := uint64(len(rows.Rows))
		if event.Header.EventType == replication.UPDATE_ROWS_EVENTv2 || event.Header.EventType == replication.UPDATE_ROWS_EVENTv1 {
			n /= 2
		}
		seen += n
	}
	for seen < j.Rows {
		event, err := streamer.GetEvent(ctx)
		if err != nil {
			return err
		}
		if payload, ok := event.Event.(*replication.TransactionPayloadEvent); ok {
			for _, inner := range payload.Events {
				count(inner)
			}
			continue
		}
		count(event)
	}
	return nil
}

func (j job) open() (*binlog.Source, error) {
	return binlog.New(binlog.Config{Addr: j.DB, User: servers.CDCUser, Password: servers.CDCPassword, Filter: cdc.Filter{Include: []string{"bench.*"}}})
}

// source reads the backlog with our source and keeps nothing.
func (j job) source(ctx context.Context) error {
	source, err := j.open()
	if err != nil {
		return err
	}
	from, err := source.Oldest(ctx)
	if err != nil {
		return err
	}
	stream, err := source.Open(ctx, from)
	if err != nil {
		return err
	}
	defer stream.Close()
	for seen := uint64(0); seen < j.Rows; {
		slice, err := stream.Next(ctx)
		if err != nil {
			return err
		}
		seen += uint64(len(slice.Changes))
	}
	return nil
}

func (j job) log() (*kafkalog.Log, error) {
	return kafkalog.New(kafkalog.Config{Brokers: []string{j.Kafka}, Pipeline: j.Pipeline})
}

// relay carries the backlog into Kafka, until a watermark covers it.
func (j job) relay(ctx context.Context) error {
	source, err := j.open()
	if err != nil {
		return err
	}
	log, err := j.log()
	if err != nil {
		return err
	}
	ctx, done := context.WithCancel(ctx)
	defer done()
	seen := uint64(0)
	relay, err := cdc.NewRelay(cdc.Config{Source: source, Log: log, Hooks: cdc.Hooks{Flushed: func(i cdc.FlushInfo) {
		if seen += uint64(i.Records); seen >= j.Rows && i.Recorded {
			done()
		}
	}}})
	if err != nil {
		return err
	}
	if err := relay.Run(ctx); err != nil {
		return err
	}
	if seen < j.Rows { // schema records count, too; how many rows the log has, cuts sees
		return fmt.Errorf("the relay stopped after %d records, want %d", seen, j.Rows)
	}
	return nil
}

// cuts reads the log back.
func (j job) cuts(ctx context.Context) error {
	log, err := j.log()
	if err != nil {
		return err
	}
	head, _, err := log.Head(ctx)
	if err != nil {
		return err
	}
	ctx, done := context.WithCancel(ctx)
	defer done()
	seen := uint64(0)
	for cut, err := range log.Cuts(ctx, eventstore.CutOptions{}) {
		if err != nil {
			return err
		}
		for rec, err := range cut.Records() {
			if err != nil {
				return err
			}
			if rec.Topic != eventstore.SchemaTopic {
				seen++
			}
		}
		if cut.CSN >= head.CSN {
			break
		}
	}
	if seen != j.Rows {
		return fmt.Errorf("the log gave %d records, want %d", seen, j.Rows)
	}
	return nil
}
