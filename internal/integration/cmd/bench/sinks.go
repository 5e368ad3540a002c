package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/integration/bulkload"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/elastic"
	"github.com/millrace-go/millrace/projector/mongodb"
)

// indexSettings are those of the sink's index and of the plain loader's.
const indexSettings = `{"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "30s"}`

// sinkUnderTest is a sink, the plain loader of its server, and what the sink's share of that one's speed should be.
type sinkUnderTest struct {
	name           string
	sink           projector.Sink
	target         projector.Target
	plain          func(mode string) (bulkload.Loader, error)
	new, overwrite float64
}

// sinks measures each sink beside a plain bulk loader.
func (b *bench) sinks(ctx context.Context) error {
	const batch = 1000
	batches := int(min(max(b.rows/4_000, 10), 250)) // fewer, and a merge in one of the indexes decides
	fmt.Printf("sinks: %d batches of %d documents of 280 B, one after the other, each by the sink and by a plain bulk loader in turn\n", batches, batch)
	elasticsearch, err := b.elastic(ctx)
	if err != nil {
		return err
	}
	defer elasticsearch.Close()
	search, err := b.server(ctx, servers.Elasticsearch)
	if err != nil {
		return err
	}
	mongo, uri, err := b.mongodb(ctx)
	if err != nil {
		return err
	}
	defer mongo.Close()
	for _, u := range []sinkUnderTest{
		{"Elasticsearch", elasticsearch, elastic.Index("bench-sink", elastic.Settings(indexSettings)), func(string) (bulkload.Loader, error) {
			return bulkload.Elastic(ctx, search.Value, "bench-plain", indexSettings)
		}, 95, 80},
		{"MongoDB", mongo, mongodb.Collection("bench_sink"), func(mode string) (bulkload.Loader, error) {
			return bulkload.MongoDB(ctx, uri, "bench", "plain", mode == "new")
		}, 85, 65},
	} {
		if err := u.sink.Prepare(ctx, u.target, 1); err != nil {
			return err
		}
		for _, mode := range []string{"new", "overwrite", "stale"} {
			shares, err := u.measure(ctx, mode, batches, batch)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", u.name, mode, err)
			}
			goal := ""
			switch mode {
			case "new":
				goal = fmt.Sprintf("  (goal %.0f %%)", u.new)
			case "overwrite":
				goal = fmt.Sprintf("  (goal %.0f %%)", u.overwrite)
			}
			fmt.Printf("  %-13s %-9s %8.0f documents/s, plain loader %8.0f: %4.0f %%; half of the pairs at least %4.0f %%%s\n", u.name, mode, shares.sink, shares.plain,
				100*shares.sink/shares.plain, 100*shares.middle, goal)
		}
	}
	return nil
}

// shares are a sink's speed and the plain loader's, in documents a second, and the middle one of the ratios of all pairs of batches.
type shares struct{ sink, plain, middle float64 }

// measure writes batches by turns. Overwrites and stale writes meet what new has written.
func (u *sinkUnderTest) measure(ctx context.Context, mode string, batches, batch int) (shares, error) {
	plain, err := u.plain(mode)
	if err != nil {
		return shares{}, err
	}
	defer plain.Close()
	csn, want := map[string]eventstore.CSN{"new": 100, "overwrite": 200, "stale": 50}[mode], projector.Applied
	if mode == "stale" {
		want = projector.Stale
	}
	var inSink, inPlain time.Duration
	var ratios []float64
	const warm = 5
	for i := range warm + batches {
		version, err := projector.NewVersion(1, csn)
		if err != nil {
			return shares{}, err
		}
		ids, bodies := make([]string, batch), make([][]byte, batch)
		writes, results := make([]projector.Write, batch), make([]projector.Result, batch)
		for k := range writes {
			ids[k], bodies[k] = fmt.Sprint(i*batch+k), bulkload.Body(i*batch+k, int(csn))
			writes[k] = projector.Write{ID: ids[k], Version: version, Body: bodies[k]}
		}
		send, err := plain.Ready(ids, bodies)
		if err != nil {
			return shares{}, err
		}
		var took [2]time.Duration
		timed := func(n int, do func() error) error {
			began := time.Now()
			err := do()
			took[n] = time.Since(began)
			return err
		}
		turns := []func() error{
			func() error {
				return timed(0, func() error { return u.sink.Apply(ctx, u.target, 1, writes, results) })
			},
			func() error { return timed(1, func() error { return send(ctx) }) },
		}
		if i%2 == 1 {
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			if err := turn(); err != nil {
				return shares{}, err
			}
		}
		for k, r := range results {
			if r.Outcome != want {
				return shares{}, fmt.Errorf("document %s: outcome %d, want %d: %w", ids[k], r.Outcome, want, r.Err)
			}
		}
		if i < warm {
			continue
		}
		inSink, inPlain = inSink+took[0], inPlain+took[1]
		ratios = append(ratios, took[1].Seconds()/took[0].Seconds())
	}
	slices.Sort(ratios)
	documents := float64(batches * batch)
	return shares{documents / inSink.Seconds(), documents / inPlain.Seconds(), ratios[len(ratios)/2]}, nil
}

// elastic returns a sink in the private server.
func (b *bench) elastic(ctx context.Context) (*elastic.Sink, error) {
	server, err := b.server(ctx, servers.Elasticsearch)
	if err != nil {
		return nil, err
	}
	return elastic.New(elastic.Config{Addresses: []string{server.Value}})
}

// mongodb returns a sink in the private server, and the server's URI.
func (b *bench) mongodb(ctx context.Context) (*mongodb.Sink, string, error) {
	server, err := b.server(ctx, servers.MongoDB)
	if err != nil {
		return nil, "", err
	}
	sink, err := mongodb.New(mongodb.Config{URI: server.Value, Database: "bench"})
	return sink, server.Value, err
}
