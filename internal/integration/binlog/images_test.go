package binlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestRowImages: random statements under each binlog_row_image, also in compressed transactions and events. Each column is in an image or in
// the list of those that are absent; a before image has what the changes before it had left; and the table rebuilt from nothing but the
// images, by their keys, is the server's: an update leaves what it lacks as it was.
func TestRowImages(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		for _, image := range []string{"FULL", "NOBLOB", "MINIMAL"} {
			for _, compressed := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s,compressed=%v", image, compressed), func(t *testing.T) { testRowImages(t, kind, image, compressed) })
			}
		}
	})
}

const imageTable = "(b VARCHAR(20) CHARACTER SET latin1, note TEXT, a INT, n DECIMAL(10,2) DEFAULT 7, doc LONGTEXT, g INT GENERATED ALWAYS AS (a * 2) STORED, " +
	"bin BLOB, last TIMESTAMP(3) NULL, touched TIMESTAMP(6) NULL ON UPDATE CURRENT_TIMESTAMP(6), counted INT DEFAULT 0, PRIMARY KEY (a, b))"

func testRowImages(t *testing.T, kind servers.Kind, image string, compressed bool) {
	d := open(t, ownServer(t, kind), "images")
	d.SetMaxOpenConns(1) // session settings
	d.exec(t, "SET SESSION sql_mode = '', time_zone = '+00:00', binlog_row_image = '"+image+"'")
	switch {
	case compressed && kind == servers.MySQL:
		d.exec(t, "SET SESSION binlog_transaction_compression = 1")
	case compressed:
		d.exec(t, "SET GLOBAL log_bin_compress = 1, GLOBAL log_bin_compress_min_len = 10")
		t.Cleanup(func() { d.exec(t, "SET GLOBAL log_bin_compress = 0") })
	}
	d.exec(t, "CREATE TABLE r "+imageTable)
	d.exec(t, "CREATE TRIGGER counts BEFORE UPDATE ON r FOR EACH ROW SET NEW.counted = OLD.counted + 1")
	from := d.executed(t)
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	for i := range 300 {
		if i%20 == 0 {
			d.exec(t, "COMMIT")
			d.exec(t, "BEGIN")
		}
		statement := imageStatement(rnd, kind == servers.MySQL || image == "FULL")
		if _, err := d.Exec(statement); err != nil && !strings.Contains(err.Error(), "Duplicate") {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	d.exec(t, "COMMIT")
	txs := read(t, d.source(t, func(c *binlog.Config) { c.PartialRows = true }), from, d.executed(t))
	rows := map[string]map[string]string{}
	absent, updates := 0, 0
	for _, c := range changes(txs) {
		before, after := imageColumns(t, &c, c.Before), imageColumns(t, &c, c.After)
		if c.Absent != nil {
			absent += len(c.Absent.Before) + len(c.Absent.After)
			checkAbsent(t, &c, before, c.Absent.Before)
			checkAbsent(t, &c, after, c.Absent.After)
		} else {
			checkAbsent(t, &c, before, nil)
			checkAbsent(t, &c, after, nil)
		}
		key, old := string(c.Key), string(c.Key)
		if c.OldKey != nil {
			old = string(c.OldKey)
		}
		row := map[string]string{}
		if c.Op != cdc.Create {
			if row = rows[old]; row == nil {
				t.Fatalf("%c of %s, which is not there", c.Op, old)
			}
			for name, value := range before {
				if row[name] != value {
					t.Errorf("%s %s: before it was %s, not %s", old, name, row[name], value)
				}
			}
			delete(rows, old)
		}
		if c.Op == cdc.Delete {
			continue
		}
		if c.Op == cdc.Update {
			updates++
		}
		maps.Copy(row, after)
		if c.Op == cdc.Create { // what an insert does not say took its default
			for name, value := range map[string]string{"note": "null", "n": `"7.00"`, "doc": "null", "bin": "null", "last": "null", "touched": "null", "counted": "0"} {
				if _, ok := row[name]; !ok {
					row[name] = value
				}
			}
		}
		if want := fmt.Sprintf(`{"a":%s,"b":%s}`, row["a"], row["b"]); want != key {
			t.Errorf("the key is %s, want %s", key, want)
		}
		rows[key] = row
	}
	want := map[string]map[string]string{}
	d.exec(t, "SET SESSION time_zone = '+00:00'")
	for _, r := range d.rows(t, "SELECT a, JSON_QUOTE(CONVERT(b USING utf8mb4)), IFNULL(JSON_QUOTE(note), 'null'), IFNULL(CONCAT('\"', n, '\"'), 'null'), IFNULL(JSON_QUOTE(doc), 'null'), g, "+
		"IFNULL(CONCAT('\"', TO_BASE64(bin), '\"'), 'null'), IFNULL(CONCAT('\"', REPLACE(last, ' ', 'T'), 'Z\"'), 'null'), "+
		"IFNULL(CONCAT('\"', REPLACE(touched, ' ', 'T'), 'Z\"'), 'null'), counted FROM r") {
		row := map[string]string{"a": r[0], "b": r[1], "note": r[2], "n": r[3], "doc": r[4], "g": r[5], "bin": r[6], "last": r[7], "touched": r[8], "counted": r[9]}
		want[fmt.Sprintf(`{"a":%s,"b":%s}`, r[0], r[1])] = row
	}
	for key, row := range want {
		for name, value := range row {
			if name == "g" && rows[key]["g"] == "" && kind == servers.MariaDB && image != "FULL" {
				continue // left out of inserts
			}
			if got := rows[key][name]; got != value {
				t.Errorf("%s %s: got %.100s, want %.100s", key, name, got, value)
			}
		}
	}
	if len(rows) != len(want) || len(want) < 5 || updates < 50 {
		t.Errorf("%d rows from the stream, %d in the table, %d updates", len(rows), len(want), updates)
	}
	if (absent == 0) != (image == "FULL") {
		t.Errorf("%d columns are absent", absent)
	}
	t.Logf("%d rows, %d updates, %d absent values", len(rows), updates, absent)
}

// imageStatement makes a random change of the table. MariaDB logs a REPLACE of a row that is there as an update, and its images that are
// not FULL then lack the columns that went back to their defaults; those of INSERT … ON DUPLICATE KEY UPDATE lack what triggers set. Its own
// replicas get such rows wrong, too: over says whether to try them.
func imageStatement(rnd *rand.Rand, over bool) string {
	a, b := rnd.IntN(12), fmt.Sprintf("'k%dé'", rnd.IntN(3))
	value := func(column string) string {
		if rnd.IntN(4) == 0 {
			return column + " = NULL"
		}
		return column + " = " + map[string]string{"note": fmt.Sprintf("'note \"%d\"'", rnd.IntN(1000)), "doc": fmt.Sprintf("REPEAT('x%d', %d)", rnd.IntN(10), rnd.IntN(1000)),
			"n": fmt.Sprintf("%d.5", rnd.IntN(1000)), "bin": fmt.Sprintf("x'%02x00ff'", rnd.IntN(256)), "last": fmt.Sprintf("'2024-01-02 03:04:05.%03d'", rnd.IntN(1000))}[column]
	}
	columns := []string{"note", "doc", "n", "bin", "last"}
	rnd.Shuffle(len(columns), func(i, j int) { columns[i], columns[j] = columns[j], columns[i] })
	var set []string
	for _, c := range columns[:1+rnd.IntN(4)] {
		set = append(set, value(c))
	}
	list := strings.Join(set, ", ")
	switch n := rnd.IntN(10); {
	case n == 3 && over:
		return fmt.Sprintf("REPLACE INTO r SET a = %d, b = %s, %s", a, b, list)
	case n <= 3:
		return fmt.Sprintf("INSERT INTO r SET a = %d, b = %s, %s", a, b, list)
	case n == 4:
		return fmt.Sprintf("UPDATE IGNORE r SET b = %s WHERE a = %d", b, a)
	case n == 5:
		return fmt.Sprintf("UPDATE IGNORE r SET a = a + %d, %s WHERE b = %s ORDER BY a", 20+rnd.IntN(5), list, b)
	case n == 6:
		return fmt.Sprintf("DELETE FROM r WHERE a = %d AND b = %s", a, b)
	case n == 7 && over:
		return fmt.Sprintf("INSERT INTO r SET a = %d, b = %s ON DUPLICATE KEY UPDATE %s", a, b, list)
	}
	return fmt.Sprintf("UPDATE r SET %s WHERE a = %d", list, a)
}

func imageColumns(t *testing.T, c *cdc.Change, image []byte) map[string]string {
	t.Helper()
	if image == nil {
		return nil
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(image, &raw); err != nil {
		t.Fatalf("%s: image %q: %v", c.Key, image, err)
	}
	values := map[string]string{}
	for name, value := range raw {
		values[name] = string(value)
	}
	return values
}

// checkAbsent demands that each column is in the image or in the list, and in the table's order there.
func checkAbsent(t *testing.T, c *cdc.Change, image map[string]string, absent []string) {
	t.Helper()
	if image == nil {
		if absent != nil {
			t.Errorf("%s: no image, but %q is absent from it", c.Key, absent)
		}
		return
	}
	var lacks []string
	for _, column := range c.Table.Columns {
		if _, ok := image[column.Name]; !ok {
			lacks = append(lacks, column.Name)
		}
	}
	if !slices.Equal(lacks, absent) {
		t.Errorf("%s: the image lacks %q, the list says %q", c.Key, lacks, absent)
	}
}

// TestAbsentKey: a row whose key is in no image stops the stream.
func TestAbsentKey(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, ownServer(t, kind), "images")
		d.exec(t, "CREATE TABLE k (a INT, b INT DEFAULT 5, v INT, PRIMARY KEY (a, b))")
		from := d.executed(t)
		conn, err := d.Conn(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for _, s := range []string{"SET SESSION binlog_row_image = 'MINIMAL'", "INSERT INTO k (a, v) VALUES (1, 2)"} {
			if _, err := conn.ExecContext(context.Background(), s); err != nil {
				t.Fatal(err)
			}
		}
		stream, err := d.source(t, func(c *binlog.Config) { c.PartialRows = true }).Open(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		txs, err := readStream(t.Context(), stream, from, d.executed(t))
		if kind == servers.MariaDB && err == nil {
			if got := changes(txs); len(got) == 1 && string(got[0].Key) == `{"a":1,"b":5}` {
				return
			}
		}
		de, ok := errors.AsType[*cdc.DecodeError](err)
		if !ok || de.Table != "images.k" || de.Column != "b" || !strings.Contains(err.Error(), "Fix:") {
			t.Errorf("got %v, want a *cdc.DecodeError of column b", err)
		}
	})
}
