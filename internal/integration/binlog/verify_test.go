package binlog

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestVerifyTypes: every type with its edges and random values, in each character set, as a column and in the key, through plain and
// compressed binlogs, written by sessions in several time zones. Three things are compared byte for byte: what the stream has for
// insert, update and delete, what Source.Select renders, and what the server's own SELECT says. `make verify-types` runs it with more
// random values; SEED repeats a run, and VALUES is the random values a type gets.
func TestVerifyTypes(t *testing.T) {
	v := &verifier{seed: number(t, "SEED", rand.Uint64()), values: int(number(t, "VALUES", 2))}
	t.Logf("seed %d", v.seed)
	for _, part := range []struct {
		name string
		run  func(t *testing.T, kind servers.Kind)
	}{
		{"plain", func(t *testing.T, kind servers.Kind) { v.types(t, kind, false) }},
		{"compressed", func(t *testing.T, kind servers.Kind) { v.types(t, kind, true) }},
		{"compressed columns", v.compressedColumns},
		{"keys", v.keys},
		{"character sets", v.charsets},
		{"wide", v.wide},
		{"numbers", v.numbers},
		{"labels", v.labels},
		{"huge", v.huge},
	} {
		t.Run(part.name, func(t *testing.T) { onEach(t, part.run) })
	}
	fmt.Printf("cases %d mismatched %d\n", v.cases, v.mismatched)
	if v.cases < 5000 {
		t.Errorf("only %d cases", v.cases)
	}
}

// number reads a number from the environment.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%s: %v", name, text, err)
	}
	return n
}

// verifier counts: a case is one value, or one whole row, compared with one other.
type verifier struct {
	seed              uint64
	values            int // random values a type
	cases, mismatched int
}

// random is a source of its own for each part, so that a seed repeats each of them.
func (v *verifier) random(part string, kind servers.Kind) *rand.Rand {
	sum := v.seed
	for _, c := range part + string(kind) {
		sum = sum*31 + uint64(c)
	}
	return rand.New(rand.NewPCG(v.seed, sum))
}

// same counts a comparison. what is called only when the two differ.
func (v *verifier) same(t *testing.T, ok bool, what func() string) {
	t.Helper()
	v.cases++
	if !ok {
		if v.mismatched++; v.mismatched < 100 {
			t.Error(what())
		} else {
			t.Fail()
		}
	}
}

func (v *verifier) types(t *testing.T, kind servers.Kind, compressed bool) {
	addr := servers.Find(t, kind)
	if compressed {
		addr = ownServer(t, kind)
	}
	d := open(t, addr, "alltypes")
	w := d.writer(t)
	if compressed {
		w.compress(t)
	}
	rnd := v.random(fmt.Sprint("types ", compressed), kind)
	var tables []*valueTable
	from := d.executed(t)
	for i, group := range groups(v.columns(rnd, kind), 6) {
		tables = append(tables, w.fill(t, rnd, fmt.Sprintf("t%d", i), group, 0))
	}
	if compressed {
		w.mustCompress(t, from)
	}
	v.compare(t, d, from, tables)
}

// keys are the types as parts of primary keys; updates change them.
func (v *verifier) keys(t *testing.T, kind servers.Kind) {
	d := open(t, servers.Find(t, kind), "allkeys")
	w := d.writer(t)
	rnd := v.random("keys", kind)
	var tables []*valueTable
	from := d.executed(t)
	for i, group := range groups(v.keyColumns(rnd, kind), 4) {
		tables = append(tables, w.fill(t, rnd, fmt.Sprintf("k%d", i), group, len(group)))
	}
	tables = append(tables, w.fill(t, rnd, "anycase", []column{anyCase}, 1))
	v.compare(t, d, from, tables)
}

// anyCase has values of which a case-insensitive collation takes some for the same. They have different keys on the wire.
var anyCase = column{define: "VARCHAR(10) COLLATE utf8mb4_general_ci NOT NULL", oracle: asText, values: []string{"'a'", "'A'", "'á'", "'ß'", "'ss'", "'  '"}}

// keyColumns are those that an index can hold.
func (v *verifier) keyColumns(rnd *rand.Rand, kind servers.Kind) []column {
	var cs []column
	for _, c := range v.columns(rnd, kind) {
		if c.canBeKey() {
			c.define = strings.TrimSuffix(c.define, " NULL") + " NOT NULL"
			cs = append(cs, c)
		}
	}
	return cs
}

// columns are those of the server, with random values.
func (v *verifier) columns(rnd *rand.Rand, kind servers.Kind) []column {
	var cs []column
	for _, c := range columns() {
		if c.on(kind) {
			c.values = append(c.values, randomValues(rnd, c.define, v.values)...)
			cs = append(cs, c)
		}
	}
	return cs
}

