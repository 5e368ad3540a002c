package projector_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

func noLoad(context.Context, *sql.Tx, []string) (map[string]any, error) { return nil, nil }

func text(v any) string {
	body, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

func loadHomes(ctx context.Context, _ *sql.Tx, ids []string) (map[string]any, error) {
	docs := map[string]any{}
	for _, id := range ids {
		n, err := strconv.Atoi(id)
		if err != nil {
			return nil, err
		}
		docs[id] = shown(ctx).home(n)
	}
	return docs, nil
}

func catalogsOfCategories(ctx context.Context, _ *sql.Tx, keys []string) ([]string, error) {
	var ids []string
	for _, key := range keys {
		n, _ := strconv.Atoi(key)
		if c, ok := shown(ctx).categories[n]; ok {
			ids = append(ids, fmt.Sprint(c.Catalog))
		}
	}
	return ids, nil
}

func catalogsOfProducts(ctx context.Context, tx *sql.Tx, keys []string) ([]string, error) {
	var categories []string
	for _, key := range keys {
		n, _ := strconv.Atoi(key)
		if p, ok := shown(ctx).products[n]; ok {
			categories = append(categories, fmt.Sprint(p.Category))
		}
	}
	return catalogsOfCategories(ctx, tx, categories)
}

func homes(db projector.Database) projector.Query {
	return projector.Query{
		Name: "home", Version: 1, Target: projector.MemoryTarget("home"), Database: db, Load: loadHomes, LoadDocuments: 3,
		Tables: []projector.QueryTable{
			projector.OnTable("shop.catalog", func(c *catalogRow) []string { return []string{fmt.Sprint(c.ID)} }),
			projector.OnTable("shop.category", func(c *categoryRow) []string { return []string{fmt.Sprint(c.Catalog)} }),
			projector.OnTableVia("shop.product", func(p *productRow) []string { return []string{fmt.Sprint(p.Category)} }, catalogsOfCategories),
			projector.OnTableVia("shop.stock", func(s *stockRow) []string { return []string{fmt.Sprint(s.Product)} }, catalogsOfProducts),
		},
	}
}

// TestQueryTargets is the proof by trial of docs/decisions/0003-query-targets.md: rows and their parents change and move while the
// database is ahead of the log by a random number of transactions, and snapshots show any state it has had; processes stop and start.
// Every document that is written is one state of the database, not older than its version; at rest all are equal to the last.
func TestQueryTargets(t *testing.T) {
	for seed := range uint64(60) {
		bubble(t, func(t *testing.T) { queryTargets(t, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func queryTargets(t *testing.T, seed uint64) {
	r, db := newRig(t), newTreeDB(seed)
	r.feed.Keys = map[string][]string{"shop.stock": {"product_id"}}
	rnd := rand.New(rand.NewPCG(seed, 3))
	whole := &sinkFunc{r.sink, func(_ context.Context, writes []projector.Write, _ []projector.Result) error {
		db.mu.Lock()
		defer db.mu.Unlock()
		for _, w := range writes {
			found := false
			for _, s := range db.states[w.Version.CSN():] {
				found = found || string(w.Body) == s.homes()[w.ID]
			}
			if !found {
				t.Errorf("document %s written with csn %d is no state of the database since: %s", w.ID, w.Version.CSN(), w.Body)
			}
		}
		return nil
	}}
	var log []([]projectortest.Change) // executed, not in the log yet
	for range 5 {
		faults := rand.New(rand.NewPCG(seed, rnd.Uint64()))
		var mu sync.Mutex
		flaky := projectortest.NewFaultySink(whole, func(string) projectortest.Fate {
			mu.Lock()
			defer mu.Unlock()
			if faults.IntN(6) > 0 {
				return projectortest.Pass
			}
			return projectortest.Fate(faults.IntN(int(projectortest.RetryItems) + 1))
		})
		_, stop := r.run(projector.Config{Sinks: []projector.Sink{flaky}, Projectors: []projector.Projector{homes(db)}, WindowTargets: 1 + rnd.IntN(10)})
		for range 25 {
			log = append(log, db.transaction(rnd))
			for len(log) > 0 && rnd.IntN(3) > 0 {
				if err := r.feed.Append(t.Context(), log[0]...); err != nil {
					t.Fatal(err)
				}
				log = log[1:]
			}
			if rnd.IntN(2) == 0 {
				if err := r.feed.Watermark(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			pause(rnd)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	for _, changes := range log {
		r.commit(changes...)
	}
	if err := r.feed.Watermark(t.Context()); err != nil {
		t.Fatal(err)
	}
	runner, stop := r.run(projector.Config{Projectors: []projector.Projector{homes(db)}})
	r.waitFor(runner, "home", r.feed.CSN())
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	r.want("home", db.last().homes())
}

func TestQueryHalts(t *testing.T) {
	good := homes(nil)
	for _, c := range []struct {
		name, want string
		change     func(*projector.Query)
	}{
		{"loader's error", `projector home: document "3" at csn 1: load: boom`, func(q *projector.Query) {
			q.Load = func(ctx context.Context, tx *sql.Tx, ids []string) (map[string]any, error) {
				for _, id := range ids {
					if id == "3" {
						return nil, errors.New("boom")
					}
				}
				return loadHomes(ctx, tx, ids)
			}
		}},
		{"loader's panic", `projector home: document "1" at csn 1: load: panic: boom`, func(q *projector.Query) {
			q.Load = func(context.Context, *sql.Tx, []string) (map[string]any, error) { panic("boom") }
		}},
		{"too many documents", `projector home: document "1" at csn 1: load: 1 documents were returned that were not asked for`, func(q *projector.Query) {
			q.Load = func(context.Context, *sql.Tx, []string) (map[string]any, error) { return map[string]any{"x": nil}, nil }
		}},
		{"not an object", `projector home: document "1" at csn 1: load: marshal: the document is not a JSON object`, func(q *projector.Query) {
			q.Load = func(_ context.Context, _ *sql.Tx, ids []string) (map[string]any, error) {
				return map[string]any{ids[0]: 1}, nil
			}
		}},
		{"resolver's error", `projector home: resolve keys of table shop.product at csn 1: boom`, func(q *projector.Query) {
			q.Tables = append(q.Tables, projector.OnTableVia("shop.product", func(*productRow) []string { return []string{"1"} },
				func(context.Context, *sql.Tx, []string) ([]string, error) { return nil, errors.New("boom") }))
		}},
		{"targets panic", `projector home: row of table shop.catalog at csn 1 index 4: panic: boom`, func(q *projector.Query) {
			q.Tables = append(q.Tables, projector.OnTable("shop.catalog", func(*catalogRow) []string { panic("boom") }))
		}},
		{"id too long", `projector home: row of table shop.catalog at csn 1 index 4: document id has 600 bytes, at most 512 are allowed`, func(q *projector.Query) {
			q.Tables = append(q.Tables, projector.OnTable("shop.catalog", func(*catalogRow) []string { return []string{strings.Repeat("x", 600)} }))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, db := newRig(t), newTreeDB(1)
			db.states = append(db.states, db.states[0])
			q := good
			q.Database = db
			q.LoadDocuments = 0
			q.Tables = append([]projector.QueryTable(nil), good.Tables...)
			c.change(&q)
			runner, stop := r.run(projector.Config{Projectors: []projector.Projector{q}})
			r.commit(projectortest.Put("shop.catalog", catalogRow{1, "a"}), projectortest.Put("shop.catalog", catalogRow{2, "b"}),
				projectortest.Put("shop.catalog", catalogRow{3, "c"}), projectortest.Put("shop.product", productRow{1, 1, "p"}))
			if err := runner.WaitFor(t.Context(), "home", 1<<40); !errors.Is(err, projector.ErrStopped) {
				t.Errorf("waiting: got %v, want ErrStopped", err)
			}
			if err := stop(); err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// TestQueryWaitsForDatabase: a database that is away, or behind, is waited for, for ever.
func TestQueryWaitsForDatabase(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, db := newRig(t), newTreeDB(1)
		calls := 0
		db.fail = func() error {
			if calls++; calls < 50 {
				return fmt.Errorf("not there yet: %w", projector.ErrUnavailable)
			}
			return nil
		}
		retries := 0
		runner, stop := r.run(projector.Config{Projectors: []projector.Projector{homes(db)},
			Hooks: projector.Hooks{OnRetry: func(i projector.RetryInfo) {
				if retries++; i.Step != "load documents" || i.Attempt != retries {
					t.Errorf("retry %d: %+v", retries, i)
				}
			}}})
		db.states = append(db.states, db.states[0])
		r.commit(projectortest.Put("shop.catalog", catalogRow{1, "a"}))
		r.waitFor(runner, "home", 1)
		if calls < 50 || retries != 49 {
			t.Errorf("%d calls, %d retries", calls, retries)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if d, found, err := r.sink.Get(t.Context(), projector.MemoryTarget("home"), 1, "1"); err != nil || !found || d.Body != nil || d.Version.CSN() != eventstore.CSN(1) {
			t.Errorf("a catalog without stock: %+v, %v, %v; want a tombstone", d, found, err)
		}
	})
}

// TestQueryMoveAhead pins down what docs/decisions/0003-query-targets.md says is not promised: the database has moved a product away when the window
// with its stock's change is written, and the log does not have the move yet. The document it has left follows with the move.
func TestQueryMoveAhead(t *testing.T) {
	r, db := newRig(t), newTreeDB(1)
	r.feed.Keys = map[string][]string{"shop.stock": {"product_id"}}
	state := func(edit func(*tree)) {
		s := db.states[len(db.states)-1].clone()
		edit(s)
		db.states = append(db.states, s)
	}
	runner, stop := r.run(projector.Config{Projectors: []projector.Projector{homes(db)}})
	state(func(s *tree) {
		s.catalogs[1], s.catalogs[2] = catalogRow{1, "one"}, catalogRow{2, "two"}
		s.categories[1], s.categories[2] = categoryRow{1, 1, "a"}, categoryRow{2, 2, "b"}
		s.products[1], s.stocks[1] = productRow{1, 1, "p"}, stockRow{1, 5}
	})
	s := db.last()
	r.commit(projectortest.Put("shop.catalog", s.catalogs[1]), projectortest.Put("shop.catalog", s.catalogs[2]), projectortest.Put("shop.category", s.categories[1]),
		projectortest.Put("shop.category", s.categories[2]), projectortest.Put("shop.product", s.products[1]), projectortest.Put("shop.stock", s.stocks[1]))
	r.waitFor(runner, "home", 1)
	before := db.last().homes()
	r.want("home", before)

	db.mu.Lock()
	state2 := db.states[1].clone()
	state2.stocks[1] = stockRow{1, 4}
	state3 := state2.clone()
	state3.products[1] = productRow{1, 2, "p"}
	db.states = append(db.states, state3, state3) // whoever asks for the first sees the second, too
	db.mu.Unlock()
	r.commit(projectortest.Put("shop.stock", state2.stocks[1]))
	r.waitFor(runner, "home", 2)
	r.want("home", map[string]string{"1": before["1"], "2": state3.homes()["2"]}) // 2 is ahead, 1 has lost the product and shows it still
	r.commit(projectortest.Put("shop.product", state3.products[1]))
	r.waitFor(runner, "home", 3)
	r.want("home", state3.homes())
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
