package projector_test

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// The rows of the tests of Query: a tree of four tables.
type (
	catalogRow struct {
		ID    int    `json:"id"`
		Title string `json:"title"`
	}
	categoryRow struct {
		ID      int    `json:"id"`
		Catalog int    `json:"catalog_id"`
		Name    string `json:"name"`
	}
	productRow struct {
		ID       int    `json:"id"`
		Category int    `json:"category_id"`
		Name     string `json:"name"`
	}
	stockRow struct {
		Product int `json:"product_id"`
		Qty     int `json:"qty"`
	}
)

// tree is one state of the database. It is not changed once others can see it.
type tree struct {
	csn        eventstore.CSN
	catalogs   map[int]catalogRow
	categories map[int]categoryRow
	products   map[int]productRow
	stocks     map[int]stockRow
}

func (s *tree) clone() *tree {
	return &tree{s.csn + 1, maps.Clone(s.catalogs), maps.Clone(s.categories), maps.Clone(s.products), maps.Clone(s.stocks)}
}

// home is the document of a catalog: the names of what is in stock, by category. It is nil when there is none.
func (s *tree) home(id int) any {
	c, ok := s.catalogs[id]
	if !ok {
		return nil
	}
	shelves := map[string][]string{}
	for _, key := range slices.Sorted(maps.Keys(s.products)) {
		p := s.products[key]
		category, ok := s.categories[p.Category]
		if ok && category.Catalog == id && s.stocks[p.ID].Qty > 0 {
			name := fmt.Sprint(category.ID, category.Name)
			shelves[name] = append(shelves[name], fmt.Sprintf("%s x%d", p.Name, s.stocks[p.ID].Qty))
		}
	}
	if len(shelves) == 0 {
		return nil
	}
	return map[string]any{"title": c.Title, "shelves": shelves}
}

// homes returns all documents as text.
func (s *tree) homes() map[string]string {
	docs := map[string]string{}
	for id := range s.catalogs {
		if doc := s.home(id); doc != nil {
			docs[fmt.Sprint(id)] = text(doc)
		}
	}
	return docs
}

// treeDB is a database of trees. What it has executed may be ahead of the log, and each snapshot shows any state that it has had since
// the position asked for: that is all a loader is promised.
type treeDB struct {
	mu     sync.Mutex
	rnd    *rand.Rand
	states []*tree // by csn
	fail   func() error
}

func newTreeDB(seed uint64) *treeDB {
	return &treeDB{rnd: rand.New(rand.NewPCG(seed, 9)), states: []*tree{{0, map[int]catalogRow{}, map[int]categoryRow{}, map[int]productRow{}, map[int]stockRow{}}}}
}

func (db *treeDB) last() *tree {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.states[len(db.states)-1]
}

func (db *treeDB) Check(context.Context) error { return nil }

type snapshotKey struct{}

func (db *treeDB) Snapshot(ctx context.Context, executed eventstore.Position, read func(context.Context, *sql.Tx) error) error {
	var csn int
	if executed.GTIDs != "" {
		if _, err := fmt.Sscanf(executed.GTIDs, "0-1-%d", &csn); err != nil {
			return err
		}
	}
	db.mu.Lock()
	shown := db.states[csn+db.rnd.IntN(len(db.states)-csn)]
	var err error
	if db.fail != nil {
		err = db.fail()
	}
	db.mu.Unlock()
	if err != nil {
		return err
	}
	return read(context.WithValue(ctx, snapshotKey{}, shown), nil)
}

// shown is the state that a loader's context shows.
func shown(ctx context.Context) *tree { return ctx.Value(snapshotKey{}).(*tree) }

// transaction commits a random transaction to the database and returns it for the log.
func (db *treeDB) transaction(r *rand.Rand) []projectortest.Change {
	s := db.last().clone()
	var changes []projectortest.Change
	for range 1 + r.IntN(3) {
		catalog, category, product := 1+r.IntN(4), 1+r.IntN(8), 1+r.IntN(20)
		name := fmt.Sprint("n", r.IntN(100))
		switch r.IntN(12) {
		case 0:
			s.catalogs[catalog] = catalogRow{catalog, name}
			changes = append(changes, projectortest.Put("shop.catalog", s.catalogs[catalog]))
		case 1:
			if row, ok := s.catalogs[catalog]; ok && r.IntN(3) == 0 {
				delete(s.catalogs, catalog)
				changes = append(changes, projectortest.Del("shop.catalog", row))
			}
		case 2, 3:
			s.categories[category] = categoryRow{category, catalog, name}
			changes = append(changes, projectortest.Put("shop.category", s.categories[category]))
		case 4:
			if row, ok := s.categories[category]; ok {
				delete(s.categories, category)
				changes = append(changes, projectortest.Del("shop.category", row))
			}
		case 5, 6, 7:
			s.products[product] = productRow{product, category, name}
			changes = append(changes, projectortest.Put("shop.product", s.products[product]))
		case 8:
			if row, ok := s.products[product]; ok {
				delete(s.products, product)
				changes = append(changes, projectortest.Del("shop.product", row))
			}
		case 9, 10:
			s.stocks[product] = stockRow{product, r.IntN(3)}
			changes = append(changes, projectortest.Put("shop.stock", s.stocks[product]))
		case 11:
			if row, ok := s.stocks[product]; ok {
				delete(s.stocks, product)
				changes = append(changes, projectortest.Del("shop.stock", row))
			}
		}
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.states = append(db.states, s)
	return changes
}