// groups puts at most n columns together, and big ones with nothing else.
func groups(cs []column, n int) [][]column {
	var out [][]column
	for i, c := range cs {
		alone := func(c column) bool { return strings.HasPrefix(c.define, "LONG") }
		if last := len(out) - 1; i == 0 || len(out[last]) == n || alone(c) || alone(cs[i-1]) {
			out = append(out, []column{c})
		} else {
			out[last] = append(out[last], c)
		}
	}
	return out
}

// compare reads the stream behind from, and compares it with what was asked meanwhile.
func (v *verifier) compare(t *testing.T, d *database, from cdc.Position, tables []*valueTable) {
	t.Helper()
	byTable := map[string][]cdc.Change{}
	for _, c := range changes(read(t, d.source(t), from, d.executed(t))) {
		byTable[c.Table.Name] = append(byTable[c.Table.Name], c)
	}
	for _, table := range tables {
		table.compare(t, v, byTable[table.name])
	}
}

// writer is a connection that writes, in time zones of its choice. What it wrote others ask for, in UTC.
type writer struct {
	*sql.Conn
	d *database
}

func (d *database) writer(t *testing.T) *writer {
	t.Helper()
	conn, err := d.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	w := &writer{conn, d}
	w.exec(t, "SET SESSION sql_mode = ''")
	return w
}

func (w *writer) exec(t *testing.T, statement string) {
	t.Helper()
	if _, err := w.ExecContext(context.Background(), statement); err != nil {
		t.Fatalf("%.200s: %v", statement, err)
	}
}

// compress makes the server compress what the writer writes.
func (w *writer) compress(t *testing.T) {
	t.Helper()
	if w.d.kind == servers.MySQL {
		w.exec(t, "SET SESSION binlog_transaction_compression = 1")
		return
	}
	w.exec(t, "SET GLOBAL log_bin_compress = 1, GLOBAL log_bin_compress_min_len = 10")
	t.Cleanup(func() { w.d.exec(t, "SET GLOBAL log_bin_compress = 0") })
}

// mustCompress fails the test when nothing behind from is compressed.
func (w *writer) mustCompress(t *testing.T, from cdc.Position) {
	t.Helper()
	events := w.d.rows(t, fmt.Sprintf("SHOW BINLOG EVENTS IN '%s' FROM %d LIMIT 100", from.File, from.Offset))
	if !slices.ContainsFunc(events, func(row []string) bool {
		return row[2] == "Transaction_payload" || strings.Contains(strings.ToLower(row[2]), "rows_compressed")
	}) {
		t.Fatalf("nothing is compressed: %v", events)
	}
}

// valueTable is a table of columns v0, v1, … and what was asked of it between the transactions.
type valueTable struct {
	name              string
	columns           []column
	keys              int // columns that begin the primary key; id ends it
	inserted, updated state
}

// state is a table at one moment, by id.
type state struct {
	want     map[string][]string  // the server's own SELECT of each column, as JSON
	selected map[string][2]string // key and image by Source.Select
}

// fill inserts, updates and deletes, a transaction each, and asks in between.
func (w *writer) fill(t *testing.T, rnd *rand.Rand, name string, columns []column, keys int) *valueTable {
	t.Helper()
	vt := &valueTable{name: name, columns: columns, keys: keys}
	w.exec(t, "SET SESSION time_zone = '"+[]string{"+00:00", "+05:30", "-12:00", "+13:00"}[rnd.IntN(4)]+"'")
	rows := w.insert(t, vt, 1)
	vt.inserted = w.d.ask(t, vt)
	// The values move up by one row, and the last becomes NULL.
	w.exec(t, "BEGIN")
	for id := range rows {
		set := "note = 'u'"
		for i, c := range columns {
			if n := len(c.values); n > 0 && (id+1 < rows || i < keys) {
				set += fmt.Sprintf(", v%d = %s", i, c.values[(id+1)%n])
			} else if n > 0 && !strings.HasSuffix(c.define, "NOT NULL") {
				set += fmt.Sprintf(", v%d = NULL", i)
			}
		}
		w.exec(t, fmt.Sprintf("UPDATE %s SET %s WHERE id = %d", name, set, id))
	}
	w.exec(t, "COMMIT")
	vt.updated = w.d.ask(t, vt)
	w.exec(t, "DELETE FROM "+name)
	return vt
}

