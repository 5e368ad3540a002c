package projector

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace-go/millrace/projector"
)

const (
	catalogs   = 40
	categories = 120
	products   = 600
)

// createShop makes the tables and their first rows.
func (s *server) createShop() {
	s.Helper()
	for _, statement := range []string{
		"CREATE TABLE catalog (id INT PRIMARY KEY, title VARCHAR(100) NOT NULL)",
		"CREATE TABLE category (id INT PRIMARY KEY, catalog_id INT NOT NULL, name VARCHAR(100) NOT NULL, KEY (catalog_id))",
		"CREATE TABLE product (id INT PRIMARY KEY, category_id INT NOT NULL, name VARCHAR(100) NOT NULL, price DECIMAL(10,2) NOT NULL, KEY (category_id))",
		"CREATE TABLE stock (product_id INT PRIMARY KEY, qty INT NOT NULL)",
	} {
		s.exec(statement)
	}
	insert := func(table string, n int, row func(i int) string) {
		var rows []string
		for i := range n {
			rows = append(rows, row(i+1))
		}
		s.exec("INSERT INTO " + table + " VALUES " + strings.Join(rows, ","))
	}
	insert("catalog", catalogs, func(i int) string { return fmt.Sprintf("(%d,'title %d')", i, i) })
	insert("category", categories, func(i int) string { return fmt.Sprintf("(%d,%d,'category %d')", i, 1+i%catalogs, i) })
	insert("product", products, func(i int) string { return fmt.Sprintf("(%d,%d,'product %d',%d.50)", i, 1+i%categories, i, i) })
	insert("stock", products, func(i int) string { return fmt.Sprintf("(%d,%d)", i, i%3) })
}

// work commits random transactions until ctx ends: everything that can change a tree, often at its upper levels.
func (s *server) work(ctx context.Context, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 1))
	for ctx.Err() == nil {
		if err := s.transaction(ctx, r); err != nil && ctx.Err() == nil && !strings.Contains(err.Error(), "Deadlock") {
			return err
		}
	}
	return nil
}

func (s *server) transaction(ctx context.Context, r *rand.Rand) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for range 1 + r.IntN(3) {
		catalog, category, product, n := 1+r.IntN(catalogs), 1+r.IntN(categories), 1+r.IntN(products), r.IntN(1000)
		var statement string
		var args []any
		switch r.IntN(11) {
		case 0:
			statement, args = "REPLACE INTO catalog VALUES (?, ?)", []any{catalog, fmt.Sprint("title ", n)}
		case 1:
			if statement, args = "DELETE FROM catalog WHERE id = ?", []any{catalog}; n > 300 {
				statement, args = "UPDATE catalog SET title = ? WHERE id = ?", []any{fmt.Sprint("title ", n), catalog}
			}
		case 2:
			statement, args = "UPDATE category SET catalog_id = ? WHERE id = ?", []any{catalog, category}
		case 3:
			statement, args = "INSERT INTO category VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE name = VALUES(name)", []any{category, catalog, fmt.Sprint("category ", n)}
		case 4:
			if statement, args = "DELETE FROM category WHERE id = ?", []any{category}; n > 500 {
				statement, args = "UPDATE category SET name = ? WHERE id = ?", []any{fmt.Sprint("category ", n), category}
			}
		case 5, 6:
			statement, args = "UPDATE product SET category_id = ? WHERE id = ?", []any{category, product}
		case 7:
			statement, args = "INSERT INTO product VALUES (?, ?, ?, ?) ON DUPLICATE KEY UPDATE price = VALUES(price)", []any{product, category, fmt.Sprint("product ", n), n}
		case 8:
			statement, args = "DELETE FROM product WHERE id = ?", []any{product}
		default:
			statement, args = "INSERT INTO stock VALUES (?, ?) ON DUPLICATE KEY UPDATE qty = VALUES(qty)", []any{product, n % 4}
		}
		if _, err := tx.ExecContext(ctx, statement, args...); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	return nil
}

