package sinks

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"

	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/mongodb"
)

// TestMongoDBTombstonesExpire has the server's own TTL thread remove a tombstone, and only that.
func TestMongoDBTombstonesExpire(t *testing.T) {
	e := newMongoAt(t, privateMongo(t, "--setParameter", "ttlMonitorSleepSecs=1").Address().Value, func(cfg *mongodb.Config) { cfg.TombstoneAge = time.Second })
	target := mongodb.Collection(uniqueName())
	if err := e.sink.Prepare(t.Context(), target, 1); err != nil {
		t.Fatal(err)
	}
	stream, err := e.db.Collection(target.Name+"__g1").Watch(t.Context(), mongo.Pipeline{{{Key: "$match", Value: bson.D{{Key: "operationType", Value: "delete"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, e.sink, target, projector.Write{ID: "stays", Version: 1, Body: []byte(`{"n":1}`)}, projector.Applied)
	wantOutcome(t, e.sink, target, projector.Write{ID: "back", Version: 1}, projector.Applied)
	wantOutcome(t, e.sink, target, projector.Write{ID: "back", Version: 2, Body: []byte(`{"n":2}`)}, projector.Applied)
	wantOutcome(t, e.sink, target, projector.Write{ID: "goes", Version: 1}, projector.Applied)
	if !stream.Next(t.Context()) {
		t.Fatal(stream.Err())
	}
	if id := stream.Current.Lookup("documentKey", "_id").StringValue(); id != "goes" {
		t.Errorf("%q was removed", id)
	}
	for id, want := range map[string]bool{"stays": true, "back": true, "goes": false} {
		if _, found, err := e.sink.Get(t.Context(), target, 1, id); err != nil || found != want {
			t.Errorf("%q: found %v, %v; want %v", id, found, err, want)
		}
	}
	if err := stream.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func privateMongo(t *testing.T, args ...string) *servers.Server {
	t.Helper()
	s, err := servers.Start(t.Context(), servers.MongoDB, servers.Options{Args: args, Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestMongoDBElections: while writers write, the primary steps down, is frozen for a while, and is killed. Writers hear that
// the server is unavailable, repeat, and nothing that was acknowledged is missing.
func TestMongoDBElections(t *testing.T) {
	const writers = 4
	server := privateMongo(t)
	e := newMongoAt(t, server.Address().Value, func(cfg *mongodb.Config) { cfg.Timeout = 5 * time.Second })
	target := mongodb.Collection(uniqueName())
	if err := e.sink.Prepare(t.Context(), target, 1); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	acknowledged, failures := make([]projector.Version, writers), make([]int, writers)
	progressed := make(chan struct{}, writers) // one for each write that was acknowledged, as far as somebody waits
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for version := projector.Version(1); ; version++ {
				writes := make([]projector.Write, 50)
				for i := range writes {
					writes[i] = projector.Write{ID: fmt.Sprint(w, "/", i), Version: version, Body: fmt.Appendf(nil, `{"n":%d}`, version)}
				}
				for {
					results := make([]projector.Result, len(writes))
					err := e.sink.Apply(t.Context(), target, 1, writes, results)
					ok := err == nil
					for _, r := range results {
						ok = ok && r.Outcome == projector.Applied
					}
					if ok {
						break
					}
					failures[w]++
					wantTransient(t, err, results)
					if t.Failed() {
						return
					}
				}
				acknowledged[w] = version
				select {
				case <-done:
					return
				case progressed <- struct{}{}:
				default:
				}
			}
		})
	}
	wait := func() { // until writes go through again
		for range 4 * writers {
			<-progressed
		}
	}
	admin := e.db.Client().Database("admin")
	wait()
	for range 2 {
		// The only member cannot be elected again before this time has passed.
		if err := admin.RunCommand(t.Context(), bson.D{{Key: "replSetStepDown", Value: 1}, {Key: "force", Value: true}}).Err(); err != nil && !mongo.IsNetworkError(err) {
			t.Error(err)
		}
		wait()
	}
	if err := server.Kill(); err != nil {
		t.Error(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Error(err)
	}
	wait()
	close(done)
	group.Wait()
	majority := e.db.Collection(target.Name+"__g1", options.Collection().SetReadConcern(readconcern.Majority()))
	for w, version := range acknowledged {
		n, err := majority.CountDocuments(t.Context(), bson.D{
			{Key: "_id", Value: bson.D{{Key: "$regex", Value: fmt.Sprintf("^%d/", w)}}}, {Key: "_v", Value: int64(version)}, {Key: "n", Value: int64(version)},
		})
		if err != nil || n != 50 {
			t.Errorf("writer %d: %d of 50 documents are at version %d (%v)", w, n, version, err)
		}
	}
	t.Logf("acknowledged versions %v, failures %v", acknowledged, failures)
	total := 0
	for _, f := range failures {
		total += f
	}
	if total == 0 {
		t.Error("no write met a failure")
	}
}

// wantTransient checks that what a failed Apply said is that it may pass.
func wantTransient(t *testing.T, err error, results []projector.Result) {
	t.Helper()
	if err != nil {
		if !errors.Is(err, projector.ErrUnavailable) {
			t.Errorf("got an error that does not wrap ErrUnavailable: %v", err)
		}
		return
	}
	for _, r := range results {
		if r.Outcome != projector.Applied && r.Outcome != projector.Retry {
			t.Errorf("got %+v", r)
		}
	}
}
