package projector_test

import (
	"github.com/millrace-go/millrace/projector"
)

// The joins of the tests: a shop whose catalogs are trees of four tables, once by parts and once without; orders, which belong to customers and have items of
// products with tags; and a tree of one table.

type (
	jCatalog struct {
		ID    int64  `json:"id"`
		Title string `json:"title"`
	}
	jCategory struct {
		ID      int64  `json:"id"`
		Catalog int64  `json:"catalog_id"`
		Name    string `json:"name"`
	}
	jProduct struct {
		ID       int64  `json:"id"`
		Category int64  `json:"category_id"`
		Name     string `json:"name"`
	}
	jStock struct {
		Product int64 `json:"product_id"`
		Qty     int64 `json:"qty"`
	}
	jLeaf struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
		Qty  int64  `json:"qty"`
	}
	jShelf struct {
		Name  string
		Items projector.List[jLeaf] `json:"items,omitzero"`
	}
	jHome struct {
		Title   string
		Shelves projector.List[jShelf] `json:"shelves"`
	}
	jPlainShelf struct {
		Name  string
		Items []jLeaf `json:"items,omitzero"`
	}
	jPlainHome struct {
		Title   string
		Shelves []jPlainShelf `json:"shelves"`
	}
)

var (
	jCatalogs   = projector.NewTable("shop.catalog", func(c *jCatalog) int64 { return c.ID })
	jCategories = projector.NewTable("shop.category", func(c *jCategory) int64 { return c.ID })
	jProducts   = projector.NewTable("shop.product", func(p *jProduct) int64 { return p.ID })
	jStocks     = projector.NewTable("shop.stock", func(s *jStock) int64 { return s.Product })

	jCategoryOf = projector.HasMany(jCatalogs, jCategories, func(c *jCategory) int64 { return c.Catalog })
	jProductOf  = projector.HasMany(jCategories, jProducts, func(p *jProduct) int64 { return p.Category })
	jStockOf    = projector.HasOne(jProducts, jStocks, func(s *jStock) int64 { return s.Product })

	jLeafPart = projector.NewPart(jProducts, func(v *projector.View, p *jProduct) (*jLeaf, error) {
		s, found := jStockOf.Of(v, p)
		if !found || s.Qty%3 == 0 {
			return nil, nil
		}
		return &jLeaf{p.ID, p.Name, s.Qty}, nil
	})
	jShelfPart = projector.NewPart(jCategories, func(v *projector.View, c *jCategory) (*jShelf, error) {
		s := &jShelf{Name: c.Name, Items: jLeafPart.All(v, jProductOf.Below(c))}
		if s.Items.Len() == 0 {
			return nil, nil
		}
		return s, nil
	})
)

// jHomes is the shop by parts.
func jHomes() projector.Join[jCatalog, int64, jHome] {
	return projector.Join[jCatalog, int64, jHome]{
		Name: "home", Version: 1, Target: projector.MemoryTarget("home"), Root: jCatalogs,
		Reads: []projector.Readable{jCategoryOf, jProductOf, jStockOf, jShelfPart, jLeafPart},
		Build: func(v *projector.View, c *jCatalog) (*jHome, error) {
			h := &jHome{Title: c.Title, Shelves: jShelfPart.Each(v, jCategoryOf.Of(v, c))}
			if h.Shelves.Len() == 0 {
				return nil, nil
			}
			return h, nil
		},
	}
}

