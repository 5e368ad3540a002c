package binlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// mixedTables are the tables of TestMixedTransactions, with their engines. MySQL with enforce_gtid_consistency refuses most mixes.
var mixedTables = map[string]string{"one": "InnoDB", "two": "InnoDB", "my": "MyISAM", "heap": "MEMORY", "log": "MyISAM"}

// TestMixedTransactions: transactions with savepoints that are rolled back to, with tables that know no transactions written in
// between, directly, by a trigger, or together with others by one statement; with temporary tables, after which MariaDB writes into
// its binlog what it should not have; with statements that fail half-way, and that commit implicitly. Whatever the binlog has of
// that, each change fits what those before it have left, and in the end there is what the server has. Slices and memory change
// nothing of it, also not the rows' numbers.
func TestMixedTransactions(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, ownServer(t, kind), "mixed")
		for table, engine := range mixedTables {
			if table == "my" && kind == servers.MariaDB {
				engine = "Aria TRANSACTIONAL=0"
			}
			d.exec(t, fmt.Sprintf("CREATE TABLE %s (id INT PRIMARY KEY AUTO_INCREMENT, v INT NOT NULL, text VARCHAR(200)) ENGINE=%s", table, engine))
		}
		d.exec(t, "CREATE UNIQUE INDEX v ON two (v)")
		if kind == servers.MariaDB {
			d.exec(t, "CREATE TRIGGER noted AFTER INSERT ON two FOR EACH ROW INSERT INTO log (v) VALUES (NEW.id)")
		}
		from := d.executed(t)
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		m := &mixer{rnd: rand.New(rand.NewPCG(seed, 0)), did: map[string]int{}}
		for range 4 {
			conn, err := d.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for range 60 {
				if err := m.transaction(t.Context(), conn); err != nil {
					t.Fatal(err)
				}
			}
			conn.Close() // and with it its temporary tables
		}
		until := d.executed(t)
		edits := []func(*binlog.Config){
			func(*binlog.Config) {},
			func(c *binlog.Config) { c.MaxSliceBytes, c.SpillBytes = 500, 1 },
			func(c *binlog.Config) { c.SpillBytes = 2000 },
		}
		var first string
		for i, edit := range edits {
			txs := read(t, d.source(t, edit), from, until)
			if i > 0 {
				if got := numbered(txs); got != first {
					t.Errorf("with other bounds the stream gives something else (%d)", i)
				}
				continue
			}
			first = numbered(txs)
			model := map[string]map[string]string{}
			for _, c := range changes(txs) {
				if model[c.Table.Name] == nil {
					model[c.Table.Name] = map[string]string{}
				}
				apply(t, model[c.Table.Name], &c)
			}
			for table := range mixedTables {
				var got, want []string
				for _, image := range model[table] {
					got = append(got, image)
				}
				for _, row := range d.rows(t, "SELECT CONCAT('{\"id\":', id, ',\"v\":', v, ',\"text\":', IFNULL(CONCAT('\"', text, '\"'), 'null'), '}') FROM "+table) {
					want = append(want, row[0])
				}
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("%s: from the stream %v, in the table %v", table, got, want)
				}
			}
			t.Logf("%d transactions, %d changes; of the statements %v", len(txs), len(changes(txs)), m.did)
		}
		if kind == servers.MariaDB {
			if n := d.logged(t, from, "ROLLBACK TO "); n < 5 {
				t.Errorf("only %d ROLLBACK TO in the binlog", n)
			}
			if n := d.logged(t, from, "ROLLBACK"); n < 5 {
				t.Errorf("only %d ROLLBACK in the binlog", n)
			}
		}
	})
}

// logged counts the statements in the binlog that begin with text and go on with a name, or end.
func (d *database) logged(t *testing.T, from cdc.Position, text string) int {
	t.Helper()
	n := 0
	for _, file := range d.logs(t) {
		if file < from.File {
			continue
		}
		for _, row := range d.rows(t, "SHOW BINLOG EVENTS IN '"+file+"'") {
			if row[2] == "Query" && (row[5] == text || strings.HasPrefix(row[5], text+"`")) {
				n++
			}
		}
	}
	return n
}

// numbered writes down everything that must not depend on the bounds.
func numbered(txs []transaction) string {
	var b strings.Builder
	for _, tx := range txs {
		fmt.Fprintln(&b, tx.id, tx.time)
		for _, c := range tx.changes {
			fmt.Fprintf(&b, "%d %c %s %s %s %s\n", c.Row, c.Op, c.Table, c.Key, c.Before, c.After)
		}
	}
	return b.String()
}

