package projector_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// TestHeld (C6, C13): while the log does not have all rows of a projector's tables, nothing is written and nothing published, whatever the kind; a table of
// others does not matter; and when it has them, documents are those of all rows.
func TestHeld(t *testing.T) {
	fold := heldFold()
	for _, restart := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			r := newRig(t)
			r.feed.Snapshot.Tables = []*eventstore.SnapshotTable{{Schema: "shop", Table: "thing"}}
			r.commit(owner(1, 1))
			config := projector.Config{Projectors: []projector.Projector{sums(), fold}, WindowTargets: 1}
			runner, stop := r.run(config)
			r.commit(thing(1, 1, 5))
			r.commit(thing(2, 1, 6), owner(2, 2), owner(3, 3))
			r.commit(projectortest.Del("shop.owner", rowA{ID: 3}))
			time.Sleep(time.Minute)
			if restart {
				if err := stop(); err != nil {
					t.Fatal(err)
				}
				runner, stop = r.run(config)
				time.Sleep(time.Minute)
			}
			for _, s := range runner.Status() {
				if !s.Held || s.Published || s.CSN != 0 {
					t.Errorf("while rows are missing: %+v", s)
				}
			}
			for _, name := range []string{"sums", "fold"} {
				if d, found, err := r.sink.Get(t.Context(), projector.MemoryTarget(name), 1, "1"); err != nil || found {
					t.Errorf("%s: %+v was written, %v", name, d, err)
				}
			}
			r.feed.Snapshot.Tables[0].Table = "other"
			csn := r.commit(thing(3, 1, 7))
			r.waitFor(runner, "sums", csn)
			r.want("sums", map[string]string{"1": `{"N":1,"Sum":18}`, "2": `{"N":2,"Sum":0}`})
			r.waitFor(runner, "fold", csn)
			r.want("fold", map[string]string{"1": `{"orders":0,"cents":18}`})
			r.waitFor(runner, "sums", r.commit(thing(3, 1, 8)))
			r.want("sums", map[string]string{"1": `{"N":1,"Sum":19}`, "2": `{"N":2,"Sum":0}`})
			synctest.Wait()
			if s := runner.Status()[0]; s.Held {
				t.Errorf("when all rows are there: %+v", s)
			}
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// heldFold adds up the things of an owner.
func heldFold() projector.Projector {
	return projector.Fold[customerDoc]{Name: "fold", Version: 1, Target: projector.MemoryTarget("fold"), Sources: []projector.Source[customerDoc]{
		projector.OnRow("shop.thing", func(r *rowA) []string { return []string{fmt.Sprint(r.Owner)} },
			func(d *projector.Doc[customerDoc], old, now *rowA) error {
				if old != nil {
					d.Data.Cents -= old.N
				}
				if now != nil {
					d.Data.Cents += now.N
				}
				return nil
			})}}
}

// TestHeldWithinCut: a watermark that says that rows are missing holds the transactions before it, too: they have the first of a snapshot's rows.
func TestHeldWithinCut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t)
		config := projector.Config{Projectors: []projector.Projector{sums(), heldFold()}, WindowTargets: 1}
		runner, stop := r.run(config)
		csn := r.commit(projectortest.Put("shop.other", rowA{ID: 1})) // the table joins the filter later
		r.waitFor(runner, "sums", csn)
		r.waitFor(runner, "fold", csn)
		r.feed.Snapshot.Tables = []*eventstore.SnapshotTable{{Schema: "shop", Table: "thing"}}
		for i := range 3 {
			if err := r.feed.Append(t.Context(), owner(i+1, i+1), thing(i+1, 1, 5)); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.feed.Watermark(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		for _, name := range []string{"sums", "fold"} {
			for d := range r.sink.Each(name) {
				t.Errorf("%s: document %s is %s while rows are missing", name, d.ID, d.Body)
			}
		}
		for _, s := range runner.Status() {
			if !s.Held || s.CSN != csn {
				t.Errorf("while rows are missing: %+v", s)
			}
		}
		r.feed.Snapshot.Tables[0].Table = "other"
		csn = r.commit()
		r.waitFor(runner, "sums", csn)
		r.want("sums", map[string]string{"1": `{"N":1,"Sum":15}`, "2": `{"N":2,"Sum":0}`, "3": `{"N":3,"Sum":0}`})
		r.waitFor(runner, "fold", csn)
		r.want("fold", map[string]string{"1": `{"orders":0,"cents":15}`})
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}
