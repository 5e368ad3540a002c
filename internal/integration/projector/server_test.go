package projector

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/projector"
)

// onEach runs a test on both servers.
func onEach(t *testing.T, run func(t *testing.T, s *server)) {
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(kind), func(t *testing.T) { run(t, open(t, servers.Find(t, kind))) })
	}
}

// onEachPrivate is onEach with a MariaDB server that the test may disturb.
func onEachPrivate(t *testing.T, run func(t *testing.T, s *server)) {
	t.Run(string(servers.MariaDB), func(t *testing.T) { run(t, open(t, private(t))) })
	t.Run(string(servers.MySQL), func(t *testing.T) { run(t, open(t, servers.Find(t, servers.MySQL))) })
}

// private starts a MariaDB server for one test.
func private(t *testing.T, args ...string) servers.Address {
	t.Helper()
	t.Attr("server", string(servers.MariaDB)) // for the matrix that `make test` ends with
	s, err := servers.Start(context.WithoutCancel(t.Context()), servers.MariaDB, servers.Options{Args: args, Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.Address()
}

// server is a schema of its own on a database server.
type server struct {
	*testing.T
	addr   servers.Address
	schema string
	db     *sql.DB // the administrator's
}

// open makes an empty schema, dropped at the test's end.
func open(t *testing.T, addr servers.Address) *server {
	t.Helper()
	s := &server{T: t, addr: addr, schema: fmt.Sprintf("projector_%d", time.Now().UnixNano())}
	admin := s.connect(addr.DSN(""))
	s.db = admin
	s.exec("CREATE DATABASE " + s.schema + " CHARACTER SET utf8mb4")
	t.Cleanup(func() { admin.Exec("DROP DATABASE " + s.schema) })
	s.db = s.connect(addr.DSN(s.schema))
	return s
}

func (s *server) connect(dsn string) *sql.DB {
	s.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { db.Close() })
	return db
}

func (s *server) exec(statement string, args ...any) {
	s.Helper()
	if _, err := s.db.ExecContext(s.Context(), statement, args...); err != nil {
		s.Fatalf("%.200s: %v", statement, err)
	}
}

func (s *server) mariadb() bool { return s.addr.Kind == servers.MariaDB }

// database is where loaders read, as the ordinary user.
func (s *server) database() projector.Database {
	db := s.connect(s.addr.CDC(s.schema))
	if s.mariadb() {
		return projector.MariaDB(db)
	}
	return projector.MySQL(db)
}

// source follows the schema's binlog.
func (s *server) source() *binlog.Source {
	s.Helper()
	source, err := binlog.New(binlog.Config{Addr: s.addr.HostPort(), User: servers.CDCUser, Password: servers.CDCPassword,
		Filter: cdc.Filter{Include: []string{s.schema + ".*"}}})
	if err != nil {
		s.Fatal(err)
	}
	return source
}

// newLog returns a log that begins with what the server commits from now on.
func (s *server) newLog(source *binlog.Source) *eventstore.MemoryLog {
	s.Helper()
	log := eventstore.NewMemoryLog()
	from, err := source.Executed(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	w, err := log.Begin(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	if err := w.Watermark(s.Context(), eventstore.Watermark{Position: from, Config: source.ConfigID()}); err != nil {
		s.Fatal(err)
	}
	return log
}

// background runs f until the test calls stop, which returns its error.
func (s *server) background(f func(context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(s.Context())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	return func() error { cancel(); return <-done }
}

// relay carries the binlog into the log until the returned function is called.
func (s *server) relay(source cdc.Source, log eventstore.Log) (stop func() error) {
	s.Helper()
	r, err := cdc.NewRelay(cdc.Config{Source: source, Log: log, Heartbeat: 500 * time.Millisecond})
	if err != nil {
		s.Fatal(err)
	}
	return s.background(r.Run)
}

// executed is a set of transactions that has everything that is committed now.
func (s *server) executed() string {
	s.Helper()
	query := "SELECT @@global.gtid_executed"
	if s.mariadb() {
		query = "SELECT @@global.gtid_binlog_pos"
	}
	var gtids string
	if err := s.db.QueryRowContext(s.Context(), query).Scan(&gtids); err != nil {
		s.Fatal(err)
	}
	return gtids
}
