package documents

import (
	"context"
	"database/sql"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/millrace-go/millrace/projector"
)

// The sales: orders belong to customers and have items of articles, which have tags and tags them. Documents are orders with all of that, tags with their
// articles, and figures for each customer by a query.

var salesTables = []string{
	"CREATE DATABASE sales CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
	"CREATE TABLE sales.customer (name VARCHAR(40) PRIMARY KEY, city VARCHAR(40) NOT NULL)",
	"CREATE TABLE sales.orders (id INT PRIMARY KEY, customer VARCHAR(40), paid BOOLEAN NOT NULL, KEY (customer))",
	"CREATE TABLE sales.item (order_id INT, line TINYINT UNSIGNED, sku VARCHAR(20) NOT NULL, n INT NOT NULL, PRIMARY KEY (order_id, line), KEY (sku))",
	"CREATE TABLE sales.article (sku VARCHAR(20) PRIMARY KEY, name VARCHAR(100) NOT NULL, price DECIMAL(10,2) NOT NULL)",
	"CREATE TABLE sales.tagged (sku VARCHAR(20), tag INT, PRIMARY KEY (sku, tag), KEY (tag))",
	"CREATE TABLE sales.tag (id INT PRIMARY KEY, name VARCHAR(100) NOT NULL)",
}

type (
	customerRow struct {
		Name string `json:"name"`
		City string `json:"city"`
	}
	orderRow struct {
		ID       int32   `json:"id"`
		Customer *string `json:"customer"`
		Paid     int     `json:"paid"`
	}
	itemRow struct {
		Order int32  `json:"order_id"`
		Line  uint8  `json:"line"`
		SKU   string `json:"sku"`
		N     int    `json:"n"`
	}
	itemKey struct {
		Order int32
		Line  uint8
	}
	articleRow struct {
		SKU   string `json:"sku"`
		Name  string `json:"name"`
		Price string `json:"price"`
	}
	taggedRow struct {
		SKU string `json:"sku"`
		Tag int32  `json:"tag"`
	}
	tagRow struct {
		ID   int32  `json:"id"`
		Name string `json:"name"`
	}

	orderDoc struct {
		Paid     int                       `json:"paid"`
		Customer *customerRow              `json:"customer"`
		Items    projector.List[orderItem] `json:"items"`
	}
	orderItem struct {
		Line  uint8    `json:"line"`
		N     int      `json:"n"`
		SKU   string   `json:"sku"`
		Name  *string  `json:"name"`
		Price *string  `json:"price"`
		Tags  []string `json:"tags"`
	}
	tagDoc struct {
		Name     string       `json:"name"`
		Articles []tagArticle `json:"articles"`
	}
	tagArticle struct {
		SKU  string `json:"sku"`
		Name string `json:"name"`
	}
)

var (
	customerTable = projector.NewTable("sales.customer", func(c *customerRow) string { return c.Name })
	orderTable    = projector.NewTable("sales.orders", func(o *orderRow) int32 { return o.ID })
	itemTable     = projector.NewTable("sales.item", func(i *itemRow) itemKey { return itemKey{i.Order, i.Line} })
	articleTable  = projector.NewTable("sales.article", func(a *articleRow) string { return a.SKU })
	taggedTable   = projector.NewTable("sales.tagged", func(t *taggedRow) taggedRow { return *t })
	tagTable      = projector.NewTable("sales.tag", func(t *tagRow) int32 { return t.ID })

	customerOf = projector.BelongsTo(orderTable, customerTable, func(o *orderRow) string {
		if o.Customer == nil {
			return ""
		}
		return *o.Customer
	})
	itemsOf   = projector.HasMany(orderTable, itemTable, func(i *itemRow) int32 { return i.Order })
	articleOf = projector.BelongsTo(itemTable, articleTable, func(i *itemRow) string { return i.SKU })
	taggedOf  = projector.HasMany(articleTable, taggedTable, func(t *taggedRow) string { return t.SKU })
	tagOf     = projector.BelongsTo(taggedTable, tagTable, func(t *taggedRow) int32 { return t.Tag })
	taggedBy  = projector.HasMany(tagTable, taggedTable, func(t *taggedRow) int32 { return t.Tag })
	taggedIs  = projector.BelongsTo(taggedTable, articleTable, func(t *taggedRow) string { return t.SKU })

	orderItemPart = projector.NewPart(itemTable, func(v *projector.View, i *itemRow) (*orderItem, error) {
		item := &orderItem{Line: i.Line, N: i.N, SKU: i.SKU, Tags: []string{}}
		a, found := articleOf.Of(v, i)
		if !found {
			return item, nil
		}
		item.Name, item.Price = &a.Name, &a.Price
		for t := range taggedOf.Of(v, a) {
			if tag, found := tagOf.Of(v, t); found {
				item.Tags = append(item.Tags, tag.Name)
			}
		}
		return item, nil
	})
)

