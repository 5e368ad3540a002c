package topology

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/go-sql-driver/mysql"
)

// schemaName is the database that is captured.
const schemaName = "shop"

// load writes transactions, and keeps what it saw committed.
type load struct {
	seed    uint64
	workers int

	mu    sync.Mutex
	next  int
	acked map[string]bool // marks whose commit was answered
}

// create makes the tables.
func (l *load) create(ctx context.Context, primary *node) error {
	return primary.exec(ctx,
		"CREATE DATABASE "+schemaName+" CHARACTER SET utf8mb4",
		"CREATE TABLE shop.mark (id INT PRIMARY KEY, worker INT NOT NULL)",
		"CREATE TABLE shop.stock (id INT PRIMARY KEY, qty INT NOT NULL, note VARCHAR(200))",
		// A range locks up to the next row, which must not be one that is prepared.
		fmt.Sprintf("INSERT INTO shop.stock VALUES (%d, 0, 'end')", l.workers*1000))
}

// mark returns a number that no transaction had before.
func (l *load) mark() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	return l.next
}

func (l *load) ack(mark int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[fmt.Sprint(mark)] = true
}

// run commits n transactions for each worker at the primary: a mark, and some rows of stock; one in fifty has hundreds.
func (l *load) run(ctx context.Context, primary *node, n int) error {
	db, err := sql.Open("mysql", primary.Address().DSN(schemaName))
	if err != nil {
		return err
	}
	defer db.Close()
	errs := make(chan error, l.workers)
	for w := range l.workers {
		rnd := rand.New(rand.NewPCG(l.seed, uint64(l.mark()*l.workers+w)))
		go func() {
			for range n {
				err := l.transaction(ctx, db, rnd, w)
				for deadlock(err) { // of gap locks; it was rolled back
					err = l.transaction(ctx, db, rnd, w)
				}
				if err != nil {
					errs <- fmt.Errorf("load at %s: %w", primary.name, err)
					return
				}
			}
			errs <- nil
		}()
	}
	for range l.workers {
		if e := <-errs; e != nil {
			err = e
		}
	}
	return err
}

func deadlock(err error) bool {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && e.Number == 1213
}

func (l *load) transaction(ctx context.Context, db *sql.DB, rnd *rand.Rand, worker int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	mark := l.mark()
	statements := []string{fmt.Sprintf("INSERT INTO mark VALUES (%d, %d)", mark, worker)}
	statements = append(statements, rows(rnd, worker)...)
	for _, s := range statements {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	l.ack(mark)
	return nil
}

// rows are statements on rows of stock that no other worker touches.
func rows(rnd *rand.Rand, worker int) []string {
	id := func() int { return worker*1000 + rnd.IntN(900) }
	if rnd.IntN(50) == 0 {
		first := worker * 1000
		var values []string
		for i := range 900 {
			values = append(values, fmt.Sprintf("(%d, %d, '%s')", first+i, rnd.IntN(100), strings.Repeat("x", 100)))
		}
		return []string{fmt.Sprintf("DELETE FROM stock WHERE id BETWEEN %d AND %d", first, first+899),
			"INSERT INTO stock (id, qty, note) VALUES " + strings.Join(values, ",")}
	}
	var out []string
	for range 1 + rnd.IntN(4) {
		switch rnd.IntN(4) {
		case 0:
			out = append(out, fmt.Sprintf("DELETE FROM stock WHERE id = %d", id()))
		case 1:
			first := id()
			out = append(out, fmt.Sprintf("UPDATE stock SET qty = qty + 1, note = 'it''s %d' WHERE id BETWEEN %d AND %d", rnd.Int(), first, first+9))
		default:
			out = append(out, fmt.Sprintf("REPLACE INTO stock (id, qty, note) VALUES (%d, %d, 'n%d')", id(), rnd.IntN(100), rnd.Int()))
		}
	}
	return out
}

// huge commits one transaction of more bytes than a relay holds, so that one that may not write stands in the middle of it.
func (l *load) huge(ctx context.Context, primary *node) error {
	mark := l.mark()
	var values []string
	for i := range 20_000 {
		values = append(values, fmt.Sprintf("(%d, %d, '%s')", 2_000_000+mark*20_000+i, i, strings.Repeat("h", 150)))
	}
	tx, err := primary.admin.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, s := range []string{"INSERT INTO shop.stock (id, qty, note) VALUES " + strings.Join(values, ","),
		fmt.Sprintf("INSERT INTO shop.mark VALUES (%d, -2)", mark)} {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: huge transaction: %w", primary.name, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	l.ack(mark)
	return nil
}

// prepare leaves an XA transaction behind, on no connection, and returns its mark.
func (l *load) prepare(ctx context.Context, primary *node, xid string) (mark int, err error) {
	db, err := sql.Open("mysql", primary.Address().DSN(schemaName))
	if err != nil {
		return 0, err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	mark = l.mark()
	for _, s := range []string{"XA START '" + xid + "'", fmt.Sprintf("INSERT INTO mark VALUES (%d, -1)", mark),
		fmt.Sprintf("INSERT INTO stock (id, qty, note) VALUES (%d, 1, 'prepared'), (%d, 2, 'prepared')", 1_000_000+2*mark, 1_000_001+2*mark),
		"XA END '" + xid + "'", "XA PREPARE '" + xid + "'"} {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			return 0, fmt.Errorf("%s: %s: %w", primary.name, s, err)
		}
	}
	return mark, nil
}

// complete commits or rolls back what was prepared, perhaps on another server.
func (l *load) complete(ctx context.Context, primary *node, verb, xid string, mark int) error {
	if err := primary.exec(ctx, fmt.Sprintf("XA %s '%s'", verb, xid)); err != nil {
		return err
	}
	if verb == "COMMIT" {
		l.ack(mark)
	}
	return nil
}