// mixer runs statements at random. Most may fail, as a client's do.
type mixer struct {
	rnd  *rand.Rand
	next int
	did  map[string]int
}

func (m *mixer) exec(ctx context.Context, conn *sql.Conn, statement string) error {
	_, err := conn.ExecContext(ctx, statement)
	if _, refused := errors.AsType[*mysql.MySQLError](err); err != nil && !refused {
		return fmt.Errorf("%s: %w", statement, err)
	}
	if err == nil {
		words := strings.Fields(statement)
		m.did[strings.Join(words[:min(len(words), 2)], " ")]++
	}
	return nil
}

func (m *mixer) transaction(ctx context.Context, conn *sql.Conn) error {
	statements := []string{}
	autocommit := m.rnd.IntN(6) == 0
	if !autocommit {
		statements = append(statements, "BEGIN")
	}
	savepoints := []string{"s", "S", "`t``u`"}
	inserts := func(table string) string {
		var rows []string
		for range 1 + m.rnd.IntN(4) {
			m.next++
			id := m.next
			if m.rnd.IntN(12) == 0 {
				id = 1 + m.rnd.IntN(m.next) // likely there already
			}
			rows = append(rows, fmt.Sprintf("(%d, %d, REPEAT('x', %d))", id, m.next*10+m.rnd.IntN(10), m.rnd.IntN(200)))
		}
		return fmt.Sprintf("INSERT INTO %s VALUES %s", table, strings.Join(rows, ", "))
	}
	for range 1 + m.rnd.IntN(14) {
		m.next++
		low := m.rnd.IntN(m.next)
		statements = append(statements, []string{
			inserts("one"), inserts("one"), inserts("two"), inserts("my"), inserts("heap"),
			fmt.Sprintf("UPDATE one SET v = v + 1 WHERE id BETWEEN %d AND %d", low, low+30),
			fmt.Sprintf("UPDATE two SET v = v + 1 WHERE id BETWEEN %d AND %d", low, low+30), // may meet another
			fmt.Sprintf("DELETE FROM my WHERE id BETWEEN %d AND %d", low, low+10),
			fmt.Sprintf("DELETE FROM one WHERE id BETWEEN %d AND %d", low, low+10),
			fmt.Sprintf("UPDATE one, my SET one.v = one.v + 5, my.v = my.v + 5 WHERE my.id BETWEEN one.id - 20 AND one.id + 20 AND one.id < %d", low),
			fmt.Sprintf("UPDATE my, two SET two.v = two.v + 7, my.v = my.v + 7 WHERE my.id BETWEEN two.id - 9 AND two.id + 9 AND two.id < %d", low),
			fmt.Sprintf("REPLACE INTO one SELECT id, v, 'from my' FROM my WHERE id < %d", low/4),
			fmt.Sprintf("INSERT IGNORE INTO heap SELECT id, v, text FROM one WHERE id BETWEEN %d AND %d", low, low+5),
			fmt.Sprintf("CREATE TEMPORARY TABLE t%d (id INT PRIMARY KEY) ENGINE=%s", m.next, []string{"InnoDB", "MyISAM"}[m.rnd.IntN(2)]),
			fmt.Sprintf("CREATE TEMPORARY TABLE t%d SELECT * FROM one WHERE id < 20", m.next),
			fmt.Sprintf("DROP TEMPORARY TABLE IF EXISTS t%d", m.next-m.rnd.IntN(10)),
			fmt.Sprintf("CREATE TABLE made%d (PRIMARY KEY (id)) SELECT id, v FROM one WHERE id < %d", m.next, m.rnd.IntN(60)), // commits what is before it
			"RELEASE SAVEPOINT " + savepoints[m.rnd.IntN(3)],
		}[m.rnd.IntN(18)])
		switch m.rnd.IntN(6) {
		case 0:
			statements = append(statements, "SAVEPOINT "+savepoints[m.rnd.IntN(3)])
		case 1:
			statements = append(statements, "ROLLBACK TO SAVEPOINT "+savepoints[m.rnd.IntN(3)])
		}
	}
	if !autocommit {
		statements = append(statements, []string{"COMMIT", "ROLLBACK"}[m.rnd.IntN(2)])
	}
	for _, s := range statements {
		if err := m.exec(ctx, conn, s); err != nil {
			return err
		}
	}
	return nil
}
