package binlog

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestSelectRefusals: what cannot be read is an error that names it, before a row is read.
func TestSelectRefusals(t *testing.T) {
	for _, tt := range []struct {
		name       string
		only       servers.Kind
		statements []string
		column     string
		text       string
	}{
		{name: "no table", text: "no such table"},
		{name: "view", statements: []string{"CREATE VIEW a AS SELECT 1 AS id"}, text: "it is a view"},
		{name: "no key", statements: []string{"CREATE TABLE a (id INT)"}, text: "without primary key"},
		{name: "sequence", only: servers.MariaDB, statements: []string{"CREATE SEQUENCE a"}, text: "it is a sequence"},
		{name: "history", only: servers.MariaDB, statements: []string{"CREATE TABLE a (id INT PRIMARY KEY) WITH SYSTEM VERSIONING"}, text: "system-versioned"},
		{name: "old temporal", only: servers.MariaDB, statements: []string{"SET GLOBAL mysql56_temporal_format = 0", "CREATE TABLE a (id INT PRIMARY KEY, v DATETIME(3), w TIME)"},
			column: "v", text: "before MySQL 5.6"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, kind servers.Kind) {
				if tt.only != "" && tt.only != kind {
					return
				}
				d := open(t, ownServer(t, kind), "selectrefused")
				if kind == servers.MariaDB {
					t.Cleanup(func() { d.exec(t, "SET GLOBAL mysql56_temporal_format = 1") })
				}
				for _, s := range tt.statements {
					d.exec(t, s)
				}
				err := d.source(t).Select(t.Context(), d.schema, "a", "", func(_, _ []byte) error { return errors.New("a row") })
				e, ok := errors.AsType[*cdc.DecodeError](err)
				if !ok || e.Table != d.schema+".a" || e.Column != tt.column || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("got %v, want a *cdc.DecodeError of column %q with %q", err, tt.column, tt.text)
				}
				if tt.column != "" { // found at the start, too
					mentions(t, problems(t, d.source(t)), "mysql56_temporal_format", "column v", "column w")
				}
			})
		})
	}
}

