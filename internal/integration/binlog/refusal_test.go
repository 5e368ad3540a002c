package binlog

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestRefusals: what cannot be decoded is an error that names it, its place and its table, never passed over.
func TestRefusals(t *testing.T) {
	const both = ""
	for _, tt := range []struct {
		name       string
		only       servers.Kind
		statements []string
		table      string // as the error names it
		text       string
	}{
		{"statement", both, []string{"SET SESSION binlog_format = 'STATEMENT'", "INSERT INTO a VALUES (1, 'x')"}, "", "INSERT as a statement instead of rows"},
		{"minimal image", both, []string{"INSERT INTO a VALUES (1, 'x')", "SET SESSION binlog_row_image = 'MINIMAL'", "UPDATE a SET v = 'y'"}, "refused.a", "row image is not FULL"},
		{"no key", both, []string{"CREATE TABLE nokey (v INT)", "INSERT INTO nokey VALUES (1)"}, "refused.nokey", "without primary key"},
		{"exchange partition", both, []string{"CREATE TABLE p (id INT PRIMARY KEY, v VARCHAR(10)) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN MAXVALUE)",
			"ALTER TABLE p EXCHANGE PARTITION p0 WITH TABLE a"}, "refused.p", "ALTER TABLE that moves partitions"},
		{"discard tablespace", both, []string{"/* by hand */ alter table `refused`.`a` DISCARD TABLESPACE"}, "refused.a", "ALTER TABLE that moves partitions"},
		{"drop partition", both, []string{"CREATE TABLE p (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)",
			"INSERT INTO p VALUES (1)", "ALTER TABLE p DROP PARTITION p0"}, "refused.p", "ALTER TABLE that moves partitions"},
		{"old temporal", servers.MariaDB, []string{"SET GLOBAL mysql56_temporal_format = 0", "CREATE TABLE o (id INT PRIMARY KEY, v TIME(3))", "INSERT INTO o VALUES (1, '10:00')"}, "refused.o column v", "before MySQL 5.6"},
		{"no metadata", both, []string{"SET GLOBAL binlog_row_metadata = 'MINIMAL'", "CREATE TABLE n (id INT PRIMARY KEY)", "INSERT INTO n VALUES (1)"}, "refused.n", "binlog_row_metadata"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, kind servers.Kind) {
				if tt.only != both && tt.only != kind {
					return
				}
				d := open(t, ownServer(t, kind), "refused")
				t.Cleanup(func() {
					d.exec(t, "SET GLOBAL binlog_row_metadata = 'FULL'")
					if kind == servers.MariaDB {
						d.exec(t, "SET GLOBAL mysql56_temporal_format = 1")
					}
				})
				d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(10))")
				from := d.executed(t)
				conn, err := d.Conn(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				for _, s := range tt.statements {
					if _, err := conn.ExecContext(context.Background(), s); err != nil && !strings.Contains(err.Error(), "binlog_direct_non") {
						t.Fatalf("%s: %v", s, err)
					}
				}
				stream, err := d.source(t).Open(t.Context(), from)
				if err != nil {
					t.Fatal(err)
				}
				defer stream.Close()
				_, err = readStream(t.Context(), stream, from, d.executed(t))
				de, ok := errors.AsType[*cdc.DecodeError](err)
				if !ok {
					t.Fatalf("got %v, want a *cdc.DecodeError", err)
				}
				if !strings.Contains(err.Error(), tt.text) || tt.table != "" && !strings.Contains(err.Error(), "table "+tt.table) {
					t.Errorf("got %v, want table %q and %q", err, tt.table, tt.text)
				}
				if de.Position.GTIDs == "" || de.Position.File == "" || de.Position.Offset == 0 {
					t.Errorf("position %+v is not complete", de.Position)
				}
				if errors.Is(err, cdc.ErrUnavailable) {
					t.Error("the error seems to pass")
				}
				if _, again := stream.Next(t.Context()); again == nil || again.Error() != err.Error() {
					t.Errorf("the stream goes on with %v", again)
				}
			})
		})
	}
}
