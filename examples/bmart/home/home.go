// Package home is the read model of a shop's home page: a catalog's tree as one document, a Query. What is not in stock is left out; a catalog
// with nothing in stock has no document.
package home

import (
	"strconv"

	"github.com/millrace-go/millrace/projector"
)

// Name is the name of the projector and of its target.
const Name = "home"

// Document is a catalog as readers see it.
type Document struct {
	ID         uint64     `json:"id"`
	Title      string     `json:"title"`
	Categories []Category `json:"categories"`
}

// Category is a category with something in stock.
type Category struct {
	ID       uint64    `json:"id"`
	Title    string    `json:"title"`
	Products []Product `json:"products"`
}

// Product is a product in stock.
type Product struct {
	ID    uint64  `json:"id"`
	Name  string  `json:"name"`
	Note  *string `json:"note,omitempty"`
	Price string  `json:"price"` // a decimal's text
	Qty   int     `json:"qty"`
}

// The columns of the tables that lead to a catalog.
type (
	catalogRow struct {
		ID uint64 `json:"id"`
	}
	categoryRow struct {
		CatalogID uint64 `json:"catalog_id"`
	}
	productRow struct {
		CategoryID uint64 `json:"category_id"`
	}
	stockRow struct {
		ProductID uint64 `json:"product_id"`
	}
)

// Projector returns the read model of the tables in db, with its documents in target.
func Projector(db projector.Database, target projector.Target) projector.Projector {
	return projector.Query{
		Name: Name, Version: 1, Target: target, Database: db,
		Tables: []projector.QueryTable{
			projector.OnTable("bmart.catalog", func(r *catalogRow) []string { return one(r.ID) }),
			projector.OnTable("bmart.category", func(r *categoryRow) []string { return one(r.CatalogID) }),
			projector.OnTableVia("bmart.product", func(r *productRow) []string { return one(r.CategoryID) }, catalogsOfCategories),
			projector.OnTableVia("bmart.stock", func(r *stockRow) []string { return one(r.ProductID) }, catalogsOfProducts),
		},
		Load: load,
	}
}

func one(id uint64) []string { return []string{strconv.FormatUint(id, 10)} }
