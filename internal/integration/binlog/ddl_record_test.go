package binlog

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// recorder executes statements in one session, and records what the server shows of the schema's tables around each: the oracle of
// what stands in the binlog, whenever that is read.
type recorder struct {
	*testing.T
	db    *database
	conn  *sql.Conn
	rnd   *rand.Rand
	now   map[string]*shape // by table
	steps []step
}

// step is a statement that was executed.
type step struct {
	statement     string
	through       uint64 // the number of its last transaction
	before, after map[string]*shape
	schema        []string // what schema records must say of it
}

// shape is a table at a moment: its columns, as SHOW COLUMNS has them, and its rows as SELECT does.
type shape struct {
	columns []showColumn
	key     []string
	rows    map[string]string // images by key, both as the wire has them
}

type showColumn struct{ name, kind string }

func newRecorder(t *testing.T, db *database, seed uint64) *recorder {
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	r := &recorder{T: t, db: db, conn: conn, rnd: rand.New(rand.NewPCG(seed, 4)), now: map[string]*shape{}}
	r.run("SET SESSION time_zone = '+00:00'")
	r.run("SET SESSION sql_mode = ''")
	return r
}

// run executes a statement that is not in the binlog.
func (r *recorder) run(statement string) {
	r.Helper()
	if _, err := r.conn.ExecContext(context.Background(), statement); err != nil {
		r.Fatalf("%s: %v", statement, err)
	}
}

// exec executes a statement. schema is what schema records must say of it.
func (r *recorder) exec(statement string, schema ...string) {
	r.Helper()
	r.run(statement)
	s := step{statement: statement, before: r.now, schema: schema}
	s.through = lastNumber(r.Fatalf, r.db.executed(r.T).GTIDs)
	r.now = r.look()
	s.after = r.now
	r.steps = append(r.steps, s)
}

// lastNumber is the last number of a GTID, or of a set of one server's transactions.
func lastNumber(fatalf func(string, ...any), gtids string) uint64 {
	n, err := strconv.ParseUint(gtids[strings.LastIndexAny(gtids, "-:")+1:], 10, 64)
	if err != nil {
		fatalf("gtids %q: %v", gtids, err)
	}
	return n
}

// of finds the step of a transaction.
func (r *recorder) of(gtid string) *step {
	n := lastNumber(r.Fatalf, gtid)
	at, _ := slices.BinarySearchFunc(r.steps, n, func(s step, n uint64) int { return int(int64(s.through) - int64(n)) })
	if at == len(r.steps) {
		r.Fatalf("transaction %s is of no step", gtid)
	}
	return &r.steps[at]
}

// look reads all tables.
func (r *recorder) look() map[string]*shape {
	r.Helper()
	tables := map[string]*shape{}
	for _, row := range r.db.rows(r.T, `SELECT c.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE FROM information_schema.COLUMNS c
		JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME AND t.TABLE_TYPE = 'BASE TABLE'
		WHERE c.TABLE_SCHEMA = ? ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION`, r.db.schema) {
		if tables[row[0]] == nil {
			tables[row[0]] = &shape{rows: map[string]string{}}
		}
		tables[row[0]].columns = append(tables[row[0]].columns, showColumn{row[1], strings.ToLower(row[2])})
	}
	for _, row := range r.db.rows(r.T, `SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.STATISTICS
		WHERE TABLE_SCHEMA = ? AND INDEX_NAME = 'PRIMARY' ORDER BY TABLE_NAME, SEQ_IN_INDEX`, r.db.schema) {
		tables[row[0]].key = append(tables[row[0]].key, row[1])
	}
	for name, s := range tables {
		var parts []string
		for _, c := range s.columns {
			parts = append(parts, c.oracle())
		}
		for _, row := range r.db.rows(r.T, fmt.Sprintf("SELECT %s FROM %s", strings.Join(parts, ", "), quoteName(name))) {
			values := map[string]string{}
			var image []string
			for i, c := range s.columns {
				values[c.name] = c.json(row[i])
				image = append(image, quoted(c.name)+":"+values[c.name])
			}
			var key []string
			for _, c := range s.key {
				key = append(key, quoted(c)+":"+values[c])
			}
			s.rows["{"+strings.Join(key, ",")+"}"] = "{" + strings.Join(image, ",") + "}"
		}
	}
	return tables
}

func quoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// oracle is the expression whose text is the column's value; NULL is a letter that no other value begins with.
func (c showColumn) oracle() string {
	name := quoteName(c.name)
	switch c.kind {
	case "varchar", "text", "char", "enum", "mediumtext", "longtext":
		return fmt.Sprintf("IFNULL(CONCAT('=', CONVERT(%s USING utf8mb4)), '0')", name)
	}
	return fmt.Sprintf("IFNULL(CONCAT('=', %s), '0')", name)
}

func (c showColumn) json(text string) string {
	text, set := strings.CutPrefix(text, "=")
	switch {
	case !set:
		return "null"
	case c.isNumber():
		return text
	case c.kind == "datetime":
		return quoted(moment(text, ""))
	}
	return quoted(text)
}

func (c showColumn) isNumber() bool { return strings.HasSuffix(c.kind, "int") }

// value is a random value of the column, as SQL.
func (r *recorder) value(c showColumn) string {
	switch {
	case c.isNumber():
		return strconv.Itoa(r.rnd.IntN(100))
	case c.kind == "enum":
		return strconv.Itoa(1 + r.rnd.IntN(2))
	case c.kind == "datetime":
		return fmt.Sprintf("'2024-02-%02d 01:02:03.%03d'", 1+r.rnd.IntN(29), r.rnd.IntN(1000))
	case c.kind == "decimal":
		return fmt.Sprintf("%d.5", r.rnd.IntN(1000))
	}
	return []string{"'a'", "''", "'ü€'", "'it''s \"x\"'", "'{}'", "NULL"}[r.rnd.IntN(6)]
}

// change executes a random statement on rows of a table: insert, update of one or many rows, change of the key, delete.
func (r *recorder) change(table string) (ids []int) {
	s := r.now[table]
	var others, values []string
	for _, c := range s.columns {
		if !slices.Contains(s.key, c.name) && c.name != "id" {
			others = append(others, quoteName(c.name))
			values = append(values, r.value(c))
		}
	}
	id, name := r.rnd.IntN(40), quoteName(table)
	at := r.rnd.IntN(max(1, len(others)))
	switch n := r.rnd.IntN(10); {
	case n < 5:
		r.exec(fmt.Sprintf("INSERT IGNORE INTO %s (id, %s) VALUES (%d, %s)", name, strings.Join(others, ", "), id, strings.Join(values, ", ")))
	case n < 7:
		r.exec(fmt.Sprintf("UPDATE %s SET %s = %s WHERE id %% 4 = %d", name, others[at], values[at], id%4))
		for i := id % 4; i < 80; i += 4 {
			ids = append(ids, i)
		}
		return ids
	case n < 8:
		r.exec(fmt.Sprintf("UPDATE IGNORE %s SET id = %d WHERE id = %d", name, id+40, id))
		return []int{id, id + 40}
	default:
		r.exec(fmt.Sprintf("DELETE FROM %s WHERE id = %d", name, id))
	}
	return []int{id}
}

// changes executes n random statements on a table.
func (r *recorder) changes(table string, n int) {
	for range n {
		r.change(table)
	}
}

// shared are the columns that two tables have in common, quoted.
func (r *recorder) shared(a, b string) string {
	var names []string
	for _, c := range r.now[a].columns {
		if slices.ContainsFunc(r.now[b].columns, func(o showColumn) bool { return o.name == c.name }) {
			names = append(names, quoteName(c.name))
		}
	}
	return strings.Join(names, ", ")
}

// touch changes every row of every table, so that the log has each in today's shape.
func (r *recorder) touch() {
	for _, table := range slices.Sorted(maps.Keys(r.now)) {
		r.exec(fmt.Sprintf("ALTER TABLE %s ADD COLUMN touched INT NOT NULL DEFAULT 0", quoteName(table)), "alter "+r.db.schema+"."+table)
		r.exec(fmt.Sprintf("UPDATE %s SET touched = 1", quoteName(table)))
	}
}
