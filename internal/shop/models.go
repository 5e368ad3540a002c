package shop

import (
	"strconv"
	"sync/atomic"

	"github.com/millrace-go/millrace/projector"
)

// Product is a row of shop.product, which belongs to a catalog.
type Product struct {
	ID      int64  `json:"id"`
	Catalog int64  `json:"catalog_id"`
	Name    string `json:"name"`
	Price   string `json:"price"`
}

// Stock is a row of shop.stock, one for each product.
type Stock struct {
	Product int64 `json:"product_id"`
	Qty     int64 `json:"qty"`
}

// Catalog is a row of shop.catalog.
type Catalog struct {
	ID    int64  `json:"id"`
	Title string `json:"title"`
}

// Card is the document of a product, and the part of a catalog's document.
type Card struct {
	Name  string `json:"name"`
	Price string `json:"price"`
	Qty   int64  `json:"qty"`
}

// Page is the document of a catalog, with all of its products.
type Page struct {
	Title string               `json:"title"`
	Items projector.List[Card] `json:"items"`
}

// Models are the read models of the shop, with a count of what they build.
type Models struct {
	// Cards counts the documents and parts of products that were built.
	Cards atomic.Int64
	// Newest is the highest quantity that one of them shows.
	Newest atomic.Int64
}

var (
	products  = projector.NewTable("shop.product", func(p *Product) int64 { return p.ID })
	stocks    = projector.NewTable("shop.stock", func(s *Stock) int64 { return s.Product })
	catalogs  = projector.NewTable("shop.catalog", func(c *Catalog) int64 { return c.ID })
	stockOf   = projector.HasOne(products, stocks, func(s *Stock) int64 { return s.Product })
	productOf = projector.HasMany(catalogs, products, func(p *Product) int64 { return p.Catalog })
)

func (m *Models) card(v *projector.View, p *Product) (*Card, error) {
	m.Cards.Add(1)
	s, found := stockOf.Of(v, p)
	if !found {
		return nil, nil
	}
	if s.Qty > m.Newest.Load() { // one goroutine builds
		m.Newest.Store(s.Qty)
	}
	return &Card{p.Name, p.Price, s.Qty}, nil
}

// Products is a Join with a document for each product.
func (m *Models) Products(target projector.Target, version int) projector.Projector {
	return projector.Join[Product, int64, Card]{Name: "products", Version: version, Target: target, Root: products,
		Reads: []projector.Readable{stockOf}, Build: m.card}
}

// Catalogs is a Join with a document for each catalog, of parts.
func (m *Models) Catalogs(target projector.Target, version int) projector.Projector {
	card := projector.NewPart(products, m.card)
	return projector.Join[Catalog, int64, Page]{Name: "catalogs", Version: version, Target: target, Root: catalogs,
		Reads: []projector.Readable{productOf, stockOf, card},
		Build: func(v *projector.View, c *Catalog) (*Page, error) {
			return &Page{c.Title, card.All(v, productOf.Below(c))}, nil
		}}
}

// Fold is a Fold with a document for each product.
func (m *Models) Fold(target projector.Target, version int) projector.Projector {
	return projector.Fold[Card]{Name: "fold", Version: version, Target: target, Sources: []projector.Source[Card]{
		projector.OnRow("shop.product", func(p *Product) []string { return []string{strconv.FormatInt(p.ID, 10)} },
			func(d *projector.Doc[Card], _, now *Product) error {
				d.Data.Name, d.Data.Price = now.Name, now.Price
				return nil
			}),
		projector.OnRow("shop.stock", func(s *Stock) []string { return []string{strconv.FormatInt(s.Product, 10)} },
			func(d *projector.Doc[Card], _, now *Stock) error {
				d.Data.Qty = now.Qty
				return nil
			}),
	}}
}