// orders is each order with its customer, items, their articles and these articles' tags.
func orders() *readModel {
	return &readModel{
		name: "order",
		projector: func(name string, target projector.Target, _ projector.Database) projector.Projector {
			return projector.Join[orderRow, int32, orderDoc]{
				Name: name, Version: 1, Target: target, Root: orderTable,
				Reads: []projector.Readable{customerOf, itemsOf, articleOf, taggedOf, tagOf, orderItemPart},
				Build: func(v *projector.View, o *orderRow) (*orderDoc, error) {
					d := &orderDoc{Paid: o.Paid, Items: orderItemPart.All(v, itemsOf.Below(o))}
					if c, found := customerOf.Of(v, o); found {
						d.Customer = c
					}
					return d, nil
				},
			}
		},
		oracle: `SELECT o.id, JSON_OBJECT('paid', o.paid,
				'customer', IF(c.name IS NULL, NULL, JSON_EXTRACT(JSON_OBJECT('name', c.name, 'city', c.city), '$')),
				'items', (SELECT ` + array(`JSON_OBJECT('line', i.line, 'n', i.n, 'sku', i.sku, 'name', a.name, 'price', CAST(a.price AS CHAR), 'tags', JSON_EXTRACT(COALESCE(g.tags, '[]'), '$'))`, "i.line") + `
					FROM sales.item i LEFT JOIN sales.article a ON a.sku = i.sku LEFT JOIN (
						SELECT t.sku, CONCAT('[', GROUP_CONCAT(JSON_QUOTE(n.name) ORDER BY n.id SEPARATOR ','), ']') AS tags
						FROM sales.tagged t JOIN sales.tag n ON n.id = t.tag GROUP BY t.sku) g ON g.sku = a.sku
					WHERE i.order_id = o.id))
			FROM sales.orders o LEFT JOIN sales.customer c ON c.name = o.customer`,
		ids: func(r *rows) []string { return r.keys("orders") },
		recompute: func(r *rows, id string) any {
			o := r.get("orders", id)
			if o == nil {
				return nil
			}
			d, items := object{"paid": o.number("paid"), "customer": nil}, []any{}
			if c := r.get("customer", o.text("customer")); c != nil && o.value("customer") != nil {
				d["customer"] = object{"name": c.text("name"), "city": c.text("city")}
			}
			for _, i := range r.where("item", "order_id", id) {
				item, names := object{"line": i.number("line"), "n": i.number("n"), "sku": i.text("sku"), "name": nil, "price": nil}, []any{}
				if a := r.get("article", i.text("sku")); a != nil {
					item["name"], item["price"] = a.text("name"), a.text("price")
					for _, t := range r.where("tagged", "sku", a.text("sku")) {
						if tag := r.get("tag", t.text("tag")); tag != nil {
							names = append(names, tag.text("name"))
						}
					}
				}
				item["tags"], items = names, append(items, item)
			}
			d["items"] = items
			return d
		},
	}
}

