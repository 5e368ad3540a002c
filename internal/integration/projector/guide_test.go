package projector

import (
	"context"
	"database/sql"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/projector"
)

// guideShelves is the Query of docs/projectors.md, which has what stands between the marks.
func guideShelves(db projector.Database, shop string) projector.Query {
	// guide: query
	type category struct {
		ID int64 `json:"id"`
	}
	type product struct {
		Category int64 `json:"category_id"`
	}
	type stock struct {
		Product int64 `json:"product_id"`
	}
	one := func(id int64) []string { return []string{strconv.FormatInt(id, 10)} }
	shelves := projector.Query{
		Name: "shelves", Version: 1, Target: projector.MemoryTarget("shelves"), Database: db, // projector.MySQL(…) or MariaDB(…)
		Tables: []projector.QueryTable{
			projector.OnTable(shop+".category", func(c *category) []string { return one(c.ID) }),
			projector.OnTable(shop+".product", func(p *product) []string { return one(p.Category) }),
			projector.OnTableVia(shop+".stock", func(s *stock) []string { return one(s.Product) }, categoriesOfProducts),
		},
		Load:           loadShelves,
		LoadDocuments:  500, // in a call of Load
		LoadsPerSecond: 20,  // the database's budget
	}
	// guide: end
	return shelves
}

// guide: loader
// loadShelves makes the documents of some categories; all of its statements see one state of the database.
func loadShelves(ctx context.Context, tx *sql.Tx, ids []string) (map[string]any, error) {
	rows, err := tx.QueryContext(ctx, `SELECT c.id, JSON_OBJECT('name', c.name, 'items', COUNT(s.product_id))
		FROM category c LEFT JOIN product p ON p.category_id = c.id LEFT JOIN stock s ON s.product_id = p.id AND s.qty > 0
		WHERE c.id IN (`+strings.Repeat("?,", len(ids)-1)+`?) GROUP BY c.id, c.name`, values(ids)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	docs := map[string]any{} // an id that is missing has no document
	for rows.Next() {
		var id string
		var doc []byte
		if err := rows.Scan(&id, &doc); err != nil {
			return nil, err
		}
		docs[id] = json.RawMessage(doc)
	}
	return docs, rows.Err()
}

// categoriesOfProducts says which documents show the stock of some products.
func categoriesOfProducts(ctx context.Context, tx *sql.Tx, products []string) (ids []string, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT DISTINCT category_id FROM product WHERE id IN ("+strings.Repeat("?,", len(products)-1)+"?)", values(products)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// guide: end

func values(ids []string) []any {
	_, args := in(ids)
	return args
}

// TestGuideQuery runs the example on both servers.
func TestGuideQuery(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		s.exec("CREATE TABLE category (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL)")
		s.exec("CREATE TABLE product (id INT PRIMARY KEY, category_id INT NOT NULL)")
		s.exec("CREATE TABLE stock (product_id INT PRIMARY KEY, qty INT NOT NULL)")
		f := s.follow(guideShelves(s.database(), s.schema))
		f.commit("INSERT INTO category VALUES (1, 'tea'), (2, 'coffee')", "INSERT INTO product VALUES (10, 1), (11, 1)")
		f.commit("INSERT INTO stock VALUES (10, 3), (11, 0)")
		f.want("stock", "shelves", documents(f.sink, "shelves"), map[string]any{"1": value(`{"name":"tea","items":1}`), "2": value(`{"name":"coffee","items":0}`)})
		f.commit("UPDATE product SET category_id = 2 WHERE id = 10", "UPDATE stock SET qty = 1 WHERE product_id = 11", "UPDATE category SET name = 'teas' WHERE id = 1")
		f.want("move", "shelves", documents(f.sink, "shelves"), map[string]any{"1": value(`{"name":"teas","items":1}`), "2": value(`{"name":"coffee","items":1}`)})
		f.commit("DELETE FROM category WHERE id = 2")
		f.want("delete", "shelves", documents(f.sink, "shelves"), map[string]any{"1": value(`{"name":"teas","items":1}`)})
		if err := f.stop(); err != nil {
			t.Fatal(err)
		}
	})
}
