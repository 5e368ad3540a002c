package documents

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-sql-driver/mysql"

	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// load changes rows until it has begun all its transactions.
type load struct {
	cfg  *Config
	pool *sql.DB
	size sizes

	// gate is held for reading by each transaction, and for writing while the writers stand still.
	gate sync.RWMutex

	begun, committed, rolledBack, statements atomic.Int64
	// allowed is how many transactions may have begun: the documents are looked at all along the load.
	allowed atomic.Int64
	moved   *supervise.Pulse // begun or allowed has changed
}

// sizes are how many keys the tables' rows have.
type sizes struct{ catalogs, categories, products, customers, orders, articles, tags, nodes int }

func sizesOf(scale int) sizes {
	return sizes{catalogs: max(scale/60, 5), categories: max(scale/12, 20), products: scale, customers: max(scale/10, 20), orders: max(scale*2/3, 50),
		articles: max(scale/10, 20), tags: max(scale/60, 8), nodes: max(scale/2, 60)}
}

// lines is how many items an order may have.
const lines = 5

// texts are parts of names, among them what JSON and SQL have to escape.
var texts = []string{"plain", `quo"ted`, `back\slash`, "it's", "ünïcode", "日本", "😀", "<&>", "tab\there", "line\nbreak", "a/b", "", "null", "%s"}

func text(r *rand.Rand) string { return fmt.Sprintf("%s %d", texts[r.IntN(len(texts))], r.IntN(100)) }

func customer(n int) string { return fmt.Sprintf("%s-%d", texts[n%9], n) }

func sku(n int) string { return fmt.Sprintf("A%03d", n) }

func price(r *rand.Rand) string { return fmt.Sprintf("%d.%02d", r.IntN(1000), r.IntN(100)) }

// key returns a random key.
func key(r *rand.Rand, n int) int { return 1 + r.IntN(n) }

// orNull is a value, or now and then NULL.
func orNull(r *rand.Rand, value any) any {
	if r.IntN(20) == 0 {
		return nil
	}
	return value
}

// fill inserts the first rows.
func (l *load) fill(ctx context.Context) error {
	r, n := rand.New(rand.NewPCG(l.cfg.Seed, 1<<40)), l.size
	insert := func(table, columns string, rows int, row func(i int) []any) error {
		for first := 1; first <= rows; first += 500 {
			var marks []string
			var args []any
			for i := first; i < first+500 && i <= rows; i++ {
				values := row(i)
				marks, args = append(marks, "("+strings.TrimSuffix(strings.Repeat("?,", len(values)), ",")+")"), append(args, values...)
			}
			if _, err := l.pool.ExecContext(ctx, "INSERT INTO "+table+" "+columns+" VALUES "+strings.Join(marks, ","), args...); err != nil {
				return fmt.Errorf("fill %s: %w", table, err)
			}
		}
		return nil
	}
	return errors.Join(
		insert("shop.catalog", "", n.catalogs, func(i int) []any { return []any{i, text(r)} }),
		insert("shop.category", "", n.categories, func(i int) []any { return []any{i, key(r, n.catalogs), text(r)} }),
		insert("shop.product", "(id, category_id, name, price, note)", n.products, func(i int) []any {
			return []any{i, orNull(r, key(r, n.categories)), text(r), price(r), orNull(r, text(r))}
		}),
		insert("shop.stock", "", n.products, func(i int) []any { return []any{i, r.IntN(4)} }),
		insert("sales.customer", "", n.customers, func(i int) []any { return []any{customer(i), text(r)} }),
		insert("sales.orders", "", n.orders, func(i int) []any { return []any{i, orNull(r, customer(key(r, n.customers))), r.IntN(2)} }),
		insert("sales.item", "", n.orders*3, func(i int) []any { return []any{1 + i/3, 1 + i%3, sku(key(r, n.articles)), r.IntN(10)} }),
		insert("sales.article", "", n.articles, func(i int) []any { return []any{sku(i), text(r), price(r)} }),
		insert("sales.tagged", "", n.articles*2, func(i int) []any { return []any{sku(1 + (i-1)/2), 1 + (i*7)%n.tags} }),
		insert("sales.tag", "", n.tags, func(i int) []any { return []any{i, text(r)} }),
		insert("tree.node", "", n.nodes, func(i int) []any {
			if i == 1 || r.IntN(40) == 0 {
				return []any{i, nil, text(r)}
			}
			return []any{i, key(r, i-1), text(r)}
		}),
	)
}

