package binlog

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestValues: every type with its edges and random values, by insert, update and delete, compared byte for byte with what the
// server's own SELECT says, also through compressed binlogs.
func TestValues(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		for _, compressed := range []bool{false, true} {
			name := "plain"
			if compressed {
				name = "compressed"
			}
			t.Run(name, func(t *testing.T) { testValues(t, kind, compressed) })
		}
	})
}

func testValues(t *testing.T, kind servers.Kind, compressed bool) {
	addr := servers.Find(t, kind)
	if compressed {
		addr = ownServer(t, kind)
	}
	d := open(t, addr, "allvalues")
	d.SetMaxOpenConns(1) // session settings
	mode := "SET SESSION sql_mode = '', time_zone = '+00:00'"
	if compressed && kind == servers.MySQL {
		mode += ", binlog_transaction_compression = 1"
	}
	d.exec(t, mode)
	if compressed && kind == servers.MariaDB {
		d.exec(t, "SET GLOBAL log_bin_compress = 1, GLOBAL log_bin_compress_min_len = 10")
		t.Cleanup(func() { d.exec(t, "SET GLOBAL log_bin_compress = 0") })
	}
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	cases := 0
	var tables []*valueTable
	from := d.executed(t)
	for i, c := range columns() {
		if !c.on(kind) {
			continue
		}
		c.values = append(c.values, randomValues(rnd, c.define)...)
		tables = append(tables, d.fillTable(t, fmt.Sprintf("t%d", i), c))
	}
	until := d.executed(t)
	if compressed {
		events := d.rows(t, fmt.Sprintf("SHOW BINLOG EVENTS IN '%s' FROM %d LIMIT 100", from.File, from.Offset))
		if !slices.ContainsFunc(events, func(row []string) bool {
			return row[2] == "Transaction_payload" || strings.Contains(strings.ToLower(row[2]), "rows_compressed")
		}) {
			t.Fatalf("nothing is compressed: %v", events)
		}
	}
	byTable := map[string][]cdc.Change{}
	for _, c := range changes(read(t, d.source(t), from, until)) {
		byTable[c.Table.Name] = append(byTable[c.Table.Name], c)
	}
	for _, table := range tables {
		cases += table.compare(t, byTable[table.name])
	}
	t.Logf("cases %d", cases)
	if cases < 2000 {
		t.Errorf("only %d cases", cases)
	}
}

// valueTable is a table with one column to look at, and what the server says of each value of it.
type valueTable struct {
	name  string
	col   column
	want  map[string]string // by id
	after map[string]string // by id, after the update
}

// fillTable inserts, updates and deletes, and asks the server in between.
func (d *database) fillTable(t *testing.T, name string, c column) *valueTable {
	t.Helper()
	vt := &valueTable{name: name, col: c}
	d.exec(t, fmt.Sprintf("CREATE TABLE %s (id INT PRIMARY KEY, v %s, note VARCHAR(10))", name, c.define))
	d.exec(t, "BEGIN")
	generated := strings.Contains(c.define, "GENERATED")
	values := c.values
	if generated {
		values = []string{"", "", ""}
	}
	for id, v := range values {
		if generated {
			d.exec(t, fmt.Sprintf("INSERT INTO %s (id) VALUES (%d)", name, id))
		} else {
			d.exec(t, fmt.Sprintf("INSERT INTO %s (id, v) VALUES (%d, %s)", name, id, v))
		}
	}
	vt.want = d.ask(t, vt)
	// The values move up by one row, and the last becomes NULL.
	for id := range values {
		set := ", v = NULL"
		if generated {
			set = ""
		} else if id+1 < len(values) {
			set = ", v = " + values[id+1]
		}
		d.exec(t, fmt.Sprintf("UPDATE %s SET note = 'u'%s WHERE id = %d", name, set, id))
	}
	vt.after = d.ask(t, vt)
	d.exec(t, "DELETE FROM "+name)
	d.exec(t, "COMMIT")
	return vt
}

func (d *database) ask(t *testing.T, vt *valueTable) map[string]string {
	t.Helper()
	expression := fmt.Sprintf(vt.col.oracle.expression, "v")
	out := map[string]string{}
	for _, row := range d.rows(t, fmt.Sprintf("SELECT id, v IS NULL, %s FROM %s", expression, vt.name)) {
		if out[row[0]] = "null"; row[1] == "0" {
			out[row[0]] = vt.col.oracle.json(row[2])
		}
	}
	return out
}

