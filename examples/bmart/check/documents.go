package check

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
)

// Documents is the outcome of comparing the documents of a read model with the database.
type Documents struct {
	Kind    string
	Total   int // documents that should be there, or are
	Equal   int
	Missing int // should be there
	Stale   int // there, with another content
	Extra   int // should not be there
	// Examples name the ids of the first few of each kind.
	Examples []string
}

// OK tells whether every document is equal.
func (d *Documents) OK() bool { return d.Equal == d.Total }

func (d *Documents) String() string {
	text := fmt.Sprintf("%s documents %d equal %d", d.Kind, d.Total, d.Equal)
	if !d.OK() {
		text += fmt.Sprintf(" missing %d stale %d extra %d", d.Missing, d.Stale, d.Extra)
	}
	return text
}

func (d *Documents) found(count *int, what, id string) {
	if *count++; *count <= 5 {
		d.Examples = append(d.Examples, fmt.Sprintf("%s: %s document %s", what, d.Kind, id))
	}
}

// CompareDocuments compares what should be there, by id, with what readers of the sink get. Documents are equal when they are as
// JSON values, numbers by their text.
func CompareDocuments(kind string, want map[string]any, got iter.Seq2[Document, error]) (*Documents, error) {
	d := &Documents{Kind: kind, Total: len(want)}
	seen := map[string]bool{}
	for doc, err := range got {
		if err != nil {
			return nil, fmt.Errorf("read %s documents: %w", kind, err)
		}
		if seen[doc.ID] {
			return nil, fmt.Errorf("read %s documents: %s was read twice", kind, doc.ID)
		}
		seen[doc.ID] = true
		expected, ok := want[doc.ID]
		if !ok {
			d.Total++
			d.found(&d.Extra, "extra", doc.ID)
			continue
		}
		var value any
		if err := decode(doc.Body, &value); err != nil {
			return nil, fmt.Errorf("read %s document %s: %w", kind, doc.ID, err)
		}
		if reflect.DeepEqual(value, expected) {
			d.Equal++
		} else {
			d.found(&d.Stale, "stale", doc.ID)
		}
	}
	for id := range want {
		if !seen[id] {
			d.found(&d.Missing, "missing", id)
		}
	}
	return d, nil
}

func decode(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode(into)
}

// Document is what a reader of a sink gets.
type Document struct {
	ID   string
	Body []byte
}

// ExpectedHomes returns the home documents by id: one query, a row for each product in stock.
func ExpectedHomes(ctx context.Context, db *sql.DB) (map[string]any, error) {
	rows, err := db.QueryContext(ctx, `SELECT c.id, c.title, k.id, k.title, p.id, p.name, p.note, p.price, s.qty
		FROM catalog c JOIN category k ON k.catalog_id = c.id JOIN product p ON p.category_id = k.id JOIN stock s ON s.product_id = p.id
		WHERE s.qty > 0 ORDER BY c.id, k.position, k.id, p.id`)
	if err != nil {
		return nil, fmt.Errorf("expected homes: %w", err)
	}
	defer rows.Close()
	homes := map[string]any{}
	for rows.Next() {
		var catalog, title, category, shelf, product, name, price, qty string
		var note sql.NullString
		if err := rows.Scan(&catalog, &title, &category, &shelf, &product, &name, &note, &price, &qty); err != nil {
			return nil, fmt.Errorf("expected homes: %w", err)
		}
		home, _ := homes[catalog].(map[string]any)
		if home == nil {
			home = map[string]any{"id": json.Number(catalog), "title": title, "categories": []any{}}
			homes[catalog] = home
		}
		categories := home["categories"].([]any)
		if n := len(categories); n == 0 || categories[n-1].(map[string]any)["id"] != json.Number(category) {
			categories = append(categories, map[string]any{"id": json.Number(category), "title": shelf, "products": []any{}})
			home["categories"] = categories
		}
		last := categories[len(categories)-1].(map[string]any)
		p := map[string]any{"id": json.Number(product), "name": name, "price": price, "qty": json.Number(qty)}
		if note.Valid {
			p["note"] = note.String
		}
		last["products"] = append(last["products"].([]any), p)
	}
	return homes, rows.Err()
}

// ExpectedProducts returns the product documents by id.
func ExpectedProducts(ctx context.Context, db *sql.DB) (map[string]any, error) {
	rows, err := db.QueryContext(ctx, `SELECT p.id, p.category_id, p.name, p.note, p.price, COALESCE(s.qty, 0), DATE_FORMAT(p.updated_at, '%Y-%m-%dT%H:%i:%s.%f')
		FROM product p LEFT JOIN stock s ON s.product_id = p.id`)
	if err != nil {
		return nil, fmt.Errorf("expected products: %w", err)
	}
	defer rows.Close()
	products := map[string]any{}
	for rows.Next() {
		var id, category, name, price, qty, updatedAt string
		var note sql.NullString
		if err := rows.Scan(&id, &category, &name, &note, &price, &qty, &updatedAt); err != nil {
			return nil, fmt.Errorf("expected products: %w", err)
		}
		p := map[string]any{"id": json.Number(id), "category": json.Number(category), "name": name, "price": price,
			"qty": json.Number(qty), "updated_at": updatedAt}
		if note.Valid {
			p["note"] = note.String
		}
		products[id] = p
	}
	return products, rows.Err()
}
