package snapshot

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// load changes the tables until it is told to stop.
type load struct {
	db   *database
	cfg  *Config
	stop chan struct{} // closed: end
	xas  atomic.Bool   // XA transactions, too: a log cannot begin between the XA PREPARE and the XA COMMIT of one

	transactions, rolledBack, xa, keyChanges, ddl, files atomic.Int64

	changed supervise.Pulse // the schema, perhaps
}

// enough tells whether what has happened is enough for a check to say something.
func (l *load) enough() bool {
	return l.xa.Load() >= minXA && l.rolledBack.Load() >= minRolledBack && l.ddl.Load() >= minDDL && l.files.Load() >= minFiles
}

func (l *load) stopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// client is a connection that runs one transaction after the other.
type client struct {
	*load
	id, n int
	rnd   *rand.Rand
	conn  *sql.Conn
}

// work is one client's part of the load.
func (l *load) work(ctx context.Context, id int) error {
	conn, err := l.db.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	c := &client{load: l, id: id, rnd: rand.New(rand.NewPCG(l.cfg.Seed, uint64(id))), conn: conn}
	settings := []string{"USE " + schemaName}
	if l.db.kind == servers.MySQL {
		settings = append(settings, fmt.Sprintf("SET SESSION binlog_transaction_compression = %d", id%2))
	}
	if err := c.exec(ctx, settings...); err != nil {
		return err
	}
	for !l.stopped() {
		if err := c.transaction(ctx); err != nil {
			return fmt.Errorf("client %d: %w", id, err)
		}
		l.transactions.Add(1)
		if err := l.pause(ctx, l.cfg.Pause); err != nil {
			return err
		}
	}
	return nil
}

// pause holds the load back for some time, unless it is to end.
func (l *load) pause(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	select {
	case <-time.After(d):
	case <-l.stop:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

func (c *client) exec(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if _, err := c.conn.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%.80s: %w", s, err)
		}
	}
	return nil
}

// refused tells whether err is one that comes up between concurrent transactions and schema changes: the transaction is rolled back then.
func refused(err error) bool {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		return false
	}
	switch e.Number {
	case 1205, 1213, 1020, 1412, 1615, 1146, 1054, 1062, 1136:
		return true
	}
	return false
}

func (c *client) transaction(ctx context.Context) (err error) {
	switch p := c.rnd.IntN(20); {
	case p < 9:
		err = c.exec(ctx, c.statement(c.pick(true)))
	case p < 17 || !c.xas.Load():
		err = c.several(ctx)
	default:
		return c.branch(ctx)
	}
	if refused(err) {
		return c.exec(ctx, "ROLLBACK")
	}
	return err
}

// several runs BEGIN, statements, and COMMIT or ROLLBACK.
func (c *client) several(ctx context.Context) error {
	statements := []string{"BEGIN"}
	for range 1 + c.rnd.IntN(5) {
		statements = append(statements, c.statement(c.pick(true)))
	}
	end := "COMMIT"
	if c.rnd.IntN(5) == 0 {
		end = "ROLLBACK"
		c.rolledBack.Add(1)
	}
	return c.exec(ctx, append(statements, end)...)
}

// branch runs an XA transaction, which waits a while between its XA PREPARE and its end.
func (c *client) branch(ctx context.Context) error {
	c.n++
	id := fmt.Sprintf("'%d-%d'", c.id, c.n)
	statements := []string{"XA START " + id}
	for range 1 + c.rnd.IntN(3) {
		statements = append(statements, c.statement(c.pick(false)))
	}
	if err := c.exec(ctx, statements...); err != nil {
		if !refused(err) {
			return err
		}
		err = c.exec(ctx, "XA END "+id)
		if e, ok := errors.AsType[*mysql.MySQLError](err); ok && (e.Number == 1399 || e.Number == 1613 || e.Number == 1614) { // rolled back by the server
			err = nil
		}
		if err != nil {
			return err
		}
		return c.exec(ctx, "XA ROLLBACK "+id)
	}
	if err := c.exec(ctx, "XA END "+id, "XA PREPARE "+id); err != nil {
		return err
	}
	if err := c.pause(ctx, time.Duration(c.rnd.IntN(30))*time.Millisecond); err != nil {
		return err
	}
	if c.rnd.IntN(5) == 0 {
		return c.exec(ctx, "XA ROLLBACK "+id)
	}
	c.xa.Add(1)
	return c.exec(ctx, "XA COMMIT "+id)
}

// pick chooses a table.
func (c *client) pick(ddl bool) *kind {
	for {
		n := c.rnd.IntN(100)
		for _, k := range kinds {
			if n -= k.weight; n < 0 {
				if k.ddl && !ddl {
					break
				}
				return k
			}
		}
	}
}

