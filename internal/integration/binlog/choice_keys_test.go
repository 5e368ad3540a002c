package binlog

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestChoiceKeys: tables without a primary key under chosen keys. Every change has the key that the chosen columns make, and the records of a
// key add up to the rows the table has.
func TestChoiceKeys(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "choice_keys")
		d.exec(t, "CREATE TABLE bag (a INT, b VARCHAR(10) COLLATE utf8mb4_general_ci, c DECIMAL(6,2))")
		d.exec(t, "CREATE TABLE visit (At DATETIME(3) NOT NULL, who INT NOT NULL, page VARCHAR(20), KEY (who))")
		d.exec(t, "CREATE TABLE item (id INT PRIMARY KEY, sku VARCHAR(10) NOT NULL UNIQUE, n INT)")
		from := d.executed(t)
		rnd := rand.New(rand.NewPCG(1, 2))
		value := func(values ...string) string { return values[rnd.IntN(len(values))] }
		for range 300 {
			a, b, c := value("1", "2", "NULL"), value("'x'", "'X'", "NULL"), value("1", "2.50")
			switch rnd.IntN(6) {
			case 0, 1:
				d.exec(t, fmt.Sprintf("INSERT INTO bag VALUES (%s, %s, %s), (%[1]s, %[2]s, %[3]s)", a, b, c))
			case 2:
				d.exec(t, fmt.Sprintf("UPDATE bag SET a = %s, b = %s WHERE c = %s ORDER BY a LIMIT 2", a, b, c))
			case 3:
				d.exec(t, fmt.Sprintf("DELETE FROM bag WHERE c = %s LIMIT 1", c))
			case 4:
				d.exec(t, fmt.Sprintf("INSERT INTO visit VALUES ('2024-01-01 00:00:0%d', %d, 'p')", rnd.IntN(10), rnd.IntN(3)))
				d.exec(t, fmt.Sprintf("UPDATE visit SET page = 'q%d', who = %d WHERE who = %d LIMIT 1", rnd.IntN(10), rnd.IntN(3), rnd.IntN(3)))
			case 5:
				d.exec(t, fmt.Sprintf("REPLACE INTO item VALUES (%d, 's%d', 1)", rnd.IntN(5), rnd.IntN(5)))
				d.exec(t, fmt.Sprintf("UPDATE IGNORE item SET sku = 's%d', n = n + 1 WHERE id = %d", rnd.IntN(5), rnd.IntN(5)))
			}
		}
		keys := cdc.Keys{{Tables: "*.visit", Columns: []string{"WHO", "at"}}, {Tables: "choice_keys.item", Columns: []string{"sku"}}, {Tables: "choice_keys.*", Columns: []string{"*"}}}
		source := d.source(t, func(c *binlog.Config) { c.Keys = keys })
		if err := source.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		chosen := map[string][]string{"bag": {"a", "b", "c"}, "visit": {"who", "At"}, "item": {"sku"}}
		count := map[string]int{} // of rows, by table and image
		perKey, selected := map[string]int{}, map[string]int{}
		rekeys := 0
		for _, c := range changes(read(t, source, from, d.executed(t))) {
			table := c.Table.Name
			keyOf := func(image []byte) string {
				values, key := members(t, image), ""
				for i, name := range chosen[table] {
					key += fmt.Sprintf("%c%q:%s", "{,"[min(i, 1)], name, values[name])
				}
				return key + "}"
			}
			wantKey, wantOld := "", ""
			if c.Before != nil {
				count[table+string(c.Before)]--
				perKey[table+keyOf(c.Before)]--
				wantKey = keyOf(c.Before)
			}
			if c.After != nil {
				count[table+string(c.After)]++
				perKey[table+keyOf(c.After)]++
				if now := keyOf(c.After); c.Before != nil && now != wantKey {
					wantKey, wantOld = now, wantKey
					rekeys++
				} else {
					wantKey = now
				}
			}
			if string(c.Key) != wantKey || string(c.OldKey) != wantOld {
				t.Errorf("%c of %s: key %s was %q, want %s was %q", c.Op, table, c.Key, c.OldKey, wantKey, wantOld)
			}
			if perKey[table+wantKey] < 0 {
				t.Errorf("%c of %s: more rows of %s were deleted than there were", c.Op, table, wantKey)
			}
		}
		if rekeys == 0 {
			t.Error("no update has changed a key")
		}
		for table := range chosen {
			if err := source.Select(t.Context(), d.schema, table, "", func(key, image []byte) error {
				perKey[table+string(key)]--
				selected[table+string(image)]++
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		for key, n := range perKey {
			if n != 0 {
				t.Errorf("the stream has %d rows of %s more than Select", n, key)
			}
		}
		for row, n := range count {
			if selected[row] != n {
				t.Errorf("the stream has %d rows %s, Select %d", n, row, selected[row])
			}
		}
		for table, list := range map[string]string{
			"bag":   `CONCAT('{"a":', IFNULL(a, 'null'), ',"b":', IFNULL(CONCAT('"', b, '"'), 'null'), ',"c":', IFNULL(CONCAT('"', c, '"'), 'null'), '}')`,
			"visit": `CONCAT('{"At":"', REPLACE(CAST(At AS CHAR), ' ', 'T'), '","who":', who, ',"page":"', page, '"}')`,
			"item":  `CONCAT('{"id":', id, ',"sku":"', sku, '","n":', n, '}')`,
		} {
			for _, row := range d.rows(t, fmt.Sprintf("SELECT BINARY %s, COUNT(*) FROM %s GROUP BY 1", list, table)) {
				if fmt.Sprint(count[table+row[0]]) != row[1] {
					t.Errorf("%s has %s rows %s, the stream %d", table, row[1], row[0], count[table+row[0]])
				}
				delete(count, table+row[0])
			}
		}
		for row, n := range count {
			if n != 0 {
				t.Errorf("the stream has %d rows %s, the table none", n, row)
			}
		}
	})
}

// TestChoiceInvisibleKey: an invisible primary key is the key as any other, also the one that MySQL makes by itself.
func TestChoiceInvisibleKey(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "choice_invisible")
		d.SetMaxOpenConns(1)
		define, name := "CREATE TABLE t (a INT, my_row_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT INVISIBLE PRIMARY KEY)", `"a":5,"my_row_id":1`
		if kind == servers.MySQL {
			d.exec(t, "SET SESSION sql_generate_invisible_primary_key = ON")
			define, name = "CREATE TABLE t (a INT)", `"my_row_id":1,"a":5`
		}
		d.exec(t, define)
		from := d.executed(t)
		d.exec(t, "INSERT INTO t (a) VALUES (5)")
		d.exec(t, "DELETE FROM t")
		got := changes(read(t, d.source(t), from, d.executed(t)))
		if len(got) != 2 || string(got[0].Key) != `{"my_row_id":1}` || string(got[0].After) != "{"+name+"}" || string(got[1].Key) != `{"my_row_id":1}` {
			t.Errorf("got %d changes, the first %s %s", len(got), got[0].Key, got[0].After)
		}
	})
}