// insert makes a table and fills it, a transaction, with each value at least so many times. It returns how many rows that are.
func (w *writer) insert(t *testing.T, vt *valueTable, times int) int {
	t.Helper()
	define, key, rows := []string{"id INT NOT NULL"}, []string{}, 3
	for i, c := range vt.columns {
		define = append(define, fmt.Sprintf("v%d %s", i, c.define))
		if i < vt.keys {
			key = append(key, fmt.Sprintf("v%d%s", i, c.prefix()))
		}
		rows = max(rows, times*len(c.values))
	}
	w.exec(t, fmt.Sprintf("CREATE TABLE %s (%s, note VARCHAR(10), PRIMARY KEY (%s))", vt.name, strings.Join(define, ", "), strings.Join(append(key, "id"), ", ")))
	w.exec(t, "BEGIN")
	for id := range rows {
		names, values := []string{"id"}, []string{fmt.Sprint(id)}
		for i, c := range vt.columns {
			if n := len(c.values); n > 0 { // else it is generated
				names, values = append(names, fmt.Sprintf("v%d", i)), append(values, c.values[id%n])
			}
		}
		w.exec(t, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", vt.name, strings.Join(names, ", "), strings.Join(values, ", ")))
	}
	w.exec(t, "COMMIT")
	return rows
}

// ask asks the server for a table's values, by its own means and by ours.
func (d *database) ask(t *testing.T, vt *valueTable) state {
	t.Helper()
	s := state{map[string][]string{}, map[string][2]string{}}
	list := []string{"id"}
	for i, c := range vt.columns {
		name := fmt.Sprintf("v%d", i)
		list = append(list, name+" IS NULL", fmt.Sprintf(c.oracle.expression, name))
	}
	for _, row := range d.rows(t, fmt.Sprintf("SELECT %s FROM %s", strings.Join(list, ", "), vt.name)) {
		want := make([]string, len(vt.columns))
		for i, c := range vt.columns {
			if want[i] = "null"; row[1+2*i] == "0" {
				want[i] = c.oracle.json(row[2+2*i])
			}
		}
		s.want[row[0]] = want
	}
	for _, row := range selectAll(t, d.source(t), d.schema, vt.name, "") {
		s.selected[string(parseImage(t, row[1])["id"])] = row
	}
	return s
}

// selectAll returns the key and the image of each row.
func selectAll(t *testing.T, source *binlog.Source, schema, table, rest string) [][2]string {
	t.Helper()
	var rows [][2]string
	if err := source.Select(t.Context(), schema, table, rest, func(key, image []byte) error {
		rows = append(rows, [2]string{string(key), string(image)})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return rows
}

func parseImage(t *testing.T, text string) (image map[string]json.RawMessage) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &image); err != nil {
		t.Fatalf("image %.200q: %v", text, err)
	}
	return image
}

// compare compares what the stream has with both answers, and these with each other.
func (vt *valueTable) compare(t *testing.T, v *verifier, got []cdc.Change) {
	t.Helper()
	for op, s := range map[string]state{"insert": vt.inserted, "update": vt.updated} {
		v.same(t, len(s.selected) == len(s.want), func() string {
			return fmt.Sprintf("%s after %s: %d rows, want %d", vt.name, op, len(s.selected), len(s.want))
		})
		for _, row := range s.selected {
			vt.values(t, v, "SELECT after "+op, row[0], row[1], s)
		}
	}
	image := func(op string, key, image []byte, s state) {
		t.Helper()
		id := vt.values(t, v, op, string(key), string(image), s)
		selected := s.selected[id]
		v.same(t, string(image) == selected[1], func() string {
			return fmt.Sprintf("%s: %s: the stream has %.2000s, SELECT %.2000s", vt.name, op, image, selected[1])
		})
		if key != nil {
			v.same(t, string(key) == selected[0], func() string {
				return fmt.Sprintf("%s: %s: the stream has key %.300s, SELECT %.300s", vt.name, op, key, selected[0])
			})
		}
	}
	for _, c := range got {
		switch c.Op {
		case cdc.Create:
			image("insert", c.Key, c.After, vt.inserted)
		case cdc.Update:
			image("update before", c.OldKey, c.Before, vt.inserted)
			image("update after", c.Key, c.After, vt.updated)
		case cdc.Delete:
			image("delete", c.Key, c.Before, vt.updated)
		}
	}
	if len(got) != 3*len(vt.inserted.want) {
		t.Errorf("%s: %d changes for %d rows", vt.name, len(got), len(vt.inserted.want))
	}
}

// values compares the values of an image, and its key, with the server's own SELECT, and returns the row's id.
func (vt *valueTable) values(t *testing.T, v *verifier, op, key, image string, s state) string {
	t.Helper()
	row := parseImage(t, image)
	id := string(row["id"])
	wantKey := "{"
	for i, want := range s.want[id] {
		name := fmt.Sprintf("v%d", i)
		v.same(t, vt.columns[i].oracle.equal(string(row[name]), want), func() string {
			return fmt.Sprintf("%s: %s of row %s of %s: got %.300s, want %.300s", vt.columns[i].define, op, id, vt.name, row[name], want)
		})
		if i < vt.keys {
			wantKey += fmt.Sprintf("%q:%s,", name, row[name]) // right, or counted already
		}
	}
	wantKey += `"id":` + id + "}"
	if key != "" {
		v.same(t, key == wantKey, func() string { return fmt.Sprintf("%s of %s: key %.300s, want %.300s", op, vt.name, key, wantKey) })
	}
	v.same(t, len(row) == len(vt.columns)+2 && len(s.want[id]) == len(vt.columns), func() string { return fmt.Sprintf("%s of %s: %d columns", op, vt.name, len(row)) })
	return id
}
