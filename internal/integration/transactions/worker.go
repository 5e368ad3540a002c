package transactions

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/go-sql-driver/mysql"

	"github.com/millrace-go/millrace/internal/integration/database"
	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// worker is a client with one connection, which runs one transaction after the other.
type worker struct {
	run  *run
	id   int
	rnd  *rand.Rand
	conn *sql.Conn // nil: to be made
}

// work runs transactions until there have been enough.
func (w *worker) work(ctx context.Context) error {
	defer w.hangUp()
	for !w.run.enough() {
		if err := w.connect(ctx); err != nil {
			return err
		}
		err := w.transaction(ctx)
		if err != nil && database.Lost(err) {
			w.run.interrupted.Add(1)
			w.hangUp()
			err = nil
		}
		if err != nil {
			return fmt.Errorf("client %d: %w", w.id, err)
		}
		w.run.progress.Beat()
	}
	return nil
}

func (w *worker) hangUp() {
	if w.conn != nil {
		database.Drop(w.conn)
		w.conn = nil
	}
}

// connect makes the connection if there is none, with settings of its own.
func (w *worker) connect(ctx context.Context) (err error) {
	for w.conn == nil {
		if w.conn, err = w.run.db.Connect(ctx); err != nil {
			return err
		}
		var settings []string
		if w.run.db.Kind == servers.MySQL {
			settings = append(settings, fmt.Sprintf("SET SESSION binlog_transaction_compression = %d", w.rnd.IntN(2)))
			if w.rnd.IntN(4) == 0 {
				settings = append(settings, "SET SESSION gtid_next = 'AUTOMATIC:tagged'")
			}
		} else if w.rnd.IntN(4) == 0 {
			settings = append(settings, "SET SESSION gtid_domain_id = 1")
		}
		for _, s := range settings {
			if err := w.exec(ctx, s); err != nil {
				w.hangUp()
				if !database.Lost(err) {
					return err
				}
				break
			}
		}
	}
	return nil
}

func (w *worker) exec(ctx context.Context, statement string) error {
	if _, err := w.conn.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%.60s: %w", statement, err)
	}
	return nil
}

// transaction runs one transaction of a kind that chance decides. Its error is of a connection that is lost, or something that should not happen.
func (w *worker) transaction(ctx context.Context) error {
	switch p := w.rnd.IntN(100); {
	case p < 15:
		return w.completeXA(ctx)
	case p < 40:
		return w.xa(ctx)
	case p < 50:
		return w.single(ctx)
	case p < 60:
		return w.plain(ctx)
	case p < 63:
		return w.empty(ctx)
	default:
		return w.ordinary(ctx)
	}
}

// refused tells whether the server refused a statement for a reason that may come up between concurrent transactions and schema changes. The
// transaction is given up then.
func refused(err error) bool {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		return false
	}
	switch e.Number {
	case 1205, 1213, 3058, // lock wait, deadlock
		1020, 1412, 1615, // changed since the read, table definition changed
		1146, 1054, 1136, 1051, 1050, // table or column has gone or come
		1399, 1402, 1613, 1614: // XA branch was rolled back
		return true
	}
	return false
}

func duplicate(err error) bool {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && e.Number == 1062
}

// tx is a transaction that is being made.
type tx struct {
	w     *worker
	entry *history.Entry
	n     int // statements
	slot  int // an XA transaction's own range of keys; 0: none
}

func (w *worker) begin() *tx { return &tx{w: w, entry: w.run.ledger.Begin()} }

// change executes a statement that changes rows. Two rows with one key fail the statement, which then has changed nothing.
func (t *tx) change(ctx context.Context, s statement) error {
	result, err := t.w.conn.ExecContext(ctx, s.text)
	if err != nil {
		if duplicate(err) {
			return nil
		}
		return fmt.Errorf("%.60s: %w", s.text, err)
	}
	rows, err := result.RowsAffected()
	if err != nil {
		return err
	}
	if s.upsert && rows > 1 { // 2: it was there
		rows = 1
	}
	t.entry.Changes += int(rows)
	t.entry.Marked = t.entry.Marked || rows > 0 && s.marks
	return nil
}

// changes executes some statements, with savepoints and temporary tables among them.
func (t *tx) changes(ctx context.Context) error {
	r := t.w.rnd
	if err := t.change(ctx, t.audit(1+r.IntN(3))); err != nil { // has the transaction's number in the log, also when it only deletes
		return err
	}
	for range r.IntN(5) {
		switch p := r.IntN(20); {
		case p < 3:
			if err := t.savepoint(ctx); err != nil {
				return err
			}
		case p == 3 && t.slot == 0:
			if err := t.temporary(ctx); err != nil {
				return err
			}
		case p == 4 && t.w.run.db.Kind == servers.MariaDB: // MySQL refuses the mix, for the sake of GTIDs
			if err := t.w.plain(ctx); err != nil {
				return err
			}
		default:
			if err := t.change(ctx, t.statement()); err != nil {
				return err
			}
		}
	}
	return nil
}

