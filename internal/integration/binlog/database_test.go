package binlog

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// kinds are the servers that each test runs on.
var kinds = []servers.Kind{servers.MariaDB, servers.MySQL}

// onEach runs a test on both servers.
func onEach(t *testing.T, run func(t *testing.T, kind servers.Kind)) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) { run(t, kind) })
	}
}

// private starts a server that the test may break.
func private(t *testing.T, kind servers.Kind, args ...string) *servers.Server {
	t.Helper()
	s, err := servers.Start(context.Background(), kind, servers.Options{Args: args, Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Attr("server", string(kind))
	return s
}

// database is a schema of its own on a server, with a connection pool of the administrator.
type database struct {
	*sql.DB
	kind   servers.Kind
	addr   servers.Address
	schema string
}

// open makes an empty schema.
func open(t *testing.T, addr servers.Address, schema string) *database {
	t.Helper()
	db := connect(t, addr.DSN(""))
	d := &database{DB: db, kind: addr.Kind, addr: addr, schema: schema}
	d.exec(t, "DROP DATABASE IF EXISTS "+schema)
	d.exec(t, "CREATE DATABASE "+schema+" CHARACTER SET utf8mb4")
	d.DB = connect(t, addr.DSN(schema))
	return d
}

func connect(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func (d *database) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	if _, err := d.ExecContext(context.Background(), statement, args...); err != nil {
		t.Fatalf("%.200s: %v", statement, err)
	}
}

func (d *database) value(t *testing.T, query string, args ...any) string {
	t.Helper()
	var v sql.NullString
	if err := d.QueryRowContext(context.Background(), query, args...).Scan(&v); err != nil {
		t.Fatalf("%.200s: %v", query, err)
	}
	return v.String
}

// source follows the schema as the ordinary user.
func (d *database) source(t testing.TB, edit ...func(*binlog.Config)) *binlog.Source {
	t.Helper()
	cfg := binlog.Config{Addr: d.addr.HostPort(), User: servers.CDCUser, Password: servers.CDCPassword,
		Filter: cdc.Filter{Include: []string{d.schema + ".*"}}, HeartbeatPeriod: 200 * time.Millisecond}
	for _, e := range edit {
		e(&cfg)
	}
	s, err := binlog.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// executed is where the server is now.
func (d *database) executed(t *testing.T) cdc.Position {
	t.Helper()
	p, err := d.source(t).Executed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// killDumps ends the server's threads of streams that were closed; otherwise they keep their file from being purged for a heartbeat.
func (d *database) killDumps(t *testing.T) {
	t.Helper()
	for _, row := range d.rows(t, "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'") {
		_, _ = d.Exec("KILL " + row[0]) // it may have ended by itself meanwhile
	}
}

// purge removes all binlog files but a new one.
func (d *database) purge(t *testing.T) {
	t.Helper()
	d.exec(t, "FLUSH BINARY LOGS")
	logs := d.logs(t)
	last := logs[len(logs)-1]
	for d.logs(t)[0] != last {
		d.killDumps(t)
		d.exec(t, "PURGE BINARY LOGS TO '"+last+"'")
	}
}

// logs lists the binlog files.
func (d *database) logs(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, row := range d.rows(t, "SHOW BINARY LOGS") {
		names = append(names, row[0])
	}
	return names
}

// rows runs a query; NULL is the empty text.
func (d *database) rows(t *testing.T, query string, args ...any) [][]string {
	t.Helper()
	rows, err := d.QueryContext(context.Background(), query, args...)
	if err != nil {
		t.Fatalf("%.200s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for rows.Next() {
		values, pointers := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			pointers[i] = &values[i]
		}
		if err := rows.Scan(pointers...); err != nil {
			t.Fatal(err)
		}
		row := make([]string, len(columns))
		for i := range values {
			row[i] = values[i].String
		}
		out = append(out, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// own holds one server of each kind for the tests that change settings for a while but break nothing. They run one after the other.
var own = map[servers.Kind]*servers.Server{}

func ownServer(t *testing.T, kind servers.Kind) servers.Address {
	t.Helper()
	t.Attr("server", string(kind))
	if own[kind] == nil {
		s, err := servers.Start(context.Background(), kind, servers.Options{Logf: t.Logf})
		if err != nil {
			t.Fatal(err)
		}
		own[kind] = s
	}
	return own[kind].Address()
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, s := range own {
		if err := s.Close(); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}
