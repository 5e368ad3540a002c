package exactlyonce

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

	"github.com/millrace-go/millrace/internal/integration/database"
	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// The transactions while much is to be committed soon.
const (
	wideRows  = 100
	wideBytes = 3500
)

// rowsPerTransaction is about how many rows a transaction changes on average.
const rowsPerTransaction = 24

// schema is the database of the load.
const schema = "work"

// definitions make the tables that are there from the beginning.
func definitions() []string {
	return []string{
		"CREATE DATABASE " + schema,
		"CREATE TABLE work.item (" + one + ")",
		"CREATE TABLE work.part (a INT, b VARCHAR(20), tx BIGINT NOT NULL, n INT NOT NULL, v VARCHAR(300) NOT NULL, PRIMARY KEY (a, b))",
		"CREATE TABLE work.wide (i BIGINT, k INT, tx BIGINT NOT NULL, n INT NOT NULL, v VARCHAR(4000) NOT NULL, PRIMARY KEY (i, k))",
		"CREATE TABLE work.audit (i BIGINT, k INT, tx BIGINT NOT NULL, n INT NOT NULL, v VARCHAR(300) NOT NULL, PRIMARY KEY (i, k))",
	}
}

const one = "id INT PRIMARY KEY, tx BIGINT NOT NULL, n INT NOT NULL, v VARCHAR(300) NOT NULL"

// load is some clients that commit transactions, as many as they are allowed to.
type load struct {
	db      *database.Database
	seed    uint64
	ledger  *history.Ledger
	changed supervise.Pulse // a transaction has ended, or more are allowed

	allowed     atomic.Uint64
	rows        atomic.Int64
	interrupted atomic.Int64
	done        atomic.Bool
	wide        atomic.Bool // the transactions are of wideRows rows, of wideBytes each

	mu     sync.Mutex
	tables map[string]history.Table
	fresh  []string // tables without a row yet
}

func newLoad(db *database.Database, seed uint64) *load {
	return &load{db: db, seed: seed, ledger: history.NewLedger(), tables: map[string]history.Table{
		"item": {Key: 1, Number: 1, Fixed: 4}, "part": {Key: 2, Number: 2, Fixed: 5}, "audit": {Key: 2, Number: 2, Fixed: 5}, "wide": {Key: 2, Number: 2, Fixed: 4},
	}}
}

// allow lets the clients begin so many transactions more.
func (l *load) allow(n int) {
	l.allowed.Add(uint64(n))
	l.changed.Beat()
}

// end makes the clients stop behind what they have in hand.
func (l *load) end() {
	l.done.Store(true)
	l.changed.Beat()
}

// freshTable makes a table whose first row is still to come.
func (l *load) freshTable(ctx context.Context) error {
	l.mu.Lock()
	name := fmt.Sprintf("fresh_%d", len(l.tables))
	l.mu.Unlock()
	if _, err := l.db.Pool.ExecContext(ctx, "CREATE TABLE "+schema+"."+name+" ("+one+")"); err != nil {
		return err
	}
	l.mu.Lock()
	l.tables[name] = history.Table{Key: 1, Number: 1, Fixed: 4}
	l.fresh = append(l.fresh, name)
	l.mu.Unlock()
	return nil
}

// takeFresh returns a table without rows, empty when there is none.
func (l *load) takeFresh() (name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.fresh) > 0 {
		name, l.fresh = l.fresh[0], l.fresh[1:]
	}
	return name
}

// client is one connection.
type client struct {
	*load
	rnd  *rand.Rand
	conn *sql.Conn // nil: to be made
}

// work commits transactions until the load is to end.
func (l *load) work(ctx context.Context, id int) error {
	c := &client{load: l, rnd: rand.New(rand.NewPCG(l.seed, uint64(id)))}
	defer c.hangUp()
	for {
		next := l.changed.Next()
		switch {
		case l.done.Load():
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case l.ledger.Started() >= l.allowed.Load():
			select {
			case <-next:
			case <-ctx.Done():
			}
			continue
		}
		if c.conn == nil {
			var err error
			if c.conn, err = l.db.Connect(ctx); err != nil {
				return err
			}
		}
		err := c.transaction(ctx)
		l.changed.Beat()
		if err != nil && database.Lost(err) {
			l.interrupted.Add(1)
			c.hangUp()
		} else if err != nil {
			return fmt.Errorf("client %d: %w", id, err)
		}
	}
}

func (c *client) hangUp() {
	if c.conn != nil {
		database.Drop(c.conn)
		c.conn = nil
	}
}

// tx is a transaction that is being made.
type tx struct {
	*client
	entry *history.Entry
	n     int // statements
}

