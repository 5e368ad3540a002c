package binlog

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestManyTables lists many tables, TABLES of them, and says how long that takes:
//
//	TABLES=50000 go test -v -run ManyTables -timeout 1h ./binlog
func TestManyTables(t *testing.T) {
	n := int(number(t, "TABLES", 100))
	onEach(t, func(t *testing.T, kind servers.Kind) {
		args := []string{"--sync-binlog=0", "--innodb-flush-log-at-trx-commit=0", "--skip-innodb-doublewrite"}
		options := "TABLESPACE many"
		if kind == servers.MariaDB {
			args, options = append(args, "--innodb-file-per-table=0"), ""
		}
		d := open(t, private(t, kind, args...).Address(), "many")
		if kind == servers.MySQL {
			d.exec(t, "CREATE TABLESPACE many ADD DATAFILE 'many.ibd'")
		}
		w := d.writer(t)
		for i := range n {
			w.exec(t, fmt.Sprintf("CREATE TABLE t%05d (id INT PRIMARY KEY, v INT) %s", i, options))
			if i%10 == 0 {
				w.exec(t, fmt.Sprintf("INSERT INTO t%05d VALUES (1, 1), (2, 2), (3, 3)", i))
			}
		}
		for _, time := range []string{"first", "second"} {
			tables := d.list(t, time)
			if len(tables) != n {
				t.Errorf("%d tables, want %d", len(tables), n)
			}
		}
	})
}

// list lists the captured tables.
func (d *database) list(t *testing.T, what string, edit ...func(*binlog.Config)) []cdc.TableSize {
	t.Helper()
	start := time.Now()
	tables, err := d.source(t, edit...).Tables(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s time: %d tables in %v", what, len(tables), time.Since(start))
	if !slices.IsSortedFunc(tables, func(a, b cdc.TableSize) int {
		return slices.Compare([]string{a.Schema, a.Name}, []string{b.Schema, b.Name})
	}) {
		t.Error("the tables are not sorted")
	}
	return tables
}
