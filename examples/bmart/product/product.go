// Package product is the read model of single products with their stock: a Fold, made from the log alone.
package product

import (
	"strconv"

	"github.com/millrace-go/millrace/projector"
)

// Name is the name of the projector and of its target.
const Name = "product"

// Document is a product as readers see it.
type Document struct {
	ID        uint64  `json:"id"`
	Category  uint64  `json:"category"`
	Name      string  `json:"name"`
	Note      *string `json:"note,omitempty"`
	Price     string  `json:"price"` // a decimal's text
	Qty       int     `json:"qty"`
	UpdatedAt string  `json:"updated_at"`
}

// row is a row of table product.
type row struct {
	ID         uint64  `json:"id"`
	CategoryID uint64  `json:"category_id"`
	Name       string  `json:"name"`
	Note       *string `json:"note"`
	Price      string  `json:"price"`
	UpdatedAt  string  `json:"updated_at"`
}

// stock is a row of table stock.
type stock struct {
	ProductID uint64 `json:"product_id"`
	Qty       int    `json:"qty"`
}

// Projector returns the read model with its documents in target.
func Projector(target projector.Target) projector.Projector {
	return projector.Fold[Document]{
		Name: Name, Version: 1, Target: target,
		Sources: []projector.Source[Document]{
			projector.OnRow("bmart.product", func(r *row) []string { return id(r.ID) }, onProduct),
			projector.OnRow("bmart.stock", func(r *stock) []string { return id(r.ProductID) }, onStock),
		},
	}
}

func id(n uint64) []string { return []string{strconv.FormatUint(n, 10)} }

func onProduct(d *projector.Doc[Document], _, now *row) error {
	if now == nil {
		d.Delete()
		return nil
	}
	d.Data = Document{ID: now.ID, Category: now.CategoryID, Name: now.Name, Note: now.Note, Price: now.Price, UpdatedAt: now.UpdatedAt, Qty: d.Data.Qty}
	return nil
}

// onStock sets the quantity. The shop writes both rows in one transaction, so no document is ever made of a stock alone.
func onStock(d *projector.Doc[Document], _, now *stock) error {
	switch {
	case now != nil:
		d.Data.Qty = now.Qty
	case d.Exists():
		d.Data.Qty = 0
	default:
		d.Delete()
	}
	return nil
}
