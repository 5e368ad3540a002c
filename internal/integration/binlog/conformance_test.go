package binlog

import (
	"context"
	"fmt"
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
	before := d.gtids(t)
	d.run(t, "COMMIT", statements)
	if d.kind == servers.MariaDB {
		return d.gtids(t) // one domain: the last one is the position
	}
	return strings.ToLower(d.value(t, "SELECT GTID_SUBTRACT(@@GLOBAL.gtid_executed, ?)", before))
}

func (d *suiteDatabase) Rollback(t *testing.T, statements ...cdctest.Statement) {
	t.Helper()
	d.run(t, "ROLLBACK", statements)
}

func (d *suiteDatabase) gtids(t *testing.T) string {
	t.Helper()
	if d.kind == servers.MariaDB {
		return d.value(t, "SELECT @@GLOBAL.gtid_binlog_pos")
	}
	return d.value(t, "SELECT @@GLOBAL.gtid_executed")
}

func (d *suiteDatabase) run(t *testing.T, end string, statements []cdctest.Statement) {
	t.Helper()
	conn, err := d.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	exec := func(statement string, args ...any) {
		t.Helper()
		if _, err := conn.ExecContext(context.Background(), statement, args...); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	exec("BEGIN")
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
	exec(end)
}
