// Package load changes the shop's tables as shopkeepers and customers would: prices, stock, names, moves of products between
// categories and of categories between catalogs, new and closed shops, changed primary keys, and transactions that are rolled back.
package load

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Config configures a [Load]. DB is required.
type Config struct {
	// DB is the account schema.Shop in the database schema.Database. DSNs should have interpolateParams=true, or each
	// statement costs two round trips.
	DB *sql.DB
	// Connections work side by side. Default 4.
	Connections int
	// Catalogs are opened by Fill. Default 2,200.
	Catalogs int
	// Categories and Products are the least that a new catalog and a new category get; each gets up to half as many more. Default 2.
	Categories, Products int
	// Seed decides what each connection does, and in which order; how they interleave is up to the server.
	Seed uint64
	// Rate bounds Run's row changes a second, over all connections. 0 is no bound.
	Rate int
	// Committed is called after each commit, from several goroutines; it must return soon. May be nil.
	Committed func(Commit)
}

// Commit is a transaction that was committed.
type Commit struct {
	At   time.Time // when the commit returned
	Rows int       // changed rows
	// Product is one that got a new updated_at, UpdatedAt that value as the database writes it, and Catalog the catalog the product stands in.
	// Product is 0 where the transaction changed no updated_at.
	Product, Catalog uint64
	UpdatedAt        string
}

// Load is a shop's traffic. Fill and Run must not be called concurrently.
type Load struct {
	cfg     Config
	workers []*worker
	rows    atomic.Int64
}

// worker is one connection.
type worker struct {
	*shops
	rand *rand.Rand
	// The least that a new catalog has.
	leastCategories, leastProducts int
}

// New returns a load that has done nothing yet.
func New(cfg Config) (*Load, error) {
	if cfg.DB == nil {
		return nil, errors.New("load: DB is missing")
	}
	if cfg.Connections <= 0 {
		cfg.Connections = 4
	}
	if cfg.Catalogs <= 0 {
		cfg.Catalogs = 2200
	}
	cfg.Categories, cfg.Products = max(2, cfg.Categories), max(2, cfg.Products)
	if cfg.Catalogs < 10*cfg.Connections {
		return nil, fmt.Errorf("load: %d catalogs for %d connections: each needs 10", cfg.Catalogs, cfg.Connections)
	}
	l := &Load{cfg: cfg}
	for i := range cfg.Connections {
		l.workers = append(l.workers, &worker{
			shops: newShops(i, cfg.Connections), rand: rand.New(rand.NewPCG(cfg.Seed, uint64(i))),
			leastCategories: cfg.Categories, leastProducts: cfg.Products,
		})
	}
	return l, nil
}

// Rows returns the number of rows changed so far. It may be called at any time.
func (l *Load) Rows() int { return int(l.rows.Load()) }

// Fill opens the catalogs, each in one transaction, as fast as the server takes them.
func (l *Load) Fill(ctx context.Context) error {
	return l.each(ctx, func(ctx context.Context, i int, conn *sql.Conn) error {
		for range (l.cfg.Catalogs + len(l.workers) - 1 - i) / len(l.workers) {
			t := &transaction{}
			l.workers[i].openShop(t)
			if err := l.commit(ctx, conn, t); err != nil {
				return err
			}
		}
		return nil
	})
}

// Run changes rows until at least that many have been changed by it (0: without end), or until ctx ends, which is no error.
func (l *Load) Run(ctx context.Context, rows int) error {
	pace := newPace(l.cfg.Rate)
	before := l.Rows()
	err := l.each(ctx, func(ctx context.Context, i int, conn *sql.Conn) error {
		for rows == 0 || l.Rows()-before < rows {
			if !pace.wait(ctx, l.Rows()-before) {
				return nil
			}
			if err := l.commit(ctx, conn, l.workers[i].transaction()); err != nil {
				return err
			}
		}
		return nil
	})
	if ctx.Err() != nil {
		err = nil
	}
	return err
}

// transaction makes up the connection's next one: mostly one change, sometimes some dozens of rows.
func (w *worker) transaction() *transaction {
	t := &transaction{}
	if w.rand.IntN(50) == 0 { // not to be seen anywhere
		reprice(w, t)
		restock(w, t)
		t.exec("INSERT INTO product (id, category_id, name, price, updated_at) VALUES (?, ?, 'rolled back', 1, NOW(6))", w.next(&w.productID), anyOf(w.rand, w.categories).id)
		t.rollback = true
		return t
	}
	n := 1
	switch d := w.rand.IntN(100); {
	case d < 3:
		n = 12
	case d < 25:
		n = 3
	}
	for range n {
		draw(w.rand)(w, t)
	}
	return t
}

func (l *Load) commit(ctx context.Context, conn *sql.Conn, t *transaction) error {
	if len(t.statements) == 0 {
		return nil
	}
	rows, at, err := t.run(ctx, conn)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	l.rows.Add(int64(rows))
	if rows > 0 && l.cfg.Committed != nil {
		l.cfg.Committed(Commit{At: at, Rows: rows, Product: t.product, Catalog: t.catalog, UpdatedAt: t.updatedAt})
	}
	return nil
}

// each runs work for every connection and returns the first error, which stops the others.
func (l *Load) each(ctx context.Context, work func(ctx context.Context, i int, conn *sql.Conn) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	for i := range l.workers {
		wg.Go(func() {
			conn, err := l.cfg.DB.Conn(ctx)
			if err == nil {
				err = work(ctx, i, conn)
				conn.Close()
			}
			if err != nil {
				stop(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
