package load

import (
	"math/rand/v2"
	"slices"
)

// change adds one thing that happens in a shop to a transaction.
type change func(w *worker, t *transaction)

// changes says how often each thing happens, in parts of a hundred.
var changes = []struct {
	often int
	change
}{
	{27, reprice}, {25, sell}, {11, restock}, {7, rename}, {6, moveProduct}, {6, addProducts}, {4, deleteProducts}, {4, sellOut},
	{2, annotate}, {2, inflate}, {1, renumber}, {1, moveCategory}, {1, addCategory}, {1, deleteCategory}, {1, reorder}, {1, replaceCatalog},
}

// draw returns a change by its frequency.
func draw(r *rand.Rand) change {
	n := r.IntN(100)
	for _, c := range changes {
		if n -= c.often; n < 0 {
			return c.change
		}
	}
	return reprice
}

// some returns 1 to n different elements.
func some[T any](r *rand.Rand, list []T, n int) []T {
	n = 1 + r.IntN(min(n, len(list)))
	first := r.IntN(len(list))
	out := make([]T, 0, n)
	for i := range n {
		out = append(out, list[(first+i)%len(list)])
	}
	return out
}

func reprice(w *worker, t *transaction) {
	for _, p := range some(w.rand, w.products, 3) {
		t.exec("UPDATE product SET price = ?, updated_at = ? WHERE id = ?", price(w.rand), t.touch(p), p.id)
	}
}

// inflate changes a category's prices by one statement.
func inflate(w *worker, t *transaction) {
	k := anyOf(w.rand, w.categories)
	if len(k.products) == 0 {
		return
	}
	t.exec("UPDATE product SET price = ROUND(price * 1.05 + 0.01, 2), updated_at = ? WHERE category_id = ? AND price < 1000", t.touch(k.products[0]), k.id)
}

// sell takes from any shop's stock, also from those of other connections.
func sell(w *worker, t *transaction) {
	highest := w.productID
	ids := make([]uint64, 0, 4)
	for range 1 + w.rand.IntN(4) {
		ids = append(ids, 1+w.rand.Uint64N(highest))
	}
	slices.Sort(ids)
	list, args := in(ids, 1+w.rand.IntN(3))
	t.exec("UPDATE stock SET qty = qty - ? WHERE qty >= 3 AND product_id IN "+list, args...)
}

func restock(w *worker, t *transaction) {
	ids := productIDs(some(w.rand, w.products, 6))
	list, args := in(ids, 1+w.rand.IntN(40))
	t.exec("UPDATE stock SET qty = qty + ? WHERE product_id IN "+list, args...)
}

// sellOut empties a category or a whole catalog, which hides it.
func sellOut(w *worker, t *transaction) {
	var ids []uint64
	if c := anyOf(w.rand, w.catalogs); w.rand.IntN(2) == 0 {
		for _, k := range c.categories {
			ids = append(ids, productIDs(k.products)...)
		}
	} else if len(c.categories) > 0 {
		ids = productIDs(anyOf(w.rand, c.categories).products)
	}
	if len(ids) == 0 {
		return
	}
	list, args := in(ids)
	t.exec("UPDATE stock SET qty = 0 WHERE product_id IN "+list, args...)
}

func rename(w *worker, t *transaction) {
	switch w.rand.IntN(4) {
	case 0:
		t.exec("UPDATE catalog SET title = ? WHERE id = ?", catalogTitle(w.rand), anyOf(w.rand, w.catalogs).id)
	case 1:
		t.exec("UPDATE category SET title = ? WHERE id = ?", pick(w.rand, shelves), anyOf(w.rand, w.categories).id)
	default:
		p := anyOf(w.rand, w.products)
		t.exec("UPDATE product SET name = ?, updated_at = ? WHERE id = ?", productName(w.rand), t.touch(p), p.id)
	}
}

func annotate(w *worker, t *transaction) {
	t.exec("UPDATE product SET note = ? WHERE id = ?", note(w.rand), anyOf(w.rand, w.products).id)
}

func moveProduct(w *worker, t *transaction) {
	p, to := anyOf(w.rand, w.products), anyOf(w.rand, w.categories)
	t.exec("UPDATE product SET category_id = ? WHERE id = ?", to.id, p.id)
	w.shops.moveProduct(p, to)
}

