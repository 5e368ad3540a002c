// Package product is the read model of single products with their stock: a Join of two tables.
package product

import "github.com/millrace-go/millrace/projector"

// Name is the name of the projector and of its target.
const Name = "product"

// Document is a product as readers see it.
type Document struct {
	ID        uint64  `json:"id"`
	Category  uint64  `json:"category"`
	Name      string  `json:"name"`
	Note      *string `json:"note,omitempty"`
	Price     string  `json:"price"` // a decimal's text
	Qty       int     `json:"qty"`   // 0 without a row of stock
	UpdatedAt string  `json:"updated_at"`
}

type (
	productRow struct {
		ID         uint64  `json:"id"`
		CategoryID uint64  `json:"category_id"`
		Name       string  `json:"name"`
		Note       *string `json:"note"`
		Price      string  `json:"price"`
		UpdatedAt  string  `json:"updated_at"`
	}
	stockRow struct {
		ProductID uint64 `json:"product_id"`
		Qty       int    `json:"qty"`
	}
)

var (
	products = projector.NewTable("bmart.product", func(p *productRow) uint64 { return p.ID })
	stocks   = projector.NewTable("bmart.stock", func(s *stockRow) uint64 { return s.ProductID })
	stockOf  = projector.HasOne(products, stocks, func(s *stockRow) uint64 { return s.ProductID })
)

func build(v *projector.View, p *productRow) (*Document, error) {
	d := &Document{ID: p.ID, Category: p.CategoryID, Name: p.Name, Note: p.Note, Price: p.Price, UpdatedAt: p.UpdatedAt}
	if s, found := stockOf.Of(v, p); found {
		d.Qty = s.Qty
	}
	return d, nil
}

// Projector returns the read model with its documents in target.
func Projector(target projector.Target) projector.Join[productRow, uint64, Document] {
	return projector.Join[productRow, uint64, Document]{
		Name: Name, Version: 1, Target: target,
		Root:  products,
		Reads: []projector.Readable{stockOf},
		Build: build,
	}
}