// The documents.
type (
	home struct {
		Title   string  `json:"title"`
		Shelves []shelf `json:"shelves"`
	}
	shelf struct {
		ID    int    `json:"id"`
		Name  string `json:"name"`
		Items []item `json:"items"`
	}
	item struct {
		ID    int    `json:"id"`
		Name  string `json:"name"`
		Price string `json:"price"`
		Qty   int    `json:"qty"`
	}
)

// homes is the read model: a tree a catalog, without empty shelves, and no document without shelves.
func (s *server) homes(target projector.Target) projector.Query {
	type catalog struct {
		ID int `json:"id"`
	}
	type category struct {
		Catalog int `json:"catalog_id"`
	}
	type product struct {
		Category int `json:"category_id"`
	}
	type stock struct {
		Product int `json:"product_id"`
	}
	one := func(n int) []string { return []string{strconv.Itoa(n)} }
	return projector.Query{
		Name: "home", Version: 1, Target: target, Database: s.database(), Load: loadHomes, LoadDocuments: 15,
		Tables: []projector.QueryTable{
			projector.OnTable(s.schema+".catalog", func(c *catalog) []string { return one(c.ID) }),
			projector.OnTable(s.schema+".category", func(c *category) []string { return one(c.Catalog) }),
			projector.OnTableVia(s.schema+".product", func(p *product) []string { return one(p.Category) },
				resolver("SELECT DISTINCT catalog_id FROM category WHERE id IN (%s)")),
			projector.OnTableVia(s.schema+".stock", func(s *stock) []string { return one(s.Product) },
				resolver("SELECT DISTINCT catalog_id FROM category JOIN product ON product.category_id = category.id WHERE product.id IN (%s)")),
		},
	}
}

// in returns a list of marks and the arguments for them.
func in(ids []string) (string, []any) {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	return strings.TrimSuffix(strings.Repeat("?,", len(ids)), ","), args
}

