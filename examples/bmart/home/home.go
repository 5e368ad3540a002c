// Package home is the read model of a shop's home page: a catalog's tree as one document, a Join over four tables. What is not in stock is left
// out; a catalog with nothing in stock has no document.
package home

import (
	"cmp"
	"slices"

	"github.com/millrace-go/millrace/projector"
)

// Name is the name of the projector and of its target.
const Name = "home"

// Document is a catalog as readers see it.
type Document struct {
	ID         uint64                   `json:"id"`
	Title      string                   `json:"title"`
	Categories projector.List[Category] `json:"categories"`
}

// Category is a category with something in stock.
type Category struct {
	ID       uint64                  `json:"id"`
	Title    string                  `json:"title"`
	Products projector.List[Product] `json:"products"`
}

// Product is a product in stock.
type Product struct {
	ID    uint64  `json:"id"`
	Name  string  `json:"name"`
	Note  *string `json:"note,omitempty"`
	Price string  `json:"price"` // a decimal's text
	Qty   int     `json:"qty"`
}

// The rows, with the columns that the documents show or that lead to them. A change of another column does nothing.
type (
	catalogRow struct {
		ID    uint64 `json:"id"`
		Title string `json:"title"`
	}
	categoryRow struct {
		ID        uint64 `json:"id"`
		CatalogID uint64 `json:"catalog_id"`
		Position  int    `json:"position"`
		Title     string `json:"title"`
	}
	productRow struct {
		ID         uint64  `json:"id"`
		CategoryID uint64  `json:"category_id"`
		Name       string  `json:"name"`
		Note       *string `json:"note"`
		Price      string  `json:"price"`
	}
	stockRow struct {
		ProductID uint64 `json:"product_id"`
		Qty       int    `json:"qty"`
	}
)

// The tables with their primary keys, and how their rows belong together. A changed row finds its catalog by these.
var (
	catalogs   = projector.NewTable("bmart.catalog", func(c *catalogRow) uint64 { return c.ID })
	categories = projector.NewTable("bmart.category", func(c *categoryRow) uint64 { return c.ID })
	products   = projector.NewTable("bmart.product", func(p *productRow) uint64 { return p.ID })
	stocks     = projector.NewTable("bmart.stock", func(s *stockRow) uint64 { return s.ProductID })

	categoriesOf = projector.HasMany(catalogs, categories, func(c *categoryRow) uint64 { return c.CatalogID })
	productsOf   = projector.HasMany(categories, products, func(p *productRow) uint64 { return p.CategoryID })
	stockOf      = projector.HasOne(products, stocks, func(s *stockRow) uint64 { return s.ProductID })
)

// The parts of a document, whose JSON is kept: a sale makes one item, and splices it with its neighbours into one shelf, and that with its own
// into the document. All keeps a category's items together, so that they are not looked up one by one.
var (
	item = projector.NewPart(products, func(v *projector.View, p *productRow) (*Product, error) {
		s, found := stockOf.Of(v, p)
		if !found || s.Qty <= 0 {
			return nil, nil // left out
		}
		return &Product{ID: p.ID, Name: p.Name, Note: p.Note, Price: p.Price, Qty: s.Qty}, nil
	})
	shelf = projector.NewPart(categories, func(v *projector.View, c *categoryRow) (*Category, error) {
		items := item.All(v, productsOf.Below(c))
		if items.Len() == 0 {
			return nil, nil
		}
		return &Category{ID: c.ID, Title: c.Title, Products: items}, nil
	})
)

// build makes a catalog's document.
func build(v *projector.View, c *catalogRow) (*Document, error) {
	inOrder := slices.SortedFunc(categoriesOf.Of(v, c), func(a, b *categoryRow) int {
		return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.ID, b.ID))
	})
	shelves := shelf.Each(v, slices.Values(inOrder))
	if shelves.Len() == 0 {
		return nil, nil // no document: the catalog is hidden
	}
	return &Document{ID: c.ID, Title: c.Title, Categories: shelves}, nil
}

// Projector returns the read model with its documents in target.
func Projector(target projector.Target) projector.Join[catalogRow, uint64, Document] {
	return projector.Join[catalogRow, uint64, Document]{
		Name: Name, Version: 1, Target: target,
		Root:  catalogs,
		Reads: []projector.Readable{categoriesOf, productsOf, stockOf, shelf, item},
		Build: build,
	}
}
