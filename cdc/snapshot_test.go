package cdc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

// slowSource reads chunks while the world goes on.
type slowSource struct {
	*cdc.MemorySource
	rnd *rand.Rand // guarded by a token
	use chan struct{}
}

func (s *slowSource) pause() {
	s.use <- struct{}{}
	d := time.Duration(s.rnd.IntN(5)) * time.Millisecond
	<-s.use
	time.Sleep(d)
}

func (s *slowSource) OpenChunks(ctx context.Context) (cdc.ChunkReader, error) {
	s.pause()
	r, err := s.MemorySource.OpenChunks(ctx)
	return &slowReader{r, s}, err
}

type slowReader struct {
	cdc.ChunkReader
	source *slowSource
}

func (r *slowReader) Read(ctx context.Context, req cdc.ChunkRequest) (*cdc.Chunk, error) {
	r.source.pause()
	chunk, err := r.ChunkReader.Read(ctx, req)
	r.source.pause()
	return chunk, err
}

// TestSnapshot: whatever changes while tables are read, whatever fails, and whenever the relay begins anew or with another filter, the log
// tells the tables.
func TestSnapshot(t *testing.T) {
	reads, retries := 0, 0
	for seed := range uint64(200) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 7))
				narrow, wide := cdc.Filter{Include: []string{"shop.*"}}, cdc.Filter{Include: []string{"shop.*", "late.*"}}
				filter := narrow
				w := newWorld(t, rnd, filter)
				for range 20 + rnd.IntN(40) {
					w.commit()
				}
				for len(w.xa) > 0 { // what was prepared before a new log's beginning is no matter of snapshots
					w.settle(0)
				}
				if rnd.IntN(2) == 0 {
					w.source.Purge(1000)
					w.begun = len(w.ids)
				}
				w.source.Unsettle(rand.New(rand.NewPCG(seed, 8)))
				log := eventstore.NewMemoryLog()
				slow := &slowSource{w.source, rand.New(rand.NewPCG(seed, 9)), make(chan struct{}, 1)}
				clean := func() *cdc.Relay {
					return newRelay(t, cdc.Config{Source: slow, Log: &faultyLog{Log: log, rnd: rnd, stamped: w.stamps}})
				}
				run := func(span time.Duration) {
					ctx, cancel := context.WithCancel(t.Context())
					done := make(chan error, 1)
					go func() { done <- clean().Run(ctx) }()
					time.Sleep(span)
					cancel()
					if err := <-done; err != nil {
						t.Fatalf("run: %v", err)
					}
				}
				run(5 * time.Millisecond)
				for round := range 6 {
					if rnd.IntN(3) == 0 {
						run(time.Millisecond) // finishes a tail, which needs its filter
						if filter = wide; rnd.IntN(2) == 0 {
							filter = narrow
						}
						if err := w.source.Refilter(filter); err != nil {
							t.Fatal(err)
						}
					}
					faulty := &faultyLog{Log: log, rnd: rand.New(rand.NewPCG(seed, uint64(round))), rate: 0.05, stamped: w.stamps}
					faulty.left.Store(10)
					relay := newRelay(t, cdc.Config{Source: slow, Log: faulty, FlushBytes: 1000 + rnd.IntN(5000), Hooks: cdc.Hooks{Retrying: func(cdc.RetryInfo) { retries++ }},
						Snapshot: cdc.SnapshotConfig{Readers: 1 + rnd.IntN(3), ChunkRows: 1 + rnd.IntN(9), Eager: rnd.IntN(2) == 0}})
					ctx, cancel := context.WithCancel(t.Context())
					done := make(chan error, 1)
					go func() { done <- relay.Run(ctx) }()
					synctest.Wait()
					for range rnd.IntN(60) {
						w.commit()
						time.Sleep(time.Duration(rnd.IntN(4)) * time.Millisecond)
					}
					cancel()
					if err := <-done; err != nil && !strings.Contains(err.Error(), "injected") {
						t.Fatalf("run: %v", err)
					}
				}
				for len(w.xa) > 0 {
					w.settle(0)
				}
				run(time.Minute)
				reads += w.check(t, log, filter)
			})
		})
	}
	if reads < 1000 || retries < 100 {
		t.Errorf("%d rows were read, and %d sessions failed: this shows little", reads, retries)
	}
}

// TestSnapshotPace: a limit of rows is kept, and the events say how long the rest takes.
func TestSnapshotPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, err := cdc.NewMemorySource(cdc.Filter{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		table := &cdc.Table{Schema: "shop", Name: "a", Columns: []cdc.Column{{Name: "id"}}, Key: []int{0}}
		for i := range 40 {
			source.Commit(cdc.Change{Table: table, Op: cdc.Create, Key: fmt.Appendf(nil, `{"id":%d}`, i), After: fmt.Appendf(nil, `{"id":%d}`, i)})
		}
		source.Purge(1000)
		var got []string
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		relay := newRelay(t, cdc.Config{Source: source, Log: eventstore.NewMemoryLog(), Snapshot: cdc.SnapshotConfig{Readers: 1, ChunkRows: 10, RowsPerSecond: 10},
			Hooks: cdc.Hooks{Snapshot: func(i cdc.SnapshotInfo) {
				got = append(got, fmt.Sprint(time.Since(began).Round(time.Second), " ", i.Rows, " of ", i.Estimate, " +", i.Chunk, " left ", i.Left.Round(100*time.Millisecond), " ", i.Done, i.Complete))
				if i.Complete {
					cancel()
				}
			}}})
		if err := relay.Run(ctx); err != nil {
			t.Fatal(err)
		}
		want := []string{"0s 10 of 40 +10 left 0s false false", "1s 20 of 40 +10 left 1s false false", "2s 30 of 40 +10 left 700ms false false",
			"3s 40 of 40 +10 left 0s true false", "4s 0 of 0 +0 left 0s false true"}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}
