package documents

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/millrace-go/millrace/projector"
)

// The shop: catalogs have categories, these products, these a stock. Documents are a tree for each catalog (by parts, without what is not in
// stock), a page for each product in stock, and figures for each category.

var shopTables = []string{
	"CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
	"CREATE TABLE shop.catalog (id INT PRIMARY KEY, title VARCHAR(100) NOT NULL)",
	"CREATE TABLE shop.category (id INT PRIMARY KEY, catalog_id INT, name VARCHAR(100) NOT NULL, KEY (catalog_id))",
	"CREATE TABLE shop.product (id INT PRIMARY KEY, category_id INT, name VARCHAR(100) NOT NULL, price DECIMAL(10,2) NOT NULL, note VARCHAR(100), internal INT NOT NULL DEFAULT 0, KEY (category_id))",
	"CREATE TABLE shop.stock (product_id INT PRIMARY KEY, qty INT NOT NULL)",
}

type (
	catalogRow struct {
		ID    int64  `json:"id"`
		Title string `json:"title"`
	}
	categoryRow struct {
		ID      int64  `json:"id"`
		Catalog *int64 `json:"catalog_id"`
		Name    string `json:"name"`
	}
	productRow struct {
		ID       int64   `json:"id"`
		Category *int64  `json:"category_id"`
		Name     string  `json:"name"`
		Price    string  `json:"price"`
		Note     *string `json:"note"`
	}
	stockRow struct {
		Product int64 `json:"product_id"`
		Qty     int64 `json:"qty"`
	}

	homeDoc struct {
		ID      int64                    `json:"id"`
		Title   string                   `json:"title"`
		Shelves projector.List[homePart] `json:"shelves"`
	}
	homePart struct {
		ID    int64                    `json:"id"`
		Name  string                   `json:"name"`
		Items projector.List[homeItem] `json:"items"`
	}
	homeItem struct {
		ID    int64  `json:"id"`
		Name  string `json:"name"`
		Price string `json:"price"`
		Qty   int64  `json:"qty"`
	}
	productDoc struct {
		Name     string  `json:"name"`
		Price    string  `json:"price"`
		Note     *string `json:"note"`
		Qty      int64   `json:"qty"`
		Category *string `json:"category"`
		Catalog  *string `json:"catalog"`
	}
	shelfDoc struct {
		Name     *string `json:"name"`
		Products int64   `json:"products"`
		Cents    int64   `json:"cents"`
	}
)

// parent is the key of a row that may have no parent.
func parent(id *int64) int64 {
	if id == nil {
		return 0
	}
	return *id
}

var (
	catalogTable  = projector.NewTable("shop.catalog", func(c *catalogRow) int64 { return c.ID })
	categoryTable = projector.NewTable("shop.category", func(c *categoryRow) int64 { return c.ID })
	productTable  = projector.NewTable("shop.product", func(p *productRow) int64 { return p.ID })
	stockTable    = projector.NewTable("shop.stock", func(s *stockRow) int64 { return s.Product })

	categoriesOf = projector.HasMany(catalogTable, categoryTable, func(c *categoryRow) int64 { return parent(c.Catalog) })
	productsOf   = projector.HasMany(categoryTable, productTable, func(p *productRow) int64 { return parent(p.Category) })
	stockOf      = projector.HasOne(productTable, stockTable, func(s *stockRow) int64 { return s.Product })
	categoryOf   = projector.BelongsTo(productTable, categoryTable, func(p *productRow) int64 { return parent(p.Category) })
	catalogOf    = projector.BelongsTo(categoryTable, catalogTable, func(c *categoryRow) int64 { return parent(c.Catalog) })

	itemPart = projector.NewPart(productTable, func(v *projector.View, p *productRow) (*homeItem, error) {
		s, found := stockOf.Of(v, p)
		if !found || s.Qty <= 0 {
			return nil, nil
		}
		return &homeItem{p.ID, p.Name, p.Price, s.Qty}, nil
	})
	shelfPart = projector.NewPart(categoryTable, func(v *projector.View, c *categoryRow) (*homePart, error) {
		shelf := &homePart{ID: c.ID, Name: c.Name, Items: itemPart.All(v, productsOf.Below(c))}
		if shelf.Items.Len() == 0 {
			return nil, nil
		}
		return shelf, nil
	})
)