// jPlainHomes is the shop without parts.
func jPlainHomes() projector.Join[jCatalog, int64, jPlainHome] {
	return projector.Join[jCatalog, int64, jPlainHome]{
		Name: "plain", Version: 1, Target: projector.MemoryTarget("plain"), Root: jCatalogs,
		Reads: []projector.Readable{jCategoryOf, jProductOf, jStockOf},
		Build: func(v *projector.View, c *jCatalog) (*jPlainHome, error) {
			h := &jPlainHome{Title: c.Title}
			for category := range jCategoryOf.Of(v, c) {
				shelf := jPlainShelf{Name: category.Name}
				for p := range jProductOf.Of(v, category) {
					if s, found := jStockOf.Of(v, p); found && s.Qty%3 != 0 {
						shelf.Items = append(shelf.Items, jLeaf{p.ID, p.Name, s.Qty})
					}
				}
				if shelf.Items != nil {
					h.Shelves = append(h.Shelves, shelf)
				}
			}
			if h.Shelves == nil {
				return nil, nil
			}
			return h, nil
		},
	}
}

type (
	jCustomer struct {
		Name string `json:"name"`
		City string `json:"city"`
	}
	jOrder struct {
		ID       int32  `json:"id"`
		Customer string `json:"customer"`
		Paid     bool   `json:"paid"`
	}
	jItem struct {
		Order int32  `json:"order_id"`
		Line  uint8  `json:"line"`
		SKU   string `json:"sku"`
		N     int    `json:"n"`
	}
	jItemKey struct {
		Order int32
		Line  uint8
	}
	jArticle struct {
		SKU   string  `json:"sku"`
		Price float64 `json:"price"`
		Kind  int     `json:"kind"`
	}
	jTagged struct {
		SKU string `json:"sku"`
		Tag int    `json:"tag"`
	}
	jTag struct {
		ID   int    `json:"id"`
		Name string `json:"name"`
	}
	jSetting struct {
		Name  string `json:"name"`
		Value int    `json:"value"`
	}
	jLine struct {
		Line  uint8
		N     int
		Price float64
		Tags  []string
	}
	jOrderDoc struct {
		City    string
		Paid    bool
		First   projector.Item[jLine]
		Lines   projector.List[jLine]
		Factor  int
		Cheaper []string
		Others  int
	}
)

var (
	jCustomers = projector.NewTable("shop.customer", func(c *jCustomer) string { return c.Name })
	jOrders    = projector.NewTable("shop.orders", func(o *jOrder) int32 { return o.ID })
	jItems     = projector.NewTable("shop.item", func(i *jItem) jItemKey { return jItemKey{i.Order, i.Line} })
	jArticles  = projector.NewTable("shop.article", func(a *jArticle) string { return a.SKU })
	jTaggeds   = projector.NewTable("shop.tagged", func(t *jTagged) jTagged { return *t })
	jTags      = projector.NewTable("shop.tag", func(t *jTag) int { return t.ID })
	jSettings  = projector.NewTable("shop.setting", func(s *jSetting) string { return s.Name })

	jCustomerOf = projector.BelongsTo(jOrders, jCustomers, func(o *jOrder) string { return o.Customer })
	jItemOf     = projector.HasMany(jOrders, jItems, func(i *jItem) int32 { return i.Order })
	jArticleOf  = projector.BelongsTo(jItems, jArticles, func(i *jItem) string { return i.SKU })
	jTaggedOf   = projector.HasMany(jArticles, jTaggeds, func(t *jTagged) string { return t.SKU })
	jTagOf      = projector.BelongsTo(jTaggeds, jTags, func(t *jTagged) int { return t.Tag })

	jByPrice    = projector.NewOrderedIndex(jArticles, func(a *jArticle) int { return a.Kind }, func(a *jArticle) float64 { return a.Price })
	jByCustomer = projector.NewIndex(jOrders, func(o *jOrder) string { return o.Customer })

	jLinePart = projector.NewPart(jItems, func(v *projector.View, i *jItem) (*jLine, error) {
		a, found := jArticleOf.Of(v, i)
		if !found {
			return nil, nil
		}
		l := &jLine{Line: i.Line, N: i.N, Price: a.Price}
		for t := range jTaggedOf.Of(v, a) {
			if tag, found := jTagOf.Of(v, t); found {
				l.Tags = append(l.Tags, tag.Name)
			}
		}
		if s, found := jSettings.Get(v, "a"); found && s.Value%2 == 0 {
			l.N += 100 // a free read in a part
		}
		return l, nil
	})
)

