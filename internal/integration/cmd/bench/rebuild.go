package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/shop"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/elastic"
	"github.com/millrace-go/millrace/projector/mongodb"
)

// rebuild measures how long a read model of many documents takes to be built anew when its Version is raised.
func (b *bench) rebuild(ctx context.Context) error {
	broker, err := b.server(ctx, servers.Kafka)
	if err != nil {
		return err
	}
	base := job{Step: "rebuild", Kafka: broker.HostPort(), Pipeline: "bench-rebuild", Rows: b.rows}
	log, err := base.log()
	if err != nil {
		return err
	}
	s, err := shop.New(ctx, log, int(b.rows), 1)
	if err != nil {
		return err
	}
	const first = 1000 // products that the generation before has
	if err := s.Stock(ctx, 0, first, 1000); err != nil {
		return err
	}
	jobs := []job{base, base, base}
	for i, kind := range []servers.Kind{"", servers.Elasticsearch, servers.MongoDB} {
		if jobs[i].Kind = string(kind); kind == "" {
			continue
		}
		server, err := b.server(ctx, kind)
		if err != nil {
			return err
		}
		jobs[i].Sink = server.Value
		if err := jobs[i].build(ctx, 1, func(f *shop.Follower) error { return f.Wait(ctx, s.CSN()) }); err != nil {
			return fmt.Errorf("first build: %w", err)
		}
	}
	if err := s.Stock(ctx, first, int(b.rows), 1000); err != nil {
		return err
	}
	fmt.Printf("rebuild: Version raised; %d product documents from %d rows in Kafka, until readers see them; rows in memory\n", b.rows, 2*b.rows)
	for _, j := range jobs {
		r, err := j.spawn(ctx)
		if err != nil {
			return err
		}
		if r.Documents != int(b.rows) {
			return fmt.Errorf("%d documents were written, want %d", r.Documents, b.rows)
		}
		name := map[servers.Kind]string{"": "memory", servers.Elasticsearch: "Elasticsearch", servers.MongoDB: "MongoDB"}[servers.Kind(j.Kind)]
		fmt.Printf("  %-13s %6.1f s  %8.0f documents/s  %6.2f µs CPU a document  %5d MB peak\n", name, r.Seconds, r.rate(), r.cpu(), r.Peak>>20)
	}
	return nil
}

// rebuild builds the second generation.
func (j job) rebuild(ctx context.Context) (r result, err error) {
	log, err := j.log()
	if err != nil {
		return r, err
	}
	head, _, err := log.Head(ctx)
	if err != nil {
		return r, err
	}
	var figures shop.Figures
	err = j.build(ctx, 2, func(f *shop.Follower) error {
		figures, err = f.Measure(func() error { return f.Wait(ctx, head.CSN) })
		return err
	})
	if err != nil {
		return r, err
	}
	return measured(j.Rows, figures)
}

// build runs a version of the read model.
func (j job) build(ctx context.Context, version int, do func(*shop.Follower) error) (err error) {
	log, err := kafkalog.New(kafkalog.Config{Brokers: []string{j.Kafka}, Pipeline: j.Pipeline})
	if err != nil {
		return err
	}
	sink, target, err := j.sink("rebuilt")
	if err != nil {
		return err
	}
	if c, ok := sink.(interface{ Close() error }); ok {
		defer func() { err = errors.Join(err, c.Close()) }()
	}
	f, err := shop.Follow(ctx, projector.Config{Log: log, Sinks: []projector.Sink{sink}, Projectors: []projector.Projector{new(shop.Models).Products(target, version)}})
	if err != nil {
		return err
	}
	return errors.Join(do(f), f.Close())
}

// sink returns the sink of a job's kind, and a target in it, with progress records of its own.
func (j job) sink(name string) (projector.Sink, projector.Target, error) {
	switch servers.Kind(j.Kind) {
	case servers.Elasticsearch:
		sink, err := elastic.New(elastic.Config{Addresses: []string{j.Sink}, ProgressIndex: "progress-" + name})
		return sink, elastic.Index(name, elastic.Settings(indexSettings)), err
	case servers.MongoDB:
		sink, err := mongodb.New(mongodb.Config{URI: j.Sink, Database: "bench-" + name})
		return sink, mongodb.Collection(name), err
	}
	return projector.NewMemorySink(), projector.MemoryTarget(name), nil
}
