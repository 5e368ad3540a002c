package projector_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// emptyStock empties the table stock in the database, and returns what that is in the log.
func (db *treeDB) emptyStock(op eventstore.SchemaOp, table string) projectortest.Change {
	s := db.last().clone()
	clear(s.stocks)
	if strings.HasSuffix(table, ".") {
		clear(s.products)
		clear(s.categories)
		clear(s.catalogs)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.states = append(db.states, s)
	return projectortest.Execute(op, table)
}

// TestFoldTruncates: a table's end removes its rows from the documents, with the transaction that it stands in.
func TestFoldTruncates(t *testing.T) {
	for _, c := range []struct {
		op    eventstore.SchemaOp
		table string
		want  map[string]string
	}{
		{eventstore.SchemaTruncate, "shop.orders", map[string]string{"cid": `{"orders":1,"cents":1}`}},
		{eventstore.SchemaDrop, "shop.orders", map[string]string{"cid": `{"orders":1,"cents":1}`}},
		{eventstore.SchemaDrop, "shop.", map[string]string{"cid": `{"orders":1,"cents":1}`}},
		{eventstore.SchemaCreate, "shop.orders", map[string]string{"cid": `{"orders":1,"cents":1}`}},
		{eventstore.SchemaTruncate, "shop.other", map[string]string{"ann": `{"orders":1,"cents":100}`, "bob": `{"orders":1,"cents":50}`, "cid": `{"orders":1,"cents":1}`}},
		{eventstore.SchemaAlter, "shop.orders", map[string]string{"ann": `{"orders":1,"cents":100}`, "bob": `{"orders":1,"cents":50}`, "cid": `{"orders":1,"cents":1}`}},
	} {
		t.Run(fmt.Sprint(c.op, " ", c.table), func(t *testing.T) {
			r := newRig(t)
			runner, stop := r.run(projector.Config{Projectors: []projector.Projector{customers()}})
			r.commit(projectortest.Put("shop.orders", order{1, "ann", 100}), projectortest.Put("shop.orders", order{2, "bob", 50}))
			csn := r.commit(projectortest.Execute(c.op, c.table), projectortest.Put("shop.orders", order{3, "cid", 1}))
			r.waitFor(runner, "customers", csn)
			r.want("customers", c.want)
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestQueryTruncates: a Query that is built while the end of a table's rows is in the log already shows none of them, whatever states of
// the database it was given on the way, and wherever the building was interrupted.
func TestQueryTruncates(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			r, db := newRig(t), newTreeDB(seed)
			r.feed.Keys = map[string][]string{"shop.stock": {"product_id"}}
			for i := range 40 {
				r.commit(db.transaction(rnd)...)
				switch i {
				case 20:
					r.commit(db.emptyStock(eventstore.SchemaTruncate, "shop.stock"))
				case 30:
					r.commit(db.emptyStock(eventstore.SchemaDrop, "shop."))
				}
			}
			cfg := projector.Config{Projectors: []projector.Projector{homes(db)}, WindowTargets: 1}
			r.interrupt(cfg, eventstore.CSN(1+rnd.IntN(38)))
			runner, stop := r.run(cfg)
			r.waitFor(runner, "home", r.feed.CSN())
			r.want("home", db.last().homes())
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// interrupt runs projectors until one has written a transaction.
func (r *rig) interrupt(cfg projector.Config, written eventstore.CSN) {
	r.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	cfg.Log, cfg.Sinks = r.log, []projector.Sink{r.sink}
	cfg.Hooks.OnWindow = func(w projector.WindowInfo) {
		if w.CSN >= written {
			cancel()
		}
	}
	runner, err := projector.NewRunner(cfg)
	if err != nil {
		r.Fatal(err)
	}
	if err := runner.Run(ctx); err != nil {
		r.Fatal(err)
	}
}

// TestQueryHaltsAtTruncate: one that follows a table when it is emptied cannot know which documents showed its rows, and says so.
func TestQueryHaltsAtTruncate(t *testing.T) {
	r, db := newRig(t), newTreeDB(1)
	r.feed.Keys = map[string][]string{"shop.stock": {"product_id"}}
	db.states = append(db.states, db.states[0], db.states[0]) // with what emptyStock adds, csn 1 to 3: a window may close at any of them
	runner, stop := r.run(projector.Config{Projectors: []projector.Projector{homes(db)}})
	r.commit(db.emptyStock(eventstore.SchemaDrop, "shop.stock")) // DROP TABLE IF EXISTS: nothing was seen of the table
	r.commit(projectortest.Execute(eventstore.SchemaCreate, "shop.stock"), projectortest.Put("shop.stock", stockRow{1, 1}))
	r.commit(projectortest.Execute(eventstore.SchemaTruncate, "shop.other"))
	r.waitFor(runner, "home", 3)
	r.commit(projectortest.Execute(eventstore.SchemaTruncate, "shop.stock"))
	if err := runner.WaitFor(t.Context(), "home", 4); !errors.Is(err, projector.ErrStopped) {
		t.Errorf("waiting: got %v, want ErrStopped", err)
	}
	const want = "projector home: row of table shop.stock at csn 4 index 4: the table was emptied"
	if err := stop(); err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "Raise the projector's Version") {
		t.Errorf("got %v, want %s …", err, want)
	}
}
