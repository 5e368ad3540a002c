package load

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// transaction is what is about to be committed, or rolled back.
type transaction struct {
	statements []statement
	rollback   bool
	// A product that the transaction gives a new updated_at, if any: by these the change is recognised in the log.
	product, catalog uint64
	updatedAt        string
}

type statement struct {
	query string
	args  []any
}

func (t *transaction) exec(query string, args ...any) {
	t.statements = append(t.statements, statement{query, args})
}

// touch returns the updated_at for a product that the transaction changes.
func (t *transaction) touch(p *product) string {
	if t.updatedAt == "" {
		t.updatedAt = time.Now().UTC().Format("2006-01-02 15:04:05.000000")
	}
	if t.product == 0 {
		t.product, t.catalog = p.id, p.category.catalog.id
	}
	return t.updatedAt
}

// in returns "(?,?,?)" and the ids as arguments after the given ones.
func in[T any](ids []T, args ...any) (string, []any) {
	for _, id := range ids {
		args = append(args, id)
	}
	return "(?" + strings.Repeat(",?", len(ids)-1) + ")", args
}

// run executes the transaction, again if the server chose it as the victim of a deadlock. It returns the number of changed rows, and
// when the commit returned.
func (t *transaction) run(ctx context.Context, conn *sql.Conn) (rows int, committed time.Time, err error) {
	for {
		rows, committed, err = t.try(ctx, conn)
		if e, ok := errors.AsType[*mysql.MySQLError](err); ok && (e.Number == deadlock || e.Number == lockTimeout) {
			continue
		}
		return rows, committed, err
	}
}

// The server's numbers for errors after which a transaction is repeated.
const (
	deadlock    = 1213
	lockTimeout = 1205
)

func (t *transaction) try(ctx context.Context, conn *sql.Conn) (rows int, committed time.Time, err error) {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return 0, time.Time{}, err
	}
	defer func() { _ = tx.Rollback() }() // no effect after Commit
	for _, s := range t.statements {
		result, err := tx.ExecContext(ctx, s.query, s.args...)
		if err != nil {
			return 0, time.Time{}, err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return 0, time.Time{}, err
		}
		rows += int(n)
	}
	if t.rollback {
		return 0, time.Now(), tx.Rollback()
	}
	if err := tx.Commit(); err != nil {
		return 0, time.Time{}, err
	}
	return rows, time.Now(), nil
}