// savepoint changes rows, some of which are taken back again.
func (t *tx) savepoint(ctx context.Context) error {
	r, before := t.w.rnd, *t.entry
	if err := t.w.exec(ctx, "SAVEPOINT `a b`"); err != nil {
		return err
	}
	for range 1 + r.IntN(2) {
		if err := t.change(ctx, t.statement()); err != nil {
			return err
		}
		if t.w.run.db.Kind == servers.MariaDB && r.IntN(3) == 0 { // ROLLBACK TO stands in the binlog then
			if err := t.w.plain(ctx); err != nil {
				return err
			}
		}
	}
	if r.IntN(3) == 0 {
		return t.w.exec(ctx, "RELEASE SAVEPOINT `a b`")
	}
	if err := t.w.exec(ctx, "ROLLBACK TO `a b`"); err != nil {
		return err
	}
	*t.entry = before
	return nil
}

// temporary copies rows through a temporary table, whose own rows are no changes.
func (t *tx) temporary(ctx context.Context) error {
	if err := t.w.exec(ctx, "CREATE TEMPORARY TABLE scratch (id INT PRIMARY KEY)"); err != nil {
		return err
	}
	if err := t.w.exec(ctx, "INSERT INTO scratch VALUES (1), (2)"); err != nil {
		return err
	}
	t.n++
	err := t.change(ctx, statement{marks: true, text: fmt.Sprintf(
		"INSERT IGNORE INTO part SELECT id, 'scratch', %d, %d, 'copied' FROM scratch", t.entry.Number, t.n)})
	if err != nil {
		if database.Lost(err) {
			return err
		}
		return errors.Join(err, t.w.exec(ctx, "DROP TEMPORARY TABLE scratch"))
	}
	return t.w.exec(ctx, "DROP TEMPORARY TABLE scratch")
}

// giveUp rolls back a transaction of which a statement was refused.
func (t *tx) giveUp(ctx context.Context, err error) error {
	t.entry.Outcome = history.RolledBack // also if the connection is lost: it was not committed
	if !refused(err) {
		return err
	}
	return t.w.exec(ctx, "ROLLBACK")
}

// ordinary runs BEGIN, statements, and COMMIT or ROLLBACK.
func (w *worker) ordinary(ctx context.Context) error {
	t := w.begin()
	if err := w.exec(ctx, "BEGIN"); err != nil {
		t.entry.Outcome = history.RolledBack
		return err
	}
	if err := t.changes(ctx); err != nil {
		return t.giveUp(ctx, err)
	}
	if w.rnd.IntN(40) == 0 {
		if err := t.change(ctx, t.audit(1000)); err != nil {
			return t.giveUp(ctx, err)
		}
	}
	if w.rnd.IntN(5) == 0 {
		t.entry.Outcome = history.RolledBack
		return w.exec(ctx, "ROLLBACK")
	}
	if err := w.exec(ctx, "COMMIT"); err != nil {
		return err // unknown
	}
	t.entry.Outcome = history.Committed
	return nil
}

// single runs one statement without BEGIN.
func (w *worker) single(ctx context.Context) error {
	return w.begin().alone(ctx, func(t *tx) statement { return t.statement() })
}

// plain runs a statement on a table without transactions, which stays whatever becomes of the transaction around it.
func (w *worker) plain(ctx context.Context) error {
	w.run.db.Quiet.RLock()
	defer w.run.db.Quiet.RUnlock()
	t := w.begin()
	if err := t.alone(ctx, func(t *tx) statement { return t.plain() }); err != nil {
		return err
	}
	w.run.plain.Add(1)
	return nil
}

func (t *tx) alone(ctx context.Context, make func(*tx) statement) error {
	err := t.change(ctx, make(t))
	switch {
	case err == nil:
		t.entry.Outcome = history.Committed
	case refused(err):
		t.entry.Outcome, err = history.RolledBack, nil
	default:
		t.entry.Changes = -1 // unknown
	}
	return err
}

// empty runs a transaction without a change.
func (w *worker) empty(ctx context.Context) error {
	t := w.begin()
	for _, s := range []string{"BEGIN", fmt.Sprintf("UPDATE item SET n = 0 WHERE id = %d", -1-w.id), "COMMIT"} {
		if err := w.exec(ctx, s); err != nil {
			return err
		}
	}
	t.entry.Outcome = history.Committed
	return nil
}