// homes is a tree for each catalog.
func homes() *readModel {
	return &readModel{
		name: "home",
		projector: func(name string, target projector.Target, _ projector.Database) projector.Projector {
			return projector.Join[catalogRow, int64, homeDoc]{
				Name: name, Version: 1, Target: target, Root: catalogTable,
				Reads: []projector.Readable{categoriesOf, productsOf, stockOf, shelfPart, itemPart},
				Build: func(v *projector.View, c *catalogRow) (*homeDoc, error) {
					home := &homeDoc{ID: c.ID, Title: c.Title, Shelves: shelfPart.All(v, categoriesOf.Below(c))}
					if home.Shelves.Len() == 0 {
						return nil, nil
					}
					return home, nil
				},
			}
		},
		oracle: `SELECT c.id, JSON_OBJECT('id', c.id, 'title', c.title, 'shelves', ` + array("s.doc", "s.id") + `)
			FROM shop.catalog c JOIN (
				SELECT g.id, g.catalog_id, JSON_OBJECT('id', g.id, 'name', g.name,
					'items', ` + array("JSON_OBJECT('id', p.id, 'name', p.name, 'price', CAST(p.price AS CHAR), 'qty', t.qty)", "p.id") + `) AS doc
				FROM shop.category g JOIN shop.product p ON p.category_id = g.id JOIN shop.stock t ON t.product_id = p.id AND t.qty > 0
				GROUP BY g.id, g.catalog_id, g.name) s ON s.catalog_id = c.id
			GROUP BY c.id, c.title`,
		ids: func(r *rows) []string { return r.keys("catalog") },
		recompute: func(r *rows, id string) any {
			c := r.get("catalog", id)
			if c == nil {
				return nil
			}
			shelves := []any{}
			for _, g := range r.where("category", "catalog_id", id) {
				items := []any{}
				for _, p := range r.where("product", "category_id", g.text("id")) {
					if s := r.get("stock", p.text("id")); s != nil && s.integer("qty") > 0 {
						items = append(items, object{"id": p.number("id"), "name": p.text("name"), "price": p.text("price"), "qty": s.number("qty")})
					}
				}
				if len(items) > 0 {
					shelves = append(shelves, object{"id": g.number("id"), "name": g.text("name"), "items": items})
				}
			}
			if len(shelves) == 0 {
				return nil
			}
			return object{"id": c.number("id"), "title": c.text("title"), "shelves": shelves}
		},
	}
}

// products is a page for each product in stock.
func products() *readModel {
	return &readModel{
		name: "product",
		projector: func(name string, target projector.Target, _ projector.Database) projector.Projector {
			return projector.Join[productRow, int64, productDoc]{
				Name: name, Version: 1, Target: target, Root: productTable,
				Reads:       []projector.Readable{stockOf, categoryOf, catalogOf},
				SpreadAbove: 100,
				Build: func(v *projector.View, p *productRow) (*productDoc, error) {
					s, found := stockOf.Of(v, p)
					if !found || s.Qty <= 0 {
						return nil, nil
					}
					d := &productDoc{Name: p.Name, Price: p.Price, Note: p.Note, Qty: s.Qty}
					if g, found := categoryOf.Of(v, p); found {
						d.Category = &g.Name
						if c, found := catalogOf.Of(v, g); found {
							d.Catalog = &c.Title
						}
					}
					return d, nil
				},
			}
		},
		oracle: `SELECT p.id, JSON_OBJECT('name', p.name, 'price', CAST(p.price AS CHAR), 'note', p.note, 'qty', t.qty, 'category', g.name, 'catalog', c.title)
			FROM shop.product p JOIN shop.stock t ON t.product_id = p.id AND t.qty > 0
			LEFT JOIN shop.category g ON g.id = p.category_id LEFT JOIN shop.catalog c ON c.id = g.catalog_id`,
		ids: func(r *rows) []string { return r.keys("product") },
		recompute: func(r *rows, id string) any {
			p, s := r.get("product", id), r.get("stock", id)
			if p == nil || s == nil || s.integer("qty") <= 0 {
				return nil
			}
			d := object{"name": p.text("name"), "price": p.text("price"), "note": p.value("note"), "qty": s.number("qty"), "category": nil, "catalog": nil}
			if g := r.get("category", p.text("category_id")); g != nil {
				d["category"] = g.text("name")
				if c := r.get("catalog", g.text("catalog_id")); c != nil {
					d["catalog"] = c.text("title")
				}
			}
			return d
		},
	}
}

