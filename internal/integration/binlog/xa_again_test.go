package binlog

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestXAEndsAgain: a MariaDB server has an XA transaction prepared again that its binlog has the end of, as after a crash (MDEV-21469): here one of the
// same id is prepared with its binlog off. The same end is nothing. Another one stops the stream with an error that says which of log and tables
// has the rows. The stream begins behind the first end each time, so that it must be found in the server's files; an end of what was never prepared,
// and one of an id that is used anew, do not mislead it. log_bin_compress makes compressed events of long ids' statements.
func TestXAEndsAgain(t *testing.T) {
	d := open(t, private(t, servers.MariaDB, "--log-bin-compress=1", "--log-bin-compress-min-len=10").Address(), "again")
	d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY)")
	n := 0
	begin := func(t *testing.T, id, setting string) {
		t.Helper()
		conn, exec := d.session(t)
		defer func() { _ = conn.Raw(func(any) error { return driver.ErrBadConn }); conn.Close() }() // its transaction stays
		n++
		for _, statement := range []string{setting, "XA START " + id, fmt.Sprintf("INSERT INTO a VALUES (%d)", n), "XA END " + id, "XA PREPARE " + id} {
			exec(statement)
		}
	}
	end := func(t *testing.T, verb, id string) {
		t.Helper()
		conn, _ := d.session(t)
		defer conn.Close()
		for { // the server takes a moment to let go of the connection that has it
			_, err := conn.ExecContext(t.Context(), "XA "+verb+" "+id)
			if err == nil {
				return
			}
			if !strings.Contains(err.Error(), "Unknown XID") {
				t.Fatal(err)
			}
		}
	}
	ids := 0
	for _, tt := range []struct{ first, second, want string }{
		{"COMMIT", "COMMIT", ""},
		{"ROLLBACK", "ROLLBACK", ""},
		{"COMMIT", "ROLLBACK", "in the log and on replicas, but no longer in the server's tables"},
		{"ROLLBACK", "COMMIT", "in the server's tables, but neither in the log nor on replicas"},
		{"", "ROLLBACK", ""},
		{"", "COMMIT", "XA PREPARE stands before the beginning"},
	} {
		for _, files := range []int{0, 3} { // between the ends
			t.Run(fmt.Sprintf("%s then %s, %d files later", tt.first, tt.second, files), func(t *testing.T) {
				ids++
				id := fmt.Sprintf("'%s%d','%s',77", strings.Repeat("g", 60), ids, strings.Repeat("b", 64))
				begin(t, id, "SET sql_log_bin = 1") // of the same id, with the other end
				if tt.first == "COMMIT" {
					end(t, "ROLLBACK", id)
				} else {
					end(t, "COMMIT", id)
				}
				begin(t, id, "SET sql_log_bin = 1")
				if tt.first != "" {
					end(t, tt.first, id)
				}
				for range files {
					d.exec(t, "FLUSH BINARY LOGS")
				}
				from := d.executed(t)
				if tt.first != "" {
					begin(t, id, "SET sql_log_bin = 0")
				}
				end(t, tt.second, id)
				d.exec(t, fmt.Sprintf("INSERT INTO a VALUES (%d)", 1000+ids))
				stream, err := d.source(t).Open(t.Context(), from)
				if err != nil {
					t.Fatal(err)
				}
				defer stream.Close()
				txs, err := readStream(context.WithoutCancel(t.Context()), stream, from, d.executed(t))
				switch {
				case tt.want == "":
					if err != nil || len(txs) != 2 || len(changes(txs)) != 1 {
						t.Errorf("got %d transactions with %d changes, %v; want the end, empty, and one change", len(txs), len(changes(txs)), err)
					}
				case err == nil || !strings.Contains(err.Error(), tt.want):
					t.Errorf("got %d transactions, %v; want an error: … %s …", len(txs), err, tt.want)
				}
			})
		}
	}
}