// statement changes rows of a table.
func (c *client) statement(k *kind) string {
	r, n := c.rnd, k.rows(c.cfg)
	row := func() []string { return k.literals(r, r.IntN(n+n/20+1)) }
	key := row()
	text := fmt.Sprintf("'%s %d'", strings.Repeat(string(rune('a'+r.IntN(26))), 1+r.IntN(30)), c.n)
	if r.IntN(20) == 0 {
		text = "NULL"
	}
	where := func(key []string) string {
		var terms []string
		for i, name := range k.key {
			terms = append(terms, name+" = "+key[i])
		}
		return strings.Join(terms, " AND ")
	}
	names := strings.Join(k.key, ", ")
	name := k.name
	if name == "wander" && r.IntN(2) == 0 {
		name = wandered
	}
	switch p := r.IntN(20); {
	case p < 4:
		var rows []string
		for range 1 + r.IntN(8)*r.IntN(2) {
			rows = append(rows, fmt.Sprintf("(%s, %s, %d)", strings.Join(row(), ", "), text, c.id))
		}
		return fmt.Sprintf("INSERT IGNORE INTO %s (%s, v, i) VALUES %s", name, names, strings.Join(rows, ", "))
	case p < 10:
		return fmt.Sprintf("UPDATE %s SET v = %s, i = i + 1 WHERE %s", name, text, where(key))
	case p < 13:
		return fmt.Sprintf("UPDATE %s SET i = i + 1 WHERE %s >= %s ORDER BY %s LIMIT %d", name, k.key[0], key[0], names, 1+r.IntN(20))
	case p < 15:
		return fmt.Sprintf("DELETE FROM %s WHERE %s", name, where(key))
	case p < 18: // one in three times, with word, only the spelling changes
		var sets []string
		to := row()
		if r.IntN(3) == 0 {
			to = key
			if k.name == "word" {
				to = []string{strings.ToUpper(key[0])}
			}
		}
		for i, name := range k.key {
			sets = append(sets, name+" = "+to[i])
		}
		c.keyChanges.Add(1)
		return fmt.Sprintf("UPDATE IGNORE %s SET %s, i = i + 1 WHERE %s", name, strings.Join(sets, ", "), where(key))
	default:
		return fmt.Sprintf("REPLACE INTO %s (%s, v, i) VALUES (%s, %s, %d)", name, names, strings.Join(key, ", "), text, c.id)
	}
}

// changeSchemas changes tables as a whole, and begins binlog files.
func (l *load) changeSchemas(ctx context.Context) error {
	conn, err := l.db.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	c := &client{load: l, rnd: rand.New(rand.NewPCG(l.cfg.Seed, 1<<40)), conn: conn}
	if err := c.exec(ctx, "USE "+schemaName, "SET SESSION lock_wait_timeout = 1"); err != nil {
		return err
	}
	away, columns := false, map[string]int{}
	for n := 0; !l.stopped(); n++ {
		statement := "FLUSH BINARY LOGS"
		switch n % 8 {
		case 1:
			statement = "TRUNCATE TABLE brief"
		case 3:
			statement = "RENAME TABLE left_one TO swap, right_one TO left_one, swap TO right_one"
		case 5:
			from, to := "wander", wandered
			if away {
				from, to = to, from
			}
			statement = "RENAME TABLE " + from + " TO " + to
		case 7:
			if k := kinds[c.rnd.IntN(len(kinds)-1)]; columns[k.name] < 3 { // not wander, whose name is not known
				statement = fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s%d INT NOT NULL DEFAULT %[3]d", k.name, addedColumn, n)
			}
		}
		err := c.exec(ctx, statement)
		switch {
		case err == nil && n%2 == 0 || err == nil && statement == "FLUSH BINARY LOGS":
			l.files.Add(1)
		case err == nil:
			l.ddl.Add(1)
			if n%8 == 5 {
				away = !away
			}
			if n%8 == 7 {
				columns[strings.Fields(statement)[2]]++
			}
		case !refused(err):
			return err
		}
		l.changed.Beat()
		if err := l.pause(ctx, l.cfg.DDLPause/2+time.Duration(c.rnd.Int64N(int64(l.cfg.DDLPause)))); err != nil {
			return err
		}
	}
	return nil
}

// refill gives the table that is truncated its rows back, so that chunks of it are worth something.
func (l *load) refill(ctx context.Context) error {
	conn, err := l.db.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	c := &client{load: l, conn: conn}
	if err := c.exec(ctx, "USE "+schemaName); err != nil {
		return err
	}
	for !l.stopped() {
		err := c.exec(ctx, fmt.Sprintf("INSERT IGNORE INTO brief (id, v, i) SELECT n, 'again', 0 FROM (%s) AS numbers", l.db.numbers(0, min(l.cfg.Hot, 900))))
		if err != nil && !refused(err) {
			return err
		}
		if err := l.pause(ctx, l.cfg.DDLPause*3); err != nil {
			return err
		}
	}
	return nil
}
