package sinks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/elastic"
	"github.com/millrace-go/millrace/projector/mongodb"
)

const benchBatch = 1000

// benchRuns gives every run documents of its own, also with -count.
var benchRuns atomic.Int64

// benchBody is a document of about 280 bytes.
func benchBody(id, n int) []byte {
	return fmt.Appendf(nil, `{"n":%d,"text":"product %d of the house","price":%d,"currency":"EUR","tags":["garden","tools","steel"],`+
		`"stock":{"berlin":%d,"hamburg":%d,"munich":7},"description":"A product that has a description of a usual length, with a few words more than needed, %d"}`,
		n, id, n%10_000, n%17, n%23, n)
}

// plainLoader makes ready to write documents without any guard, as the server's ordinary bulk tools do. Only what it returns is
// timed: the sink's own encoding counts against the sink.
type plainLoader func(ids []string, bodies [][]byte) (send func(ctx context.Context) error, err error)

// benchmark writes batches through the sink and through a plain loader by turns, so that both meet the same machine, and reports the
// speeds and the sink's share. Overwrites meet every document of a store of 20 batches again and again.
func benchmark(b *testing.B, sink projector.Sink, target projector.Target, plain plainLoader) {
	const batches = 20
	for _, mode := range []string{"new", "overwrite", "stale"} {
		b.Run(mode, func(b *testing.B) {
			t := target
			t.Name += mode
			if err := sink.Prepare(b.Context(), t, 1); err != nil {
				b.Fatal(err)
			}
			base := int(benchRuns.Add(1)) * 10_000_000
			var inSink, inPlain time.Duration
			csn := eventstore.CSN(1)
			write := func(i int, csn eventstore.CSN, want projector.Outcome) {
				ids, bodies, writes := make([]string, benchBatch), make([][]byte, benchBatch), make([]projector.Write, benchBatch)
				version, err := projector.NewVersion(1, csn)
				if err != nil {
					b.Fatal(err)
				}
				for k := range writes {
					n := base + i*benchBatch + k
					ids[k], bodies[k] = fmt.Sprint(n), benchBody(n, int(csn))
					writes[k] = projector.Write{ID: ids[k], Version: version, Body: bodies[k]}
				}
				results := make([]projector.Result, benchBatch)
				begin := time.Now()
				if err := sink.Apply(b.Context(), t, 1, writes, results); err != nil {
					b.Fatal(err)
				}
				inSink += time.Since(begin)
				for k, r := range results {
					if r.Outcome != want {
						b.Fatalf("document %d: %+v", k, r)
					}
				}
				send, err := plain(ids, bodies)
				if err != nil {
					b.Fatal(err)
				}
				begin = time.Now()
				if err := send(b.Context()); err != nil {
					b.Fatal(err)
				}
				inPlain += time.Since(begin)
			}
			if mode != "new" {
				for i := range batches {
					write(i, 1000, projector.Applied)
				}
			}
			inSink, inPlain = 0, 0
			n := 0
			for b.Loop() {
				switch mode {
				case "new":
					write(n, 1, projector.Applied)
				case "overwrite":
					write(n%batches, 1001+csn, projector.Applied)
					csn++
				case "stale":
					write(n%batches, 1, projector.Stale)
				}
				n++
			}
			docs := float64(n * benchBatch)
			b.ReportMetric(docs/inSink.Seconds(), "docs/s")
			b.ReportMetric(docs/inPlain.Seconds(), "plain-docs/s")
			b.ReportMetric(100*inPlain.Seconds()/inSink.Seconds(), "%of-plain")
		})
	}
}

func BenchmarkElastic(b *testing.B) {
	e := newElastic(b)
	name := uniqueName()
	settings := `{"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "30s"}`
	if err := e.call(b.Context(), "PUT", "/"+name+"-plain", `{"settings":`+settings+`}`, nil); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		e.delete(b, name+"-plain")
		for _, mode := range []string{"new", "overwrite", "stale"} {
			e.delete(b, name+mode+"__g1")
		}
	})
	benchmark(b, e.sink, elastic.Index(name, elastic.Settings(settings)), func(ids []string, bodies [][]byte) (func(context.Context) error, error) {
		var body bytes.Buffer
		for i, id := range ids {
			fmt.Fprintf(&body, "{\"index\":{\"_id\":%q}}\n%s\n", id, bodies[i])
		}
		return func(ctx context.Context) error {
			var reply struct{ Errors bool }
			err := e.call(ctx, http.MethodPost, "/"+name+"-plain/_bulk", body.String(), &reply)
			if err == nil && reply.Errors {
				err = errors.New("an item failed")
			}
			return err
		}, nil
	})
}

func BenchmarkMongoDB(b *testing.B) {
	e := newMongo(b)
	plain := e.db.Collection("plain", options.Collection().SetWriteConcern(writeconcern.Majority()))
	benchmark(b, e.sink, mongodb.Collection(uniqueName()), func(ids []string, bodies [][]byte) (func(context.Context) error, error) {
		models := make([]mongo.WriteModel, len(ids))
		for i, id := range ids {
			var doc bson.D
			if err := bson.UnmarshalExtJSON(bodies[i], false, &doc); err != nil {
				return nil, err
			}
			models[i] = mongo.NewReplaceOneModel().SetFilter(bson.D{{Key: "_id", Value: id}}).SetReplacement(doc).SetUpsert(true)
		}
		return func(ctx context.Context) error {
			_, err := plain.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
			return err
		}, nil
	})
}
