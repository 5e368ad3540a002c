package binlog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestModel: several connections change tables at random, with rollbacks, savepoints, key changes, multi-table statements and an
// ALTER in the middle. The tables rebuilt from the stream, change by change, are those of the server; each before image is what the
// changes before it had left.
func TestModel(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "model")
		d.exec(t, "CREATE TABLE one (id INT PRIMARY KEY, v VARCHAR(50), n INT NOT NULL)")
		d.exec(t, "CREATE TABLE two (a INT, b VARCHAR(20) COLLATE utf8mb4_bin, v DECIMAL(10,2), PRIMARY KEY (b, a))")
		from := d.executed(t)
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		var group sync.WaitGroup
		failures := make(chan error, 5)
		for worker := range 4 {
			group.Go(func() { failures <- d.churn(rand.New(rand.NewPCG(seed, uint64(worker))), 150) })
		}
		group.Go(func() {
			_, err := d.Exec("ALTER TABLE one ADD COLUMN extra VARCHAR(10) NOT NULL DEFAULT 'new'")
			failures <- err
		})
		group.Wait()
		close(failures)
		for err := range failures {
			if err != nil {
				t.Fatal(err)
			}
		}
		until := d.executed(t)
		model := map[string]map[string]string{"one": {}, "two": {}}
		txs := read(t, d.source(t), from, until)
		n := 0
		for _, tx := range txs {
			last := -1
			for _, c := range tx.changes {
				if int(c.Row) != last+1 {
					t.Fatalf("%s: row %d follows %d", tx.id, c.Row, last)
				}
				last = int(c.Row)
				n++
				apply(t, model[c.Table.Name], &c)
			}
		}
		for table, rows := range model {
			want := d.tableRows(t, table)
			if len(rows) != len(want) {
				t.Errorf("%s: %d rows from the stream, %d in the table", table, len(rows), len(want))
			}
			for _, image := range rows {
				if fields := textFields(t, image); !want[fields] {
					t.Errorf("%s: %s is not in the table", table, fields)
				}
			}
		}
		t.Logf("%d transactions, %d changes", len(txs), n)
		if n < 300 {
			t.Errorf("only %d changes", n)
		}
	})
}

func apply(t *testing.T, rows map[string]string, c *cdc.Change) {
	t.Helper()
	key, old := string(c.Key), string(c.Key)
	if c.OldKey != nil {
		old = string(c.OldKey)
	}
	before, exists := rows[old]
	switch c.Op {
	case cdc.Create:
		if exists {
			t.Errorf("%s %s is created twice", c.Table, key)
		}
	default:
		if !exists || before != string(c.Before) && !strings.Contains(string(c.Before), `"extra":"new"`) { // ALTER fills rows without events
			t.Errorf("%s %s: before image %s, want %s", c.Table, key, c.Before, before)
		}
		delete(rows, old)
	}
	if c.Op != cdc.Delete {
		rows[key] = string(c.After)
	}
}

// churn runs n random transactions.
func (d *database) churn(rnd *rand.Rand, n int) error {
	ctx := context.Background()
	conn, err := d.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for range n {
		if err := churnOnce(ctx, conn, rnd); err != nil {
			if e, ok := errors.AsType[*mysql.MySQLError](err); !ok || e.Number != 1213 && e.Number != 1205 && e.Number != 1062 && e.Number != 1020 && e.Number != 1412 {
				return err
			}
			if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil { // deadlock, duplicate, changed table
				return err
			}
		}
	}
	return nil
}

func churnOnce(ctx context.Context, conn *sql.Conn, rnd *rand.Rand) error {
	statements := []string{"BEGIN"}
	for range 1 + rnd.IntN(6) {
		id, other, text := rnd.IntN(60), rnd.IntN(60), fmt.Sprintf("'%c%d'", 'a'+rnd.IntN(4), rnd.IntN(30))
		statements = append(statements, []string{
			fmt.Sprintf("INSERT INTO one (id, v, n) VALUES (%d, %s, %d)", id, text, other),
			fmt.Sprintf("REPLACE INTO one (id, v, n) VALUES (%d, NULL, %d)", id, other),
			fmt.Sprintf("INSERT INTO one (id, v, n) VALUES (%d, %s, 0) ON DUPLICATE KEY UPDATE n = n + 1", id, text),
			fmt.Sprintf("UPDATE one SET v = %s, n = n + 1 WHERE id BETWEEN %d AND %d", text, id, id+5),
			fmt.Sprintf("UPDATE one SET id = %d WHERE id = %d", other+100, id),
			fmt.Sprintf("DELETE FROM one WHERE id = %d", id),
			fmt.Sprintf("INSERT IGNORE INTO two VALUES (%d, %s, %d.%d)", id, text, other, rnd.IntN(100)),
			fmt.Sprintf("UPDATE IGNORE two SET b = UPPER(b) WHERE a = %d", id),
			fmt.Sprintf("UPDATE one, two SET one.n = one.n + 1, two.v = two.v + 0.5 WHERE one.id = two.a AND one.id < %d", id/2),
			fmt.Sprintf("DELETE FROM two WHERE a %% 7 = %d", id%7),
			"SAVEPOINT s", "SAVEPOINT s",
			"ROLLBACK TO s",
		}[rnd.IntN(13)])
	}
	statements = append(statements, []string{"COMMIT", "COMMIT", "COMMIT", "ROLLBACK"}[rnd.IntN(4)])
	for _, s := range statements {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			if e, ok := errors.AsType[*mysql.MySQLError](err); ok && e.Number == 1305 { // no such savepoint
				continue
			}
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// tableRows is a table's rows as text, in the form of textFields.
func (d *database) tableRows(t *testing.T, table string) map[string]bool {
	t.Helper()
	rows := map[string]bool{}
	columns := "id, v, n, extra"
	if table == "two" {
		columns = "a, b, v"
	}
	for _, row := range d.rows(t, "SELECT "+columns+" FROM "+table) {
		rows[strings.Join(row, "|")] = true
	}
	return rows
}

// textFields is an image's values in the columns' order; NULL is nothing. A row that was there before the column came has its default.
func textFields(t *testing.T, image string) string {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(image))
	dec.UseNumber()
	var values []string
	for depth := 0; ; depth++ {
		token, err := dec.Token()
		if err != nil {
			break
		}
		if depth == 0 || token == json.Delim('}') || depth%2 == 1 {
			continue
		}
		if token == nil {
			token = ""
		}
		values = append(values, fmt.Sprint(token))
	}
	if strings.HasPrefix(image, `{"id"`) && len(values) == 3 {
		values = append(values, "new")
	}
	return strings.Join(values, "|")
}