// transaction runs one transaction: most have some rows, one of 200 has 1,500.
func (c *client) transaction(ctx context.Context) error {
	t := &tx{client: c, entry: c.ledger.Begin()}
	t.entry.Outcome = history.RolledBack // until it is committed
	if err := t.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	err := t.statements(ctx)
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok && (e.Number == 1205 || e.Number == 1213) { // lock wait, deadlock
		return t.exec(ctx, "ROLLBACK")
	}
	if err != nil {
		return err
	}
	if c.rnd.IntN(12) == 0 {
		return t.exec(ctx, "ROLLBACK")
	}
	t.entry.Outcome = history.Unknown
	if err := t.exec(ctx, "COMMIT"); err != nil {
		return err
	}
	t.entry.Outcome = history.Committed
	t.rows.Add(int64(t.entry.Changes))
	return nil
}

func (t *tx) exec(ctx context.Context, statement string) error {
	if _, err := t.conn.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%.60s: %w", statement, err)
	}
	return nil
}

func (t *tx) statements(ctx context.Context) error {
	if name := t.takeFresh(); name != "" {
		if err := t.change(ctx, "INSERT INTO "+name+" VALUES "+t.values(3, t.text(), func(k int) string { return fmt.Sprint(k) }), true); err != nil {
			return err
		}
	}
	if t.wide.Load() {
		key := func(k int) string { return fmt.Sprintf("%d, %d", t.entry.Number, k) }
		return t.change(ctx, "INSERT INTO wide VALUES "+t.values(wideRows, strings.Repeat("x", wideBytes), key), true)
	}
	rows, text := 1+t.rnd.IntN(12), t.text()
	if t.rnd.IntN(200) == 0 {
		rows, text = 1500, strings.Repeat("x", 120)
	}
	audit := func(k int) string { return fmt.Sprintf("%d, %d", t.entry.Number, k) }
	if err := t.change(ctx, "INSERT INTO audit VALUES "+t.values(rows, text, audit), true); err != nil {
		return err
	}
	for range t.rnd.IntN(4) {
		if err := t.statement(ctx); err != nil {
			return err
		}
	}
	return nil
}

// keys that all clients change.
const keys = 400

// statement changes rows that others change, too.
func (t *tx) statement(ctx context.Context) error {
	id, text := t.rnd.IntN(keys), t.text()
	set := func() string {
		t.n++
		return fmt.Sprintf("tx = %d, n = %d", t.entry.Number, t.n)
	}
	switch t.rnd.IntN(8) {
	case 0, 1:
		return t.change(ctx, "INSERT IGNORE INTO item VALUES "+t.values(1+t.rnd.IntN(12), text, func(int) string { return fmt.Sprint(t.rnd.IntN(keys)) }), true)
	case 2:
		return t.change(ctx, "INSERT IGNORE INTO part VALUES "+t.values(1+t.rnd.IntN(12), text, func(int) string {
			return fmt.Sprintf("%d, '%c'", t.rnd.IntN(keys), 'a'+t.rnd.IntN(3))
		}), true)
	case 3:
		return t.change(ctx, fmt.Sprintf("UPDATE item SET %s, v = '%s' WHERE id BETWEEN %d AND %d", set(), text, id, id+20), true)
	case 4: // changes the key
		return t.change(ctx, fmt.Sprintf("UPDATE IGNORE item SET %s, id = %d WHERE id = %d", set(), t.rnd.IntN(keys), id), true)
	case 5:
		return t.change(ctx, fmt.Sprintf("UPDATE part SET %s, v = '%s' WHERE a BETWEEN %d AND %d", set(), text, id, id+12), true)
	case 6:
		return t.change(ctx, fmt.Sprintf("DELETE FROM item WHERE id BETWEEN %d AND %d", id, id+4), false)
	default:
		return t.change(ctx, fmt.Sprintf("DELETE FROM part WHERE a = %d", id), false)
	}
}

func (t *tx) text() string { return strings.Repeat(string(rune('a'+t.rnd.IntN(26))), 1+t.rnd.IntN(40)) }

// values are rows for an INSERT.
func (t *tx) values(rows int, text string, key func(k int) string) string {
	t.n++
	var b strings.Builder
	for k := range rows {
		if k > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "(%s, %d, %d, '%s')", key(k), t.entry.Number, t.n, text)
	}
	return b.String()
}

// change executes a statement and counts its rows.
func (t *tx) change(ctx context.Context, text string, marks bool) error {
	result, err := t.conn.ExecContext(ctx, text)
	if err != nil {
		return fmt.Errorf("%.60s: %w", text, err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return err
	}
	t.entry.Changes += int(n)
	t.entry.Marked = t.entry.Marked || marks && n > 0
	return nil
}