func resolver(query string) projector.Resolver {
	return func(ctx context.Context, tx *sql.Tx, keys []string) ([]string, error) {
		marks, args := in(keys)
		var ids []string
		err := each(ctx, tx, fmt.Sprintf(query, marks), args, func(rows *sql.Rows) error {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
			return nil
		})
		return ids, err
	}
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func each(ctx context.Context, q querier, query string, args []any, row func(*sql.Rows) error) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// loadHomes reads each table by itself: only one snapshot makes that one state.
func loadHomes(ctx context.Context, tx *sql.Tx, ids []string) (map[string]any, error) {
	marks, args := in(ids)
	docs := map[string]*home{}
	err := each(ctx, tx, "SELECT id, title FROM catalog WHERE id IN ("+marks+")", args, func(rows *sql.Rows) error {
		var id, title string
		err := rows.Scan(&id, &title)
		docs[id] = &home{Title: title}
		return err
	})
	if err != nil {
		return nil, err
	}
	items := map[int][]item{}
	err = each(ctx, tx, "SELECT p.category_id, p.id, p.name, p.price, s.qty FROM product p JOIN stock s ON s.product_id = p.id AND s.qty > 0 "+
		"WHERE p.category_id IN (SELECT id FROM category WHERE catalog_id IN ("+marks+")) ORDER BY p.id", args, func(rows *sql.Rows) error {
		var category int
		var i item
		err := rows.Scan(&category, &i.ID, &i.Name, &i.Price, &i.Qty)
		items[category] = append(items[category], i)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, tx, "SELECT catalog_id, id, name FROM category WHERE catalog_id IN ("+marks+") ORDER BY id", args, func(rows *sql.Rows) error {
		var catalog string
		var c shelf
		if err := rows.Scan(&catalog, &c.ID, &c.Name); err != nil {
			return err
		}
		if c.Items = items[c.ID]; docs[catalog] != nil && c.Items != nil {
			docs[catalog].Shelves = append(docs[catalog].Shelves, c)
		}
		return nil
	})
	result := map[string]any{}
	for id, doc := range docs {
		if doc.Shelves != nil {
			result[id] = doc
		}
	}
	return result, err
}

// joinedHomes is what the documents should be, by one SQL statement that is not the loader's.
func (s *server) joinedHomes() map[string]string {
	s.Helper()
	docs := map[string]*home{}
	err := each(s.Context(), s.db, "SELECT c.id, c.title, g.id, g.name, p.id, p.name, p.price, s.qty FROM stock s JOIN product p ON p.id = s.product_id "+
		"JOIN category g ON g.id = p.category_id JOIN catalog c ON c.id = g.catalog_id WHERE s.qty > 0 ORDER BY c.id, g.id, p.id", nil, func(rows *sql.Rows) error {
		var id, title string
		var c shelf
		var i item
		if err := rows.Scan(&id, &title, &c.ID, &c.Name, &i.ID, &i.Name, &i.Price, &i.Qty); err != nil {
			return err
		}
		if docs[id] == nil {
			docs[id] = &home{Title: title}
		}
		d := docs[id]
		at := slices.IndexFunc(d.Shelves, func(have shelf) bool { return have.ID == c.ID })
		if at < 0 {
			at, d.Shelves = len(d.Shelves), append(d.Shelves, c)
		}
		d.Shelves[at].Items = append(d.Shelves[at].Items, i)
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	return texts(s, docs)
}

func texts[D any](s *server, docs map[string]D) map[string]string {
	s.Helper()
	texts := map[string]string{}
	for id, doc := range docs {
		body, err := json.Marshal(doc)
		if err != nil {
			s.Fatal(err)
		}
		texts[id] = string(body)
	}
	return texts
}

// itemDoc is a product with what is in stock of it; it is folded from two tables, whose rows come and go in any order.
type itemDoc struct {
	item
	Category int  `json:"category"`
	Product  bool `json:"-"`
}

// shelfItems is the read model of single products, from the log alone.
func (s *server) shelfItems() projector.Fold[itemDoc] {
	type product struct {
		ID       int    `json:"id"`
		Category int    `json:"category_id"`
		Name     string `json:"name"`
		Price    string `json:"price"`
	}
	type stock struct {
		Product int `json:"product_id"`
		Qty     int `json:"qty"`
	}
	settle := func(d *projector.Doc[itemDoc]) error {
		if !d.Data.Product && d.Data.Qty == 0 {
			d.Delete()
		}
		return nil
	}
	return projector.Fold[itemDoc]{
		Name: "product", Version: 1, Target: projector.MemoryTarget("product"),
		Sources: []projector.Source[itemDoc]{
			projector.OnRow(s.schema+".product", func(p *product) []string { return []string{strconv.Itoa(p.ID)} },
				func(d *projector.Doc[itemDoc], _, now *product) error {
					d.Data = itemDoc{item: item{Qty: d.Data.Qty}, Product: now != nil}
					if now != nil {
						d.Data.ID, d.Data.Category, d.Data.Name, d.Data.Price = now.ID, now.Category, now.Name, now.Price
					}
					return settle(d)
				}),
			projector.OnRow(s.schema+".stock", func(s *stock) []string { return []string{strconv.Itoa(s.Product)} },
				func(d *projector.Doc[itemDoc], _, now *stock) error {
					if d.Data.Qty = 0; now != nil {
						d.Data.Qty = now.Qty
					}
					return settle(d)
				}),
		},
	}
}

// joinedItems is what those documents should be.
func (s *server) joinedItems() map[string]string {
	s.Helper()
	docs := map[string]itemDoc{}
	for _, query := range []string{
		"SELECT p.id, p.id, p.category_id, p.name, p.price, COALESCE(s.qty, 0) FROM product p LEFT JOIN stock s ON s.product_id = p.id",
		"SELECT s.product_id, 0, 0, '', '', s.qty FROM stock s LEFT JOIN product p ON p.id = s.product_id WHERE p.id IS NULL AND s.qty > 0",
	} {
		err := each(s.Context(), s.db, query, nil, func(rows *sql.Rows) error {
			var id string
			var d itemDoc
			err := rows.Scan(&id, &d.ID, &d.Category, &d.Name, &d.Price, &d.Qty)
			docs[id] = d
			return err
		})
		if err != nil {
			s.Fatal(err)
		}
	}
	return texts(s, docs)
}
