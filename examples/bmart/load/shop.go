package load

import (
	"math/rand/v2"
	"slices"
)

// shops is what one connection knows of the rows it owns: those that only it inserts, moves and deletes. Every connection also sells from
// the shelves of the others, so that transactions do meet.
type shops struct {
	catalogs   []*catalog
	categories []*category
	products   []*product

	step                             uint64 // the number of connections: they never give the same id twice
	catalogID, categoryID, productID uint64
}

type catalog struct {
	id         uint64
	categories []*category
}

type category struct {
	id       uint64
	catalog  *catalog
	products []*product
}

type product struct {
	id       uint64
	category *category
}

// newShops returns the empty shops of connection number of all.
func newShops(number, all int) *shops {
	first := uint64(number + 1)
	return &shops{step: uint64(all), catalogID: first, categoryID: first, productID: first}
}

func (s *shops) next(id *uint64) uint64 {
	n := *id
	*id += s.step
	return n
}

func (s *shops) addCatalog() *catalog {
	c := &catalog{id: s.next(&s.catalogID)}
	s.catalogs = append(s.catalogs, c)
	return c
}

func (s *shops) addCategory(c *catalog) *category {
	k := &category{id: s.next(&s.categoryID), catalog: c}
	s.categories = append(s.categories, k)
	c.categories = append(c.categories, k)
	return k
}

func (s *shops) addProduct(k *category) *product {
	p := &product{id: s.next(&s.productID), category: k}
	s.products = append(s.products, p)
	k.products = append(k.products, p)
	return p
}

func (s *shops) removeCatalog(c *catalog) {
	for _, k := range slices.Clone(c.categories) {
		s.removeCategory(k)
	}
	s.catalogs = without(s.catalogs, c)
}

func (s *shops) removeCategory(k *category) {
	for _, p := range slices.Clone(k.products) {
		s.removeProduct(p)
	}
	k.catalog.categories = without(k.catalog.categories, k)
	s.categories = without(s.categories, k)
}

func (s *shops) removeProduct(p *product) {
	p.category.products = without(p.category.products, p)
	s.products = without(s.products, p)
}

func (s *shops) moveProduct(p *product, to *category) {
	p.category.products = without(p.category.products, p)
	p.category = to
	to.products = append(to.products, p)
}

func (s *shops) moveCategory(k *category, to *catalog) {
	k.catalog.categories = without(k.catalog.categories, k)
	k.catalog = to
	to.categories = append(to.categories, k)
}

// without takes one element out, in no particular order.
func without[T comparable](list []T, one T) []T {
	i := slices.Index(list, one)
	list[i] = list[len(list)-1]
	return list[:len(list)-1]
}

func anyOf[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }
