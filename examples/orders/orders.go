// Package orders is an example of a read model whose rows come from many sides: an order as one document, with its customer, its items, each item's product,
// and each product's tags, which are many-to-many. It shows relations to read in either direction, a table of pairs, and keys of several columns.
//
// Whatever changes, the orders that show it follow: a customer who moves, a product with another name, a tag that is taken away.
package orders

import "github.com/millrace-go/millrace/projector"

// Document is an order as readers see it.
type Document struct {
	ID       int64                `json:"id"`
	Customer Customer             `json:"customer"`
	Items    projector.List[Item] `json:"items"`
}

// Customer is who has ordered.
type Customer struct {
	Name string `json:"name"`
	City string `json:"city"`
}

// Item is a line of an order.
type Item struct {
	Line    int      `json:"line"`
	Product string   `json:"product"`
	Price   string   `json:"price"` // a decimal's text, as of the order
	N       int      `json:"n"`
	Tags    []string `json:"tags,omitempty"`
}

// The rows.
type (
	customer struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
		City string `json:"city"`
	}
	order struct {
		ID         int64 `json:"id"`
		CustomerID int64 `json:"customer_id"`
	}
	item struct {
		OrderID int64  `json:"order_id"`
		Line    int    `json:"line"`
		SKU     string `json:"sku"`
		Price   string `json:"price"`
		N       int    `json:"n"`
	}
	product struct {
		SKU  string `json:"sku"`
		Name string `json:"name"`
	}
	productTag struct {
		SKU   string `json:"sku"`
		TagID int64  `json:"tag_id"`
	}
	tag struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
	}
	itemKey struct {
		OrderID int64
		Line    int
	}
)

// The tables with their primary keys. A table of pairs is its own key.
var (
	customers   = projector.NewTable("shop.customer", func(c *customer) int64 { return c.ID })
	orders      = projector.NewTable("shop.orders", func(o *order) int64 { return o.ID })
	items       = projector.NewTable("shop.item", func(i *item) itemKey { return itemKey{i.OrderID, i.Line} })
	products    = projector.NewTable("shop.product", func(p *product) string { return p.SKU })
	productTags = projector.NewTable("shop.product_tag", func(t *productTag) productTag { return *t })
	tags        = projector.NewTable("shop.tag", func(t *tag) int64 { return t.ID })
)

// How rows belong together. Many-to-many is two relations over the table of pairs.
var (
	customerOf = projector.BelongsTo(orders, customers, func(o *order) int64 { return o.CustomerID })
	itemsOf    = projector.HasMany(orders, items, func(i *item) int64 { return i.OrderID })
	productOf  = projector.BelongsTo(items, products, func(i *item) string { return i.SKU })
	pairsOf    = projector.HasMany(products, productTags, func(t *productTag) string { return t.SKU })
	tagOf      = projector.BelongsTo(productTags, tags, func(t *productTag) int64 { return t.TagID })
)

// line makes an item. An item whose product is not there, or not yet, is left out.
var line = projector.NewPart(items, func(v *projector.View, i *item) (*Item, error) {
	p, found := productOf.Of(v, i)
	if !found {
		return nil, nil
	}
	doc := &Item{Line: i.Line, Product: p.Name, Price: i.Price, N: i.N}
	for pair := range pairsOf.Of(v, p) {
		if t, found := tagOf.Of(v, pair); found {
			doc.Tags = append(doc.Tags, t.Name)
		}
	}
	return doc, nil
})

// Projector returns the read model with its documents in target.
func Projector(target projector.Target) projector.Join[order, int64, Document] {
	return projector.Join[order, int64, Document]{
		Name: "orders", Version: 1, Target: target,
		Root:  orders,
		Reads: []projector.Readable{customerOf, itemsOf, productOf, pairsOf, tagOf, line},
		Build: func(v *projector.View, o *order) (*Document, error) {
			c, found := customerOf.Of(v, o)
			if !found {
				return nil, nil // no document before its customer is there
			}
			return &Document{ID: o.ID, Customer: Customer{c.Name, c.City}, Items: line.All(v, itemsOf.Below(o))}, nil
		},
	}
}