func moveCategory(w *worker, t *transaction) {
	k, to := anyOf(w.rand, w.categories), anyOf(w.rand, w.catalogs)
	t.exec("UPDATE category SET catalog_id = ? WHERE id = ?", to.id, k.id)
	w.shops.moveCategory(k, to)
}

// reorder turns a catalog's categories round.
func reorder(w *worker, t *transaction) {
	t.exec("UPDATE category SET position = -position WHERE catalog_id = ?", anyOf(w.rand, w.catalogs).id)
}

// renumber changes primary keys.
func renumber(w *worker, t *transaction) {
	p := anyOf(w.rand, w.products)
	old := p.id
	p.id = w.next(&w.productID)
	t.exec("UPDATE product SET id = ? WHERE id = ?", p.id, old)
	t.exec("UPDATE stock SET product_id = ? WHERE product_id = ?", p.id, old)
}

func addProducts(w *worker, t *transaction) {
	k := anyOf(w.rand, w.categories)
	for range 1 + w.rand.IntN(4) {
		w.insertProduct(t, k)
	}
}

func addCategory(w *worker, t *transaction) {
	k := w.insertCategory(t, anyOf(w.rand, w.catalogs))
	for range 1 + w.rand.IntN(5) {
		w.insertProduct(t, k)
	}
}

func deleteProducts(w *worker, t *transaction) {
	if len(w.products) < 50 {
		return
	}
	doomed := some(w.rand, w.products, 3)
	w.deleteRows(t, productIDs(doomed))
	for _, p := range doomed {
		w.removeProduct(p)
	}
}

func deleteCategory(w *worker, t *transaction) {
	if len(w.categories) < 10 {
		return
	}
	k := anyOf(w.rand, w.categories)
	w.deleteRows(t, productIDs(k.products))
	t.exec("DELETE FROM category WHERE id = ?", k.id)
	w.removeCategory(k)
}

// replaceCatalog closes a shop and opens another.
func replaceCatalog(w *worker, t *transaction) {
	c := anyOf(w.rand, w.catalogs)
	for _, k := range c.categories {
		w.deleteRows(t, productIDs(k.products))
	}
	t.exec("DELETE FROM category WHERE catalog_id = ?", c.id)
	t.exec("DELETE FROM catalog WHERE id = ?", c.id)
	w.removeCatalog(c)
	w.openShop(t)
}

// openShop inserts a catalog with its categories and products.
func (w *worker) openShop(t *transaction) {
	c := w.addCatalog()
	t.exec("INSERT INTO catalog (id, title) VALUES (?, ?)", c.id, catalogTitle(w.rand))
	for range w.atLeast(w.leastCategories) {
		k := w.insertCategory(t, c)
		for range w.atLeast(w.leastProducts) {
			w.insertProduct(t, k)
		}
	}
}

// atLeast returns n or up to half as many more.
func (w *worker) atLeast(n int) int { return n + w.rand.IntN(n/2+1) }

func (w *worker) insertCategory(t *transaction, c *catalog) *category {
	k := w.addCategory(c)
	t.exec("INSERT INTO category (id, catalog_id, position, title) VALUES (?, ?, ?, ?)", k.id, c.id, 1+w.rand.IntN(9), pick(w.rand, shelves))
	return k
}

func (w *worker) insertProduct(t *transaction, k *category) {
	p := w.addProduct(k)
	t.exec("INSERT INTO product (id, category_id, name, note, price, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
		p.id, k.id, productName(w.rand), note(w.rand), price(w.rand), t.touch(p))
	t.exec("INSERT INTO stock (product_id, qty) VALUES (?, ?)", p.id, max(0, w.rand.IntN(60)-10))
}

func (w *worker) deleteRows(t *transaction, products []uint64) {
	if len(products) == 0 {
		return
	}
	list, args := in(products)
	t.exec("DELETE FROM stock WHERE product_id IN "+list, args...)
	t.exec("DELETE FROM product WHERE id IN "+list, args...)
}

func productIDs(products []*product) []uint64 {
	ids := make([]uint64, len(products))
	for i, p := range products {
		ids[i] = p.id
	}
	return ids
}