// client is a connection that runs one transaction after the other.
type client struct {
	*load
	id  int
	rnd *rand.Rand
}

// work is one client's part of the load.
func (l *load) work(ctx context.Context, id int) error {
	c := &client{load: l, id: id, rnd: rand.New(rand.NewPCG(l.cfg.Seed, uint64(id)))}
	conn, err := l.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for n := l.begun.Add(1); n <= int64(l.cfg.Transactions); n = l.begun.Add(1) {
		l.moved.Beat()
		if err := l.moved.Await(ctx, func() bool { return n <= l.allowed.Load() }); err != nil {
			return err
		}
		l.gate.RLock()
		err := c.transaction(ctx, conn)
		l.gate.RUnlock()
		if err != nil {
			return fmt.Errorf("client %d: %w", id, err)
		}
	}
	l.moved.Beat()
	return nil
}

// transaction commits or rolls back some statements, most often few, now and then hundreds, and seldom some that change all products, which takes more
// changes than a local state has in one group.
func (c *client) transaction(ctx context.Context, conn *sql.Conn) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	n := 1 + c.rnd.IntN(4)
	switch c.rnd.IntN(100) {
	case 0:
		n = 50 + c.rnd.IntN(150)
	case 1, 2, 3, 4:
		n = 5 + c.rnd.IntN(20)
	}
	huge := c.rnd.IntN(2500) == 0
	if huge {
		n = 1 + 12_000/c.cfg.Scale
	}
	savepoint := c.rnd.IntN(20) == 0
	for i := range n {
		if savepoint && i == n/2 {
			_, err = tx.ExecContext(ctx, "SAVEPOINT half")
		}
		if err == nil {
			statement, args := c.statement()
			if huge {
				statement, args = "UPDATE shop.product SET price = (price * 100 + 7) % 100000 / 100, internal = internal + 1", nil
			}
			_, err = tx.ExecContext(ctx, statement, args...)
			c.statements.Add(1)
			if e, ok := errors.AsType[*mysql.MySQLError](err); ok && e.Number == 1062 {
				err = nil // the key is taken: the transaction goes on without the statement
			} else if err != nil {
				err = fmt.Errorf("%.80s: %w", statement, err)
			}
		}
		if err != nil {
			break
		}
	}
	if err == nil && savepoint {
		_, err = tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT half")
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok && (e.Number == 1213 || e.Number == 1205 || e.Number == 1020) {
		c.rolledBack.Add(1)
		return tx.Rollback()
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if c.rnd.IntN(12) == 0 {
		c.rolledBack.Add(1)
		return tx.Rollback()
	}
	c.committed.Add(1)
	return tx.Commit()
}

// statement returns a random one. The numbers of rows stay about the same.
func (c *client) statement() (string, []any) {
	switch p := c.rnd.IntN(100); {
	case p < 3:
		return c.large()
	case p < 45:
		return c.shop()
	case p < 80:
		return c.sale()
	default:
		return c.node()
	}
}

func (c *client) shop() (string, []any) {
	r, n := c.rnd, c.size
	catalog, category, product := key(r, n.catalogs), key(r, n.categories), key(r, n.products)
	switch r.IntN(20) {
	case 0:
		return "INSERT INTO shop.catalog VALUES (?, ?) ON DUPLICATE KEY UPDATE title = VALUES(title)", []any{catalog, text(r)}
	case 1:
		if r.IntN(3) > 0 {
			return "REPLACE INTO shop.catalog VALUES (?, ?)", []any{catalog, text(r)}
		}
		return "DELETE FROM shop.catalog WHERE id = ?", []any{catalog}
	case 2:
		return "UPDATE shop.category SET catalog_id = ? WHERE id = ?", []any{orNull(r, catalog), category}
	case 3, 4:
		return "INSERT INTO shop.category VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE name = VALUES(name)", []any{category, catalog, text(r)}
	case 5:
		if r.IntN(2) == 0 {
			return "DELETE FROM shop.category WHERE id = ?", []any{category}
		}
		return "UPDATE shop.category SET id = ? WHERE id = ?", []any{key(r, n.categories), category}
	case 6, 7:
		return "UPDATE shop.product SET category_id = ? WHERE id = ?", []any{orNull(r, category), product}
	case 8, 9:
		return "INSERT INTO shop.product (id, category_id, name, price, note) VALUES (?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE price = VALUES(price), note = VALUES(note)",
			[]any{product, category, text(r), price(r), orNull(r, text(r))}
	case 10:
		return "DELETE FROM shop.product WHERE id = ?", []any{product}
	case 11:
		return "UPDATE shop.product SET id = ? WHERE id = ?", []any{key(r, n.products), product}
	case 12:
		return "UPDATE shop.product SET internal = internal + 1 WHERE id = ?", []any{product} // no document shows it
	case 13:
		return "DELETE FROM shop.stock WHERE product_id = ?", []any{product}
	case 14:
		return "UPDATE shop.stock SET product_id = ? WHERE product_id = ?", []any{key(r, n.products), product}
	default:
		return "INSERT INTO shop.stock VALUES (?, ?) ON DUPLICATE KEY UPDATE qty = VALUES(qty)", []any{product, r.IntN(4)}
	}
}

func (c *client) sale() (string, []any) {
	r, n := c.rnd, c.size
	who, order, line, article, tag := customer(key(r, n.customers)), key(r, n.orders), key(r, lines), sku(key(r, n.articles)), key(r, n.tags)
	switch r.IntN(20) {
	case 0, 1:
		return "INSERT INTO sales.customer VALUES (?, ?) ON DUPLICATE KEY UPDATE city = VALUES(city)", []any{who, text(r)}
	case 2:
		if r.IntN(2) == 0 {
			return "DELETE FROM sales.customer WHERE name = ?", []any{who}
		}
		return "UPDATE sales.customer SET name = ? WHERE name = ?", []any{customer(key(r, n.customers)), who}
	case 3, 4:
		return "INSERT INTO sales.orders VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE customer = VALUES(customer), paid = 1 - paid", []any{order, orNull(r, who), r.IntN(2)}
	case 5:
		return "DELETE FROM sales.orders WHERE id = ?", []any{order}
	case 6:
		return "UPDATE sales.orders SET id = ? WHERE id = ?", []any{key(r, n.orders), order}
	case 7, 8, 9:
		return "INSERT INTO sales.item VALUES (?, ?, ?, ?) ON DUPLICATE KEY UPDATE n = VALUES(n)", []any{order, line, article, r.IntN(10)}
	case 10:
		return "DELETE FROM sales.item WHERE order_id = ? AND line = ?", []any{order, line}
	case 11:
		return "UPDATE sales.item SET order_id = ? WHERE order_id = ? AND line = ?", []any{key(r, n.orders), order, line}
	case 12:
		return "UPDATE sales.item SET sku = ? WHERE order_id = ?", []any{article, order}
	case 13:
		return "INSERT INTO sales.article VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE price = VALUES(price)", []any{article, text(r), price(r)}
	case 14:
		switch r.IntN(4) {
		case 0:
			return "DELETE FROM sales.article WHERE sku = ?", []any{article}
		case 1:
			return "UPDATE sales.article SET sku = ? WHERE sku = ?", []any{sku(key(r, n.articles)), article}
		}
		return "UPDATE sales.article SET name = ? WHERE sku = ?", []any{text(r), article}
	case 15, 16:
		return "INSERT IGNORE INTO sales.tagged VALUES (?, ?)", []any{article, tag}
	case 17:
		return "DELETE FROM sales.tagged WHERE sku = ? LIMIT 1", []any{article}
	case 18:
		return "UPDATE sales.tagged SET tag = ? WHERE sku = ? AND tag = ?", []any{key(r, n.tags), article, tag}
	default:
		if r.IntN(4) == 0 {
			return "DELETE FROM sales.tag WHERE id = ?", []any{tag}
		}
		return "INSERT INTO sales.tag VALUES (?, ?) ON DUPLICATE KEY UPDATE name = VALUES(name)", []any{tag, text(r)}
	}
}

// node changes the tree. A parent's id is always smaller than its children's.
func (c *client) node() (string, []any) {
	r, n := c.rnd, c.size
	id := 1 + key(r, n.nodes-1)
	above := func() any {
		if r.IntN(30) == 0 {
			return nil
		}
		return key(r, id-1)
	}
	switch r.IntN(10) {
	case 0, 1, 2:
		return "INSERT INTO tree.node VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE name = VALUES(name)", []any{id, above(), text(r)}
	case 3:
		return "DELETE FROM tree.node WHERE id = ?", []any{id}
	case 4, 5, 6:
		return "UPDATE tree.node SET parent_id = ? WHERE id = ?", []any{above(), id}
	case 7:
		return "UPDATE tree.node SET id = ? WHERE id = ?", []any{id + r.IntN(n.nodes-id+1), id}
	default:
		return "UPDATE tree.node SET name = ? WHERE id = ?", []any{text(r), id}
	}
}

// large changes many rows.
func (c *client) large() (string, []any) {
	r, n := c.rnd, c.size
	switch r.IntN(10) {
	case 0:
		return "UPDATE shop.product SET price = (price * 100 + 1) % 100000 / 100 WHERE id % 10 = ?", []any{r.IntN(10)}
	case 1:
		from := key(r, n.products)
		return "UPDATE shop.stock SET qty = (qty + 1) % 4 WHERE product_id BETWEEN ? AND ?", []any{from, from + 100}
	case 2:
		return "UPDATE shop.category SET catalog_id = ? WHERE catalog_id = ?", []any{key(r, n.catalogs), key(r, n.catalogs)}
	case 3:
		return "UPDATE shop.product SET category_id = ? WHERE category_id = ?", []any{key(r, n.categories), key(r, n.categories)}
	case 4:
		from := key(r, n.orders)
		return "DELETE FROM sales.item WHERE order_id BETWEEN ? AND ?", []any{from, from + 10}
	case 5:
		from := key(r, n.orders)
		return "INSERT IGNORE INTO sales.item SELECT id, ?, ?, ? FROM sales.orders WHERE id BETWEEN ? AND ?",
			[]any{key(r, lines), sku(key(r, n.articles)), r.IntN(10), from, from + 60}
	case 6:
		return "UPDATE sales.orders SET customer = ? WHERE customer = ?", []any{customer(key(r, n.customers)), customer(key(r, n.customers))}
	case 7:
		return "UPDATE sales.item SET n = (n + 1) % 10 WHERE sku = ?", []any{sku(key(r, n.articles))}
	case 8:
		id := 1 + key(r, n.nodes-1)
		return "UPDATE tree.node SET parent_id = ? WHERE parent_id = ? AND id > ?", []any{id, key(r, n.nodes), id}
	default:
		from := key(r, n.nodes)
		return "UPDATE tree.node SET name = CONCAT(LEFT(name, 10), ?) WHERE id BETWEEN ? AND ?", []any{text(r), from, from + 50}
	}
}