// compare returns how many values it compared.
func (vt *valueTable) compare(t *testing.T, got []cdc.Change) int {
	t.Helper()
	cases := 0
	check := func(op string, image []byte, want map[string]string) {
		t.Helper()
		var row struct {
			ID json.Number
			V  json.RawMessage
		}
		if err := json.Unmarshal(image, &row); err != nil {
			t.Errorf("%s: %s: image %.200q: %v", vt.col.define, op, image, err)
			return
		}
		cases++
		have, should := string(row.V), want[row.ID.String()]
		if have == should || vt.col.oracle.same != nil && should != "null" && vt.col.oracle.same(have, should) {
			return
		}
		t.Errorf("%s: %s of row %s: got %.300s, want %.300s", vt.col.define, op, row.ID, have, should)
	}
	for _, c := range got {
		switch c.Op {
		case cdc.Create:
			check("insert", c.After, vt.want)
		case cdc.Update:
			check("update before", c.Before, vt.want)
			check("update after", c.After, vt.after)
		case cdc.Delete:
			check("delete", c.Before, vt.after)
		}
	}
	if want := 3 * len(vt.want); len(got) < 2*len(vt.want) || len(got) > want {
		t.Errorf("%s: %d changes for %d rows", vt.col.define, len(got), len(vt.want))
	}
	return cases
}

// randomValues makes values for the types whose edges are not all there is.
func randomValues(rnd *rand.Rand, define string) []string {
	var out []string
	for range 20 {
		switch word, _, _ := strings.Cut(define, "("); word {
		case "DOUBLE":
			out = append(out, fmt.Sprintf("%g", rnd.NormFloat64()*pow10(rnd.IntN(600)-300)))
		case "FLOAT":
			out = append(out, fmt.Sprintf("%g", float32(rnd.NormFloat64()*pow10(rnd.IntN(70)-35))))
		case "DECIMAL":
			out = append(out, fmt.Sprintf("%d.%d", rnd.IntN(1000), rnd.IntN(1e9)), fmt.Sprintf("-0.%030d", rnd.Uint64()))
		case "TIME":
			out = append(out, fmt.Sprintf("'%s%d:%02d:%02d.%06d'", []string{"", "-"}[rnd.IntN(2)], rnd.IntN(838), rnd.IntN(60), rnd.IntN(60), rnd.IntN(1e6)))
		case "DATETIME":
			out = append(out, fmt.Sprintf("'%04d-%02d-%02d %02d:%02d:%02d.%06d'", rnd.IntN(10000), rnd.IntN(13), rnd.IntN(29), rnd.IntN(24), rnd.IntN(60), rnd.IntN(60), rnd.IntN(999999)))
		case "TIMESTAMP":
			out = append(out, fmt.Sprintf("FROM_UNIXTIME(%d.%06d)", 1+rnd.IntN(1<<31-2), rnd.IntN(1e6)))
		case "BIGINT", "BIGINT UNSIGNED", "INT", "MEDIUMINT", "SMALLINT":
			out = append(out, fmt.Sprint(rnd.Uint64()>>rnd.IntN(64)>>1))
		case "JSON":
			out = append(out, "'"+randomJSON(rnd, 4)+"'", fmt.Sprintf("'%g'", rnd.NormFloat64()*pow10(rnd.IntN(60)-30)))
		case "VARCHAR", "TEXT":
			var text []rune
			for range rnd.IntN(64) {
				text = append(text, []rune("aZ09 éß€漢😀\"/\n\t")[rnd.IntN(14)])
			}
			out = append(out, "'"+string(text)+"'")
		case "VARBINARY", "BLOB":
			out = append(out, fmt.Sprintf("UNHEX('%x')", rnd.Uint64()|1<<60))
		}
	}
	return out
}

func pow10(e int) float64 {
	f := 1.0
	for ; e > 0; e-- {
		f *= 10
	}
	for ; e < 0; e++ {
		f /= 10
	}
	return f
}

func randomJSON(rnd *rand.Rand, depth int) string {
	switch n := rnd.IntN(9); {
	case n < 2 && depth > 0:
		var parts []string
		for i := range rnd.IntN(5) {
			parts = append(parts, fmt.Sprintf(`"k%d%s": %s`, i, strings.Repeat("x", rnd.IntN(3)), randomJSON(rnd, depth-1)))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case n < 4 && depth > 0:
		var parts []string
		for range rnd.IntN(5) {
			parts = append(parts, randomJSON(rnd, depth-1))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case n == 4:
		return fmt.Sprint(rnd.Int64() >> rnd.IntN(64))
	case n == 5:
		return fmt.Sprintf("%g", rnd.NormFloat64()*pow10(rnd.IntN(40)-20))
	case n == 6:
		return []string{"true", "false", "null"}[rnd.IntN(3)]
	}
	return `"text é` + strings.Repeat("y", rnd.IntN(300)) + `"`
}