// tags is the other end of the same many-to-many relation.
func tags() *readModel {
	return &readModel{
		name: "tag",
		projector: func(name string, target projector.Target, _ projector.Database) projector.Projector {
			return projector.Join[tagRow, int32, tagDoc]{
				Name: name, Version: 1, Target: target, Root: tagTable,
				Reads: []projector.Readable{taggedBy, taggedIs},
				Build: func(v *projector.View, t *tagRow) (*tagDoc, error) {
					d := &tagDoc{Name: t.Name, Articles: []tagArticle{}}
					for g := range taggedBy.Of(v, t) {
						if a, found := taggedIs.Of(v, g); found {
							d.Articles = append(d.Articles, tagArticle{a.SKU, a.Name})
						}
					}
					return d, nil
				},
			}
		},
		oracle: `SELECT n.id, JSON_OBJECT('name', n.name, 'articles', (SELECT ` + array("JSON_OBJECT('sku', a.sku, 'name', a.name)", "a.sku") + `
				FROM sales.tagged t JOIN sales.article a ON a.sku = t.sku WHERE t.tag = n.id))
			FROM sales.tag n`,
		ids: func(r *rows) []string { return r.keys("tag") },
		recompute: func(r *rows, id string) any {
			n := r.get("tag", id)
			if n == nil {
				return nil
			}
			articles := []any{}
			for _, t := range r.where("tagged", "tag", id) {
				if a := r.get("article", t.text("sku")); a != nil {
					articles = append(articles, object{"sku": a.text("sku"), "name": a.text("name")})
				}
			}
			return object{"name": n.text("name"), "articles": articles}
		},
	}
}

// customerQuery is what the query's loader runs for some customers, and the oracle for all.
const customerQuery = `SELECT c.name, JSON_OBJECT('city', c.city, 'orders', (SELECT COUNT(*) FROM sales.orders o WHERE o.customer = c.name),
		'paid', (SELECT COUNT(*) FROM sales.orders o WHERE o.customer = c.name AND o.paid = 1),
		'units', (SELECT CAST(COALESCE(SUM(i.n), 0) AS SIGNED) FROM sales.orders o JOIN sales.item i ON i.order_id = o.id WHERE o.customer = c.name))
	FROM sales.customer c`

// customers are figures for each customer, read from the database.
func customers() *readModel {
	return &readModel{
		name: "customer",
		projector: func(name string, target projector.Target, database projector.Database) projector.Projector {
			return projector.Query{
				Name: name, Version: 1, Target: target, Database: database, Load: loadCustomers,
				Tables: []projector.QueryTable{
					projector.OnTable("sales.customer", func(c *customerRow) []string { return []string{c.Name} }),
					projector.OnTable("sales.orders", func(o *orderRow) []string {
						if o.Customer == nil {
							return nil
						}
						return []string{*o.Customer}
					}),
					projector.OnTableVia("sales.item", func(i *itemRow) []string { return []string{strconv.Itoa(int(i.Order))} },
						func(ctx context.Context, tx *sql.Tx, keys []string) (ids []string, err error) {
							marks, args := marks(keys)
							err = each(ctx, tx, "SELECT DISTINCT customer FROM sales.orders WHERE customer IS NOT NULL AND id IN ("+marks+")", args, func(rows *sql.Rows) error {
								var id string
								err := rows.Scan(&id)
								ids = append(ids, id)
								return err
							})
							return ids, err
						}),
				},
			}
		},
		oracle: customerQuery,
	}
}

func loadCustomers(ctx context.Context, tx *sql.Tx, ids []string) (map[string]any, error) {
	marks, args := marks(ids)
	docs := map[string]any{}
	err := each(ctx, tx, customerQuery+" WHERE c.name IN ("+marks+")", args, func(rows *sql.Rows) error {
		var id string
		var doc []byte
		err := rows.Scan(&id, &doc)
		docs[id] = json.RawMessage(doc)
		return err
	})
	return docs, err
}

// marks returns a list of marks and the arguments for them.
func marks(keys []string) (string, []any) {
	args := make([]any, len(keys))
	for i, key := range keys {
		args[i] = key
	}
	return strings.TrimSuffix(strings.Repeat("?,", len(keys)), ","), args
}

// querier is a transaction or a pool.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each calls row for each row of a query.
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