// shelves is a fold that adds up: figures for each category that exists or has products.
func shelves() *readModel {
	settle := func(d *projector.Doc[shelfDoc]) {
		if d.Data.Name == nil && d.Data.Products == 0 {
			d.Delete()
		}
	}
	categories := projector.OnRow("shop.category", func(c *categoryRow) []string { return []string{strconv.FormatInt(c.ID, 10)} },
		func(d *projector.Doc[shelfDoc], _, now *categoryRow) error {
			d.Data.Name = nil
			if now != nil {
				d.Data.Name = &now.Name
			}
			settle(d)
			return nil
		})
	below := projector.OnRow("shop.product", func(p *productRow) []string {
		if p.Category == nil {
			return nil
		}
		return []string{strconv.FormatInt(*p.Category, 10)}
	}, func(d *projector.Doc[shelfDoc], old, now *productRow) error {
		for _, side := range []struct {
			row  *productRow
			sign int64
		}{{old, -1}, {now, 1}} {
			if side.row == nil {
				continue
			}
			cents, err := cents(side.row.Price)
			if err != nil {
				return err
			}
			d.Data.Products += side.sign
			d.Data.Cents += side.sign * cents
		}
		settle(d)
		return nil
	})
	return &readModel{
		name: "shelf",
		projector: func(name string, target projector.Target, _ projector.Database) projector.Projector {
			return projector.Fold[shelfDoc]{Name: name, Version: 1, Target: target, Sources: []projector.Source[shelfDoc]{categories, below}}
		},
		oracle: `SELECT k.id, JSON_OBJECT('name', (SELECT g.name FROM shop.category g WHERE g.id = k.id),
				'products', (SELECT COUNT(*) FROM shop.product p WHERE p.category_id = k.id),
				'cents', (SELECT CAST(COALESCE(SUM(p.price), 0) * 100 AS SIGNED) FROM shop.product p WHERE p.category_id = k.id))
			FROM (SELECT id FROM shop.category UNION SELECT category_id FROM shop.product WHERE category_id IS NOT NULL) k`,
		ids: func(r *rows) []string {
			ids := r.keys("category")
			seen := map[string]bool{}
			for _, id := range ids {
				seen[id] = true
			}
			for _, p := range r.tables["product"] {
				if id := p.text("category_id"); id != "" && !seen[id] {
					ids, seen[id] = append(ids, id), true
				}
			}
			return ids
		},
		recompute: func(r *rows, id string) any {
			g, all := r.get("category", id), r.where("product", "category_id", id)
			if g == nil && len(all) == 0 {
				return nil
			}
			d, total := object{"name": nil, "products": len(all)}, int64(0)
			for _, p := range all {
				n, _ := cents(p.text("price")) // a price that is none makes another sum than the fold's
				total += n
			}
			if d["cents"] = total; g != nil {
				d["name"] = g.text("name")
			}
			return d
		},
	}
}

// cents reads a DECIMAL(10,2).
func cents(price string) (int64, error) {
	whole, part, found := strings.Cut(price, ".")
	if !found || len(part) != 2 {
		return 0, fmt.Errorf("price %q has no two decimals", price)
	}
	return strconv.ParseInt(whole+part, 10, 64)
}
