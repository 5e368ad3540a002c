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
	v := &verifier{seed: number(t, "SEED", rand.Uint64()), values: int(number(t, "VALUES", 4))}
	t.Logf("seed %d", v.seed)
	for _, part := range []struct {
		name string
		run  func(t *testing.T, kind servers.Kind)
	}{
		{"plain", func(t *testing.T, kind servers.Kind) { v.types(t, kind, false) }},
		{"compressed", func(t *testing.T, kind servers.Kind) { v.types(t, kind, true) }},
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
	for i, c := range columns() {
		if c.on(kind) {
			c.values = append(c.values, randomValues(rnd, c.define, v.values)...)
			tables = append(tables, w.fill(t, rnd, fmt.Sprintf("t%d", i), c))
		}
	}
	if compressed {
		w.mustCompress(t, from)
	}
	v.compare(t, d, from, tables)
}

// keys are the types as a part of the primary key; update changes it.
func (v *verifier) keys(t *testing.T, kind servers.Kind) {
	d := open(t, servers.Find(t, kind), "allkeys")
	w := d.writer(t)
	rnd := v.random("keys", kind)
	var tables []*valueTable
	from := d.executed(t)
	for i, c := range columns() {
		if !c.on(kind) || !c.canBeKey() {
			continue
		}
		c.values = append(c.values, randomValues(rnd, c.define, v.values)...)
		c.define, c.inKey = strings.TrimSuffix(c.define, " NULL")+" NOT NULL", true
		tables = append(tables, w.fill(t, rnd, fmt.Sprintf("k%d", i), c))
	}
	// What a case-insensitive collation takes for the same row has another key on the wire.
	for _, values := range [][]string{{"'a'", "'A'", "'á'", "'ß'", "'ss'", "'  '"}} {
		tables = append(tables, w.fill(t, rnd, "anycase", column{define: "VARCHAR(10) COLLATE utf8mb4_general_ci NOT NULL", oracle: asText, values: values, inKey: true}))
	}
	v.compare(t, d, from, tables)
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

// valueTable is a table with one column to look at, and what was asked of it between the transactions.
type valueTable struct {
	name              string
	col               column
	inserted, updated state
}

// state is a table at one moment, by id.
type state struct {
	want     map[string]string    // the server's own SELECT of the value, as JSON
	selected map[string][2]string // key and image by Source.Select
}

// fill inserts, updates and deletes, a transaction each, and asks in between.
func (w *writer) fill(t *testing.T, rnd *rand.Rand, name string, c column) *valueTable {
	t.Helper()
	vt := &valueTable{name: name, col: c}
	key := "id"
	if c.inKey {
		key = "v" + c.prefix() + ", id"
	}
	w.exec(t, fmt.Sprintf("CREATE TABLE %s (id INT, v %s, note VARCHAR(10), PRIMARY KEY (%s))", name, c.define, key))
	w.exec(t, "SET SESSION time_zone = '"+[]string{"+00:00", "+05:30", "-12:00", "+13:00"}[rnd.IntN(4)]+"'")
	generated := strings.Contains(c.define, "GENERATED")
	values := c.values
	if generated {
		values = []string{"", "", ""}
	}
	w.exec(t, "BEGIN")
	for id, value := range values {
		if generated {
			w.exec(t, fmt.Sprintf("INSERT INTO %s (id) VALUES (%d)", name, id))
		} else {
			w.exec(t, fmt.Sprintf("INSERT INTO %s (id, v) VALUES (%d, %s)", name, id, value))
		}
	}
	w.exec(t, "COMMIT")
	vt.inserted = w.d.ask(t, vt)
	// The values move up by one row, and the last becomes NULL.
	w.exec(t, "BEGIN")
	for id := range values {
		set := ""
		if !generated && id+1 < len(values) {
			set = ", v = " + values[id+1]
		} else if !generated && !c.inKey {
			set = ", v = NULL"
		}
		w.exec(t, fmt.Sprintf("UPDATE %s SET note = 'u'%s WHERE id = %d", name, set, id))
	}
	w.exec(t, "COMMIT")
	vt.updated = w.d.ask(t, vt)
	w.exec(t, "DELETE FROM "+name)
	return vt
}

// ask asks the server for a table's values, by its own means and by ours.
func (d *database) ask(t *testing.T, vt *valueTable) state {
	t.Helper()
	s := state{map[string]string{}, map[string][2]string{}}
	expression := fmt.Sprintf(vt.col.oracle.expression, "v")
	for _, row := range d.rows(t, fmt.Sprintf("SELECT id, v IS NULL, %s FROM %s", expression, vt.name)) {
		if s.want[row[0]] = "null"; row[1] == "0" {
			s.want[row[0]] = vt.col.oracle.json(row[2])
		}
	}
	for _, row := range selectAll(t, d.source(t), d.schema, vt.name, "") {
		s.selected[parseImage(t, row[1]).ID.String()] = row
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

// valueImage is an image of a valueTable's row, or its key.
type valueImage struct {
	ID json.Number
	V  json.RawMessage
}

func parseImage(t *testing.T, text string) (image valueImage) {
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
			return fmt.Sprintf("%s: %d rows after %s, want %d", vt.col.define, len(s.selected), op, len(s.want))
		})
		for _, row := range s.selected {
			vt.value(t, v, "SELECT after "+op, row[0], row[1], s)
		}
	}
	image := func(op string, key, image []byte, s state) {
		t.Helper()
		id := vt.value(t, v, op, string(key), string(image), s)
		selected := s.selected[id]
		v.same(t, string(image) == selected[1], func() string {
			return fmt.Sprintf("%s: %s: the stream has %.300s, SELECT %.300s", vt.col.define, op, image, selected[1])
		})
		if key != nil {
			v.same(t, string(key) == selected[0], func() string {
				return fmt.Sprintf("%s: %s: the stream has key %.300s, SELECT %.300s", vt.col.define, op, key, selected[0])
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
		t.Errorf("%s: %d changes for %d rows", vt.col.define, len(got), len(vt.inserted.want))
	}
}

// value compares the value in an image, and in its key, with the server's own SELECT, and returns the row's id.
func (vt *valueTable) value(t *testing.T, v *verifier, op, key, image string, s state) string {
	t.Helper()
	row := parseImage(t, image)
	id := row.ID.String()
	want := s.want[id]
	v.same(t, vt.col.oracle.equal(string(row.V), want), func() string {
		return fmt.Sprintf("%s: %s of row %s: got %.300s, want %.300s", vt.col.define, op, id, row.V, want)
	})
	if key != "" {
		whole := fmt.Sprintf(`{"id":%s}`, id)
		if vt.col.inKey {
			whole = fmt.Sprintf(`{"v":%s,"id":%s}`, row.V, id) // row.V is right, or counted already
		}
		v.same(t, key == whole, func() string { return fmt.Sprintf("%s: %s: key %.300s, want %.300s", vt.col.define, op, key, whole) })
	}
	return id
}
