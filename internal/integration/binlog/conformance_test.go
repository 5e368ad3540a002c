package binlog

import (
	"context"
	"database/sql/driver"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/cdc/cdctest"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

func TestSource(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		server := private(t, kind)
		cdctest.TestSource(t, cdctest.Harness{
			SliceRows: 300,
			Open:      func(t *testing.T) cdctest.Database { return newSuiteDatabase(t, server.Address()) },
		})
	})
}

// suiteDatabase is a cdctest.Database.
type suiteDatabase struct {
	*database
	src *binlog.Source
}

func newSuiteDatabase(t *testing.T, addr servers.Address) *suiteDatabase {
	d := open(t, addr, "suite")
	for _, table := range []string{"item", "other", "ignored"} {
		d.exec(t, "CREATE TABLE "+table+" (id INT PRIMARY KEY, name VARCHAR(100))")
	}
	return &suiteDatabase{d, d.source(t, func(c *binlog.Config) {
		c.Filter.Exclude = []string{"suite.ignored"}
		c.MaxSliceBytes = 16 << 10
	})}
}

func (d *suiteDatabase) Source() cdc.Source { return d.src }

func (d *suiteDatabase) Purge(t *testing.T) { d.purge(t) }

func (d *suiteDatabase) Commit(t *testing.T, statements ...cdctest.Statement) string {
	t.Helper()
	return d.transaction(t, func() { d.run(t, "BEGIN", statements, "COMMIT") })
}

func (d *suiteDatabase) Prepare(t *testing.T, xid string, statements ...cdctest.Statement) string {
	t.Helper()
	id := "'suite','" + xid + "'"
	return d.transaction(t, func() { d.run(t, "XA START "+id, statements, "XA END "+id, "XA PREPARE "+id) })
}

func (d *suiteDatabase) Complete(t *testing.T, xid string, commit bool) string {
	t.Helper()
	verb := "XA ROLLBACK"
	if commit {
		verb = "XA COMMIT"
	}
	return d.transaction(t, func() { d.run(t, verb+" 'suite','"+xid+"'", nil) })
}

// transaction returns the GTID of the only transaction that run makes.
func (d *suiteDatabase) transaction(t *testing.T, run func()) string {
	t.Helper()
	before := d.gtids(t)
	run()
	if d.kind == servers.MariaDB {
		return d.gtids(t) // one domain: the last one is the position
	}
	return strings.ToLower(d.value(t, "SELECT GTID_SUBTRACT(@@GLOBAL.gtid_executed, ?)", before))
}

func (d *suiteDatabase) Rollback(t *testing.T, statements ...cdctest.Statement) {
	t.Helper()
	d.run(t, "BEGIN", statements, "ROLLBACK")
}

func (d *suiteDatabase) gtids(t *testing.T) string {
	t.Helper()
	if d.kind == servers.MariaDB {
		return d.value(t, "SELECT @@GLOBAL.gtid_binlog_pos")
	}
	return d.value(t, "SELECT @@GLOBAL.gtid_executed")
}

// run executes statements between the two ends on a connection of its own: one that has prepared an XA transaction keeps it until it
// is closed.
func (d *suiteDatabase) run(t *testing.T, begin string, statements []cdctest.Statement, end ...string) {
	t.Helper()
	conn, err := d.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var id int
	if err := conn.QueryRowContext(context.Background(), "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // not back into the pool
		conn.Close()
		for d.value(t, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = ?", id) != "0" {
			runtime.Gosched()
		}
	}()
	exec := func(statement string, args ...any) {
		t.Helper()
		if _, err := conn.ExecContext(context.Background(), statement, args...); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	exec(begin)
	for _, s := range statements {
		switch {
		case s.Op == cdc.Create:
			exec(fmt.Sprintf("INSERT INTO %s VALUES (?, ?)", s.Table), s.Row.ID, s.Row.Name)
		case s.Op == cdc.Delete:
			exec(fmt.Sprintf("DELETE FROM %s WHERE id = ?", s.Table), s.Row.ID)
		case s.NewID != 0:
			exec(fmt.Sprintf("UPDATE %s SET id = ?, name = ? WHERE id = ?", s.Table), s.NewID, s.Row.Name, s.Row.ID)
		default:
			exec(fmt.Sprintf("UPDATE %s SET name = ? WHERE id = ?", s.Table), s.Row.Name, s.Row.ID)
		}
	}
	for _, statement := range end {
		exec(statement)
	}
}