// TestSelect: any names, any settings of the server, SELECT as the only grant, the source's choice of columns, and an end before the end.
func TestSelect(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, ownServer(t, kind), "selects")
		const upper, odd = "`T`", "`o``d\"d'\\ü`"
		for _, s := range []string{
			"CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (7)",
			"CREATE TABLE " + upper + " (id INT, x CHAR(3), PRIMARY KEY (id))", "INSERT INTO " + upper + " VALUES (8, 'x')",
			"CREATE TABLE " + odd + " (`i``\"d'\\` INT PRIMARY KEY, `sp ace` CHAR(4), at TIMESTAMP NULL)",
			"INSERT INTO " + odd + " VALUES (1, 'a', FROM_UNIXTIME(1709210096)), (2, NULL, NULL), (3, 'c', NULL)",
		} {
			d.exec(t, s)
		}
		for variable, value := range map[string]string{"time_zone": "'+07:00'", "sql_select_limit": "1", "character_set_results": "'latin1'",
			"sql_mode": "'PAD_CHAR_TO_FULL_LENGTH,ANSI_QUOTES,NO_BACKSLASH_ESCAPES'"} {
			before := d.value(t, "SELECT @@GLOBAL."+variable)
			d.exec(t, "SET GLOBAL "+variable+" = "+value)
			t.Cleanup(func() {
				if variable != "sql_select_limit" {
					before = quoteText(before)
				}
				d.exec(t, "SET GLOBAL "+variable+" = "+before)
			})
		}
		d.exec(t, "DROP USER IF EXISTS reader@'%'")
		d.exec(t, "CREATE USER reader@'%' IDENTIFIED BY 'reader'")
		reader := func(c *binlog.Config) { c.User, c.Password = "reader", "reader" }
		err := d.source(t, reader).Select(t.Context(), d.schema, "t", "", nil)
		if err == nil || !strings.Contains(err.Error(), "GRANT SELECT") {
			t.Errorf("without a grant: got %v", err)
		}
		d.exec(t, "GRANT SELECT ON selects.* TO reader@'%'")
		const name = "o`d\"d'\\ü"
		for _, tt := range []struct {
			table, rest string
			edit        func(*binlog.Config)
			want        []string
		}{
			{"t", "", nil, []string{`{"id":7} {"id":7}`}},
			{"T", "", nil, []string{`{"id":8} {"id":8,"x":"x"}`}},
			{name, "ORDER BY 1 LIMIT 2", nil, []string{
				`{"i` + "`" + `\"d'\\":1} {"i` + "`" + `\"d'\\":1,"sp ace":"a","at":"2024-02-29T12:34:56Z"}`, `{"i` + "`" + `\"d'\\":2} {"i` + "`" + `\"d'\\":2,"sp ace":null,"at":null}`}},
			{name, "WHERE `sp ace` = 'c'", func(c *binlog.Config) {
				c.Columns = cdc.Columns{Exclude: []string{"*.*.at"}}
				c.Keys = cdc.Keys{{Tables: "*.o*", Columns: []string{"*"}}}
			}, []string{`{"i` + "`" + `\"d'\\":3,"sp ace":"c"} {"i` + "`" + `\"d'\\":3,"sp ace":"c"}`}},
			{name, "LIMIT 1", func(c *binlog.Config) {
				c.Columns = cdc.Columns{Include: []string{"*.*.i*", "*.*.sp*"}, Masks: []cdc.Mask{cdc.Redact("***", "*.*.sp*")}}
			}, []string{`{"i` + "`" + `\"d'\\":1} {"i` + "`" + `\"d'\\":1,"sp ace":"***"}`}},
		} {
			var edits []func(*binlog.Config)
			if edits = append(edits, reader); tt.edit != nil {
				edits = append(edits, tt.edit)
			}
			var got []string
			for _, row := range selectAll(t, d.source(t, edits...), d.schema, tt.table, tt.rest) {
				got = append(got, row[0]+" "+row[1])
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s %s: got %q, want %q", tt.table, tt.rest, got, tt.want)
			}
		}
		enough, rows := errors.New("enough"), 0
		if err := d.source(t).Select(t.Context(), d.schema, name, "", func(_, _ []byte) error { rows++; return enough }); !errors.Is(err, enough) || rows != 1 {
			t.Errorf("an error of the caller's: got %v after %d rows", err, rows)
		}
		// Millions of rows, of which the first are read.
		ctx, cancel := context.WithCancelCause(t.Context())
		err = d.source(t).Select(ctx, d.schema, name, "CROSS JOIN information_schema.COLLATIONS a CROSS JOIN information_schema.COLLATIONS b CROSS JOIN information_schema.COLLATIONS c",
			func(_, _ []byte) error { cancel(enough); return nil })
		if !errors.Is(err, enough) {
			t.Errorf("a cancelled reading: got %v", err)
		}
	})
}

// quoteText is an SQL literal, also where backslashes are no escapes.
func quoteText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// BenchmarkSelect reads a table of 100,000 rows, as snapshots will.
//
//	go test -run '^$' -bench Select -benchtime 3x ./binlog
func BenchmarkSelect(b *testing.B) {
	for _, kind := range kinds {
		b.Run(string(kind), func(b *testing.B) {
			addr := benchServer(b, kind)
			d := &database{DB: connect(b, addr.DSN("")), kind: kind, addr: addr, schema: "bench"}
			benchBacklog(b, d, 100, 1000, false, false)
			measure(b, 100_000, func() (rows int) {
				if err := d.source(b).Select(b.Context(), "bench", "item", "", func(_, _ []byte) error { rows++; return nil }); err != nil {
					b.Fatal(err)
				}
				return rows
			})
		})
	}
}
