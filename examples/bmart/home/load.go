package home

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
)

// load reads the trees of some catalogs, table by table: all of it is one snapshot.
func load(ctx context.Context, tx *sql.Tx, ids []string) (map[string]any, error) {
	l := &loader{catalogs: map[uint64]*Document{}, categories: map[uint64]*shelf{}}
	if err := each(ctx, tx, "SELECT id, title FROM catalog WHERE id IN", "", ids, l.catalog); err != nil {
		return nil, err
	}
	if err := each(ctx, tx, "SELECT id, catalog_id, title FROM category WHERE catalog_id IN", "ORDER BY position, id", ids, l.category); err != nil {
		return nil, err
	}
	if err := each(ctx, tx, inStock, "ORDER BY p.id", ids, l.product); err != nil {
		return nil, err
	}
	return l.documents(), nil
}

const inStock = `SELECT p.id, p.category_id, p.name, p.note, p.price, s.qty
	FROM category c JOIN product p ON p.category_id = c.id JOIN stock s ON s.product_id = p.id
	WHERE s.qty > 0 AND c.catalog_id IN`

// shelf is a category with its catalog's id.
type shelf struct {
	Category
	catalog uint64
}

type loader struct {
	catalogs   map[uint64]*Document
	categories map[uint64]*shelf
	order      []*shelf
}

func (l *loader) catalog(rows *sql.Rows) error {
	var d Document
	err := rows.Scan(&d.ID, &d.Title)
	l.catalogs[d.ID] = &d
	return err
}

func (l *loader) category(rows *sql.Rows) error {
	var s shelf
	err := rows.Scan(&s.ID, &s.catalog, &s.Title)
	l.categories[s.ID] = &s
	l.order = append(l.order, &s)
	return err
}

func (l *loader) product(rows *sql.Rows) error {
	var p Product
	var category uint64
	err := rows.Scan(&p.ID, &category, &p.Name, &p.Note, &p.Price, &p.Qty)
	if s := l.categories[category]; s != nil {
		s.Products = append(s.Products, p)
	}
	return err
}

// documents puts the trees together and leaves out what is empty.
func (l *loader) documents() map[string]any {
	for _, s := range l.order {
		if d := l.catalogs[s.catalog]; d != nil && len(s.Products) > 0 {
			d.Categories = append(d.Categories, s.Category)
		}
	}
	documents := map[string]any{}
	for id, d := range l.catalogs {
		if len(d.Categories) > 0 {
			documents[strconv.FormatUint(id, 10)] = d
		}
	}
	return documents
}

func catalogsOfCategories(ctx context.Context, tx *sql.Tx, keys []string) ([]string, error) {
	return column(ctx, tx, "SELECT DISTINCT catalog_id FROM category WHERE id IN", keys)
}

func catalogsOfProducts(ctx context.Context, tx *sql.Tx, keys []string) ([]string, error) {
	return column(ctx, tx, "SELECT DISTINCT c.catalog_id FROM product p JOIN category c ON c.id = p.category_id WHERE p.id IN", keys)
}

func column(ctx context.Context, tx *sql.Tx, query string, keys []string) (ids []string, err error) {
	err = each(ctx, tx, query, "", keys, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// each calls row for each row of "query (?, ?, …) order".
func each(ctx context.Context, tx *sql.Tx, query, order string, ids []string, row func(*sql.Rows) error) error {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	rows, err := tx.QueryContext(ctx, query+" (?"+strings.Repeat(", ?", len(ids)-1)+") "+order, args...)
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
