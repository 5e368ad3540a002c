package cdc_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

// TestRelayWalk walks at random through what internal/model explores in the small, with the relay's goroutines: lives that overlap, each on a
// server with an order of its own, fail and are fenced off in the middle of the tail of a tail, while a reader dies and starts again.
func TestRelayWalk(t *testing.T) {
	var tails, fenced, restarts, cuts int
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 2))
				source, log := newSource(t, 1+rnd.IntN(7)), eventstore.NewMemoryLog()
				var h history
				var mu sync.Mutex
				var work sync.WaitGroup
				var stops []func()
				life := func() (stop func()) {
					own := rand.New(rand.NewPCG(seed, rnd.Uint64()))
					faulty := &faultyLog{Log: log, rnd: own, rate: 0.2}
					faulty.left.Store(5)
					relay := newRelay(t, cdc.Config{Source: &reordered{source, rand.New(rand.NewPCG(seed, rnd.Uint64()))}, Log: faulty, FlushBytes: 1 + own.IntN(4000),
						Hooks: cdc.Hooks{TailFinished: func(cdc.TailInfo) { mu.Lock(); tails++; mu.Unlock() }}})
					ctx, cancel := context.WithCancel(t.Context())
					work.Go(func() {
						switch err := relay.Run(ctx); {
						case errors.Is(err, eventstore.ErrFenced):
							mu.Lock()
							fenced++
							mu.Unlock()
						case err != nil && !errors.Is(err, errInjected):
							t.Errorf("run: %v", err)
						}
					})
					stops = append(stops, cancel)
					return cancel
				}
				r := &restartingReader{log: log, rnd: rand.New(rand.NewPCG(seed, 3)), seen: map[eventstore.CSN][]string{}}
				reading, stopReading := context.WithCancel(t.Context())
				var reader sync.WaitGroup
				reader.Go(func() { r.run(reading, t) })

				for range 12 {
					h.commit(source, rnd, 12)
					stop := life()
					time.Sleep(time.Duration(rnd.IntN(300)) * time.Millisecond)
					if rnd.IntN(2) == 0 { // else it lives on beside the next
						stop()
					}
				}
				for h.settle(source); ; { // the last one does not fail for ever
					last := h.ids[len(h.ids)-1]
					source.Commit() // the reordering reads one ahead
					source.Commit()
					stop := life()
					time.Sleep(time.Minute)
					stop()
					head, _, err := log.Head(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if covered, err := head.Position.Covers(h.ids[0][:37] + "1-" + last[37:]); err != nil {
						t.Fatal(err)
					} else if covered {
						break
					}
				}
				for _, stop := range stops { // one that has failed may have begun again, and fenced off the others
					stop()
				}
				work.Wait()
				synctest.Wait() // the reader has read everything
				stopReading()
				reader.Wait()
				h.check(t, log, false)
				r.check(t, &h)
				restarts, cuts = restarts+r.restarts, cuts+len(r.cuts)
			})
		})
	}
	t.Logf("%d tails finished, %d relays fenced off, %d cuts read in %d lives of readers", tails, fenced, cuts, restarts)
	if tails < 200 || fenced < 100 || restarts < 500 {
		t.Error("the walks are too short")
	}
}

// restartingReader reads cuts and dies at random, in the middle of one, or behind one before or after it has recorded its progress.
type restartingReader struct {
	log      eventstore.Log
	rnd      *rand.Rand
	progress eventstore.CSN
	restarts int
	seen     map[eventstore.CSN][]string // records by csn, as they were read the first time
	cuts     []readCut
}

// readCut is what a reader knows behind a cut.
type readCut struct {
	eventstore.Watermark
	ids []string // of all transactions read so far whose records name them
}

func (r *restartingReader) run(ctx context.Context, t *testing.T) {
	var ids []string
	for ; ctx.Err() == nil; r.restarts++ {
		for cut, err := range r.log.Cuts(ctx, eventstore.CutOptions{After: r.progress}) {
			if err != nil {
				t.Errorf("read: %v", err)
				return
			}
			got, more, whole := r.read(t, cut)
			if !whole {
				break
			}
			for csn, records := range got {
				if before, again := r.seen[csn]; again && !slices.Equal(before, records) {
					t.Errorf("csn %d was read as %q, and now as %q", csn, before, records)
				} else if !again {
					r.seen[csn] = records
				}
			}
			if ids = append(ids, more...); r.rnd.IntN(20) == 0 {
				ids = ids[:len(ids)-len(more)] // dies before it has recorded that
				break
			}
			r.progress = cut.CSN
			r.cuts = append(r.cuts, readCut{cut.Watermark, slices.Clip(ids)})
			if r.rnd.IntN(20) == 0 {
				break
			}
		}
	}
}

// read reads a cut, or a part of it.
func (r *restartingReader) read(t *testing.T, cut *eventstore.Cut) (got map[eventstore.CSN][]string, ids []string, whole bool) {
	got = map[eventstore.CSN][]string{}
	for rec, err := range cut.Records() {
		switch {
		case err != nil:
			return nil, nil, false // the end of the test
		case rec.CSN <= r.progress || rec.CSN > cut.CSN:
			t.Errorf("csn %d in the cut (%d, %d]", rec.CSN, r.progress, cut.CSN)
		case r.rnd.IntN(200) == 0:
			return nil, nil, false
		}
		got[rec.CSN] = append(got[rec.CSN], fmt.Sprintf("%s/%d %d %s %s", rec.Topic, rec.Partition, rec.Index, rec.Key, rec.Value))
		var id string
		if rec.Topic == eventstore.SchemaTopic {
			var c eventstore.SchemaChange
			if err := eventstore.ParseSchema(rec, &c); err != nil {
				t.Error(err)
			}
			if c.Op == eventstore.SchemaDefine {
				continue
			}
			id = c.GTID
		} else if rec.Value != nil {
			var row eventstore.RowChange
			if err := eventstore.ParseRow(rec, &row); err != nil {
				t.Error(err)
			}
			if row.Op == byte(cdc.Read) {
				continue
			}
			id = row.GTID
		}
		if id != "" && (len(ids) == 0 || ids[len(ids)-1] != id) {
			ids = append(ids, id)
		}
	}
	return got, ids, true
}

// check: behind each cut the reader has every transaction of the watermark's position that has records, once, and no other.
func (r *restartingReader) check(t *testing.T, h *history) {
	t.Helper()
	for _, cut := range r.cuts {
		covers, err := cut.Position.Contains()
		if err != nil {
			t.Fatal(err)
		}
		read := map[string]bool{}
		for _, id := range cut.ids {
			if read[id] {
				t.Fatalf("cut %d: %s was read twice", cut.CSN, id)
			}
			read[id] = true
		}
		for _, id := range h.ids {
			covered, err := covers(id)
			if err != nil {
				t.Fatal(err)
			}
			if want := covered && len(h.records[id]) > 0; want != read[id] {
				t.Fatalf("cut %d: %s was read %v, and the position covers it %v", cut.CSN, id, read[id], covered)
			}
		}
	}
	if last := r.cuts[len(r.cuts)-1]; len(last.ids) == 0 {
		t.Fatal("nothing was read")
	}
}