// jOrderDocs reads in every way there is.
func jOrderDocs() projector.Join[jOrder, int32, jOrderDoc] {
	return projector.Join[jOrder, int32, jOrderDoc]{
		Name: "orders", Version: 1, Target: projector.MemoryTarget("orders"), Root: jOrders,
		Reads: []projector.Readable{jCustomerOf, jItemOf, jArticleOf, jTaggedOf, jTagOf, jLinePart, jSettings, jByPrice, jByCustomer},
		Build: func(v *projector.View, o *jOrder) (*jOrderDoc, error) {
			d := &jOrderDoc{Paid: o.Paid, Lines: jLinePart.All(v, jItemOf.Below(o))}
			c, found := jCustomerOf.Of(v, o)
			if !found {
				return nil, nil
			}
			d.City = c.City
			for i := range jItemOf.Of(v, o) {
				d.First = jLinePart.Of(v, i)
				break
			}
			if s, found := jSettings.Get(v, c.City); found {
				d.Factor = s.Value
			}
			for a := range jByPrice.Range(v, int(o.ID%3)+1, 0.5, 1.5) {
				d.Cheaper = append(d.Cheaper, a.SKU)
				for range jTaggedOf.Of(v, a) { // declared reads below a free one
					d.Others += 10
				}
			}
			for range jByCustomer.Find(v, o.Customer) {
				d.Others++
			}
			return d, nil
		},
	}
}

type (
	jNode struct {
		ID     int    `json:"id"`
		Parent *int   `json:"parent_id"`
		Name   string `json:"name"`
	}
	jTree struct {
		Name     string
		Children projector.List[jTree] `json:"children,omitzero"`
	}
)

var (
	jNodes      = projector.NewTable("shop.node", func(n *jNode) int { return n.ID })
	jChildrenOf = projector.HasMany(jNodes, jNodes, func(n *jNode) int {
		if n.Parent == nil || *n.Parent >= n.ID { // no circles
			return 0
		}
		return *n.Parent
	})
	jTreePart *projector.Part[jNode, jTree]
)

func init() {
	jTreePart = projector.NewPart(jNodes, func(v *projector.View, n *jNode) (*jTree, error) {
		return &jTree{n.Name, jTreePart.All(v, jChildrenOf.Below(n))}, nil
	})
}

// jTrees has a document for each node without parent.
func jTrees() projector.Join[jNode, int, jTree] {
	return projector.Join[jNode, int, jTree]{
		Name: "trees", Version: 1, Target: projector.MemoryTarget("trees"), Root: jNodes,
		Reads: []projector.Readable{jChildrenOf, jTreePart},
		Build: func(v *projector.View, n *jNode) (*jTree, error) {
			if n.Parent != nil && *n.Parent < n.ID {
				return nil, nil
			}
			return &jTree{n.Name, jTreePart.All(v, jChildrenOf.Below(n))}, nil
		},
	}
}

// jCircles has a document for each node, and its rows may go round in a circle.
func jCircles() projector.Join[jNode, int, jTree] {
	below := projector.HasMany(jNodes, jNodes, func(n *jNode) int {
		if n.Parent == nil {
			return 0
		}
		return *n.Parent
	})
	var part *projector.Part[jNode, jTree]
	part = projector.NewPart(jNodes, func(v *projector.View, n *jNode) (*jTree, error) {
		return &jTree{n.Name, part.All(v, below.Below(n))}, nil
	})
	return projector.Join[jNode, int, jTree]{
		Name: "circles", Version: 1, Target: projector.MemoryTarget("circles"), Root: jNodes, Reads: []projector.Readable{below, part},
		Build: func(v *projector.View, n *jNode) (*jTree, error) {
			return &jTree{n.Name, part.All(v, below.Below(n))}, nil
		},
	}
}
