package binlog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestChunkRefusals: what cannot be walked through is an error that names it.
func TestChunkRefusals(t *testing.T) {
	all := func(c *binlog.Config) { c.Keys = cdc.Keys{{Tables: "*.*", Columns: []string{"*"}}} }
	for _, tt := range []struct {
		name, statement string
		only            servers.Kind
		edit            func(*binlog.Config)
		column, text    string
	}{
		{name: "no key", statement: "CREATE TABLE a (id INT)", edit: all, text: "unique index of columns that are NOT NULL"},
		{name: "unique with null", statement: "CREATE TABLE a (id INT, UNIQUE (id))", edit: all, text: "unique index of columns that are NOT NULL"},
		{name: "unique prefix", statement: "CREATE TABLE a (id VARCHAR(20) NOT NULL, UNIQUE (id(3)))", edit: all, text: "unique index of columns that are NOT NULL"},
		{name: "masked", statement: "CREATE TABLE a (id INT PRIMARY KEY)", edit: func(c *binlog.Config) {
			c.Columns.Masks = []cdc.Mask{cdc.Hash([]byte("sixteen bytes and more"), "*.*.id")}
		},
			column: "id", text: "values are shown"},
		{name: "excluded", statement: "CREATE TABLE a (id INT PRIMARY KEY, v INT)", edit: func(c *binlog.Config) {
			c.Columns.Exclude, c.Keys = []string{"*.*.id"}, cdc.Keys{{Tables: "*.*", Columns: []string{"v"}}}
		}, column: "id", text: "values are shown"},
		{name: "view", statement: "CREATE VIEW a AS SELECT 1 AS id", text: "it is a view"},
		{name: "sequence", only: servers.MariaDB, statement: "CREATE SEQUENCE a", text: "it is a sequence"},
		{name: "history", only: servers.MariaDB, statement: "CREATE TABLE a (id INT PRIMARY KEY) WITH SYSTEM VERSIONING", text: "system-versioned"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, kind servers.Kind) {
				if tt.only != "" && tt.only != kind {
					return
				}
				d := open(t, servers.Find(t, kind), "chunkrefused")
				d.exec(t, tt.statement)
				source := d.source(t)
				if tt.edit != nil {
					source = d.source(t, tt.edit)
				}
				_, err := d.chunk(t, chunkReader(t, source), "a", cdc.Position{})
				e, ok := errors.AsType[*cdc.DecodeError](err)
				if !ok || e.Table != d.schema+".a" || e.Column != tt.column || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("got %v, want a *cdc.DecodeError of column %q with %q", err, tt.column, tt.text)
				}
				// Views and sequences are no tables; what is one is not left out in silence.
				if listed := len(d.list(t, tt.name)) == 1; listed != strings.HasPrefix(tt.statement, "CREATE TABLE") {
					t.Errorf("listed: %v", listed)
				}
			})
		})
	}
}

// TestChunkDDL: a definition that changes between chunks is noticed, whatever it changes, and the reader goes on with the new one.
func TestChunkDDL(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "chunkddl")
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY, v INT NOT NULL, e ENUM('x', 'y'))")
		d.exec(t, "INSERT INTO a VALUES (1, 1, 'x'), (2, 2, 'y')")
		r := chunkReader(t, d.source(t))
		all := cdc.ChunkRequest{Schema: d.schema, Table: "a", MaxRows: 1, MaxBytes: 1000}
		first, err := r.Read(t.Context(), all)
		if err != nil {
			t.Fatal(err)
		}
		rest := all
		rest.Range = first.Rest
		for _, tt := range []struct {
			statement string
			stale     bool // the definition is another
			key       bool // the key is another, so that the bound is none of it
			want      string
		}{
			{"ALTER TABLE a ADD w INT DEFAULT 3", true, false, `{"id":2,"v":2,"e":"y","w":3}`},
			{"ALTER TABLE a RENAME COLUMN w TO x", true, false, `{"id":2,"v":2,"e":"y","x":3}`},
			{"ALTER TABLE a MODIFY e ENUM('y', 'x')", true, false, `{"id":2,"v":2,"e":"y","x":3}`},
			{"ALTER TABLE a MODIFY v BIGINT NOT NULL", true, false, `{"id":2,"v":2,"e":"y","x":3}`},
			{"ALTER TABLE a DROP x", true, false, `{"id":2,"v":2,"e":"y"}`},
			{"ANALYZE TABLE a", false, false, `{"id":2,"v":2,"e":"y"}`},
			{"ALTER TABLE a DROP PRIMARY KEY, ADD PRIMARY KEY (v)", true, true, `{"id":1,"v":1,"e":"x"}`},
		} {
			other := chunkReader(t, d.source(t)) // which knows the table as it was
			if _, err := other.Read(t.Context(), all); err != nil {
				t.Fatal(err)
			}
			d.exec(t, tt.statement)
			chunk, err := r.Read(t.Context(), rest)
			if tt.stale != errors.Is(err, cdc.ErrChunkStale) || err != nil && !tt.stale {
				t.Errorf("%s: got %v", tt.statement, err)
			}
			if tt.stale {
				chunk, err = r.Read(t.Context(), rest)
			}
			if tt.key {
				if !errors.Is(err, cdc.ErrChunkBounds) {
					t.Errorf("%s: with a bound of the old key: got %v", tt.statement, err)
				}
				chunk, err = r.Read(t.Context(), all)
			}
			if err != nil {
				t.Fatalf("%s: %v", tt.statement, err)
			}
			if tt.key {
				next := all
				next.Range = chunk.Rest
				if _, err := other.Read(t.Context(), next); err != nil {
					t.Errorf("%s: with a bound of the new key, that this reader did not know: got %v", tt.statement, err)
				}
			}
			if len(chunk.Rows) != 1 || string(chunk.Rows[0].After) != tt.want {
				t.Errorf("%s: got %s, want %s", tt.statement, chunk.Rows[0].After, tt.want)
			}
		}
		d.exec(t, "TRUNCATE TABLE a")
		if chunk, err := r.Read(t.Context(), all); err != nil || len(chunk.Rows) > 0 || !chunk.Done {
			t.Errorf("truncated: got %v, %v", chunk, err)
		}
		d.exec(t, "DROP TABLE a")
		for range 2 {
			if _, err := r.Read(t.Context(), all); !errors.Is(err, cdc.ErrNoTable) {
				t.Errorf("dropped: got %v", err)
			}
			if _, err := r.Split(t.Context(), d.schema, "a", 2); !errors.Is(err, cdc.ErrNoTable) {
				t.Errorf("dropped: split: got %v", err)
			}
		}
	})
}

// TestChunkDuringDDL: columns come and go while chunks are read. Each chunk has the columns that its table says, or is stale.
func TestChunkDuringDDL(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "chunkraces")
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY)")
		d.exec(t, "INSERT INTO a VALUES (1), (2), (3)")
		r := chunkReader(t, d.source(t))
		var ddl sync.WaitGroup
		ddl.Go(func() {
			for i := range 30 {
				statement := fmt.Sprintf("ALTER TABLE a ADD c%d INT DEFAULT %[1]d", i)
				if i%2 == 1 {
					statement = fmt.Sprintf("ALTER TABLE a DROP c%d", i-1)
				}
				if _, err := d.Exec(statement); err != nil {
					t.Error(err)
				}
			}
		})
		done := make(chan struct{})
		go func() { ddl.Wait(); close(done) }()
		read, stale := 0, 0
		for over := false; !over; {
			select {
			case <-done:
				over = true
			default:
			}
			chunk, err := d.chunk(t, r, "a", cdc.Position{})
			if errors.Is(err, cdc.ErrChunkStale) {
				stale++
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			read++
			for _, row := range chunk.Rows {
				image := parseImage(t, string(row.After))
				for _, c := range chunk.Table.Columns {
					if value := string(image[c.Name]); c.Name != "id" && "c"+value != c.Name {
						t.Fatalf("column %s of %s", c.Name, row.After)
					}
				}
				if len(image) != len(chunk.Table.Columns) {
					t.Fatalf("%s has not the columns %v", row.After, chunk.Table.Columns)
				}
			}
		}
		t.Logf("%d chunks, %d of them stale", read+stale, stale)
		if stale == 0 || read == 0 {
			t.Errorf("%d chunks were read and %d stale, want some of each", read, stale)
		}
	})
}

// TestChunkReaderEnds: a connection that breaks may pass, and Close ends what is under way.
func TestChunkReaderEnds(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "chunkends")
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY)")
		d.exec(t, "INSERT INTO a VALUES (1)")
		r := chunkReader(t, d.source(t))
		if _, err := d.chunk(t, r, "a", cdc.Position{}); err != nil {
			t.Fatal(err)
		}
		for _, row := range d.rows(t, "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = ? AND COMMAND = 'Sleep'", servers.CDCUser) {
			_, _ = d.Exec("KILL " + row[0])
		}
		if _, err := d.chunk(t, r, "a", cdc.Position{}); !errors.Is(err, cdc.ErrUnavailable) {
			t.Errorf("killed: got %v, want ErrUnavailable", err)
		}
		// A transaction that the server never gets.
		lost := d.executed(t)
		if lost.GTIDs = "4711-1-1"; kind == servers.MySQL {
			lost.GTIDs = "11111111-2222-3333-4444-555555555555:1"
		} else {
			lost.File = lost.File[:strings.LastIndex(lost.File, ".")] + ".999999"
		}
		ended := make(chan error, 1)
		reading := chunkReader(t, d.source(t))
		go func() {
			_, err := reading.Read(context.Background(), cdc.ChunkRequest{Schema: d.schema, Table: "a", MaxRows: 1, MaxBytes: 1, Delivered: lost})
			ended <- err
		}()
		waitFor(t, d, ended)
		if err := reading.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, cdc.ErrUnavailable) || !strings.Contains(err.Error(), "closed") {
			t.Errorf("closed: got %v", err)
		}
		if _, err := d.chunk(t, reading, "a", cdc.Position{}); !errors.Is(err, cdc.ErrUnavailable) {
			t.Errorf("behind Close: got %v", err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		enough := errors.New("enough")
		cancel(enough)
		if _, err := r.Read(ctx, cdc.ChunkRequest{Schema: d.schema, Table: "a", MaxRows: 1, MaxBytes: 1}); !errors.Is(err, enough) {
			t.Errorf("cancelled: got %v", err)
		}
	})
}

// waitFor returns when the ordinary user waits for a transaction, or asks again and again.
func waitFor(t *testing.T, d *database, ended <-chan error) {
	t.Helper()
	for {
		if n := d.value(t, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = ? AND (INFO LIKE '%WAIT_FOR_EXECUTED%' OR INFO LIKE 'SHOW %')",
			servers.CDCUser); n != "0" {
			return
		}
		select {
		case err := <-ended:
			t.Fatalf("the reader does not wait: %v", err)
		default:
		}
	}
}

// TestChunkScheduling: a server that does not know what it has committed is refused.
func TestChunkScheduling(t *testing.T) {
	d := open(t, private(t, servers.MariaDB, "--binlog-optimize-thread-scheduling=0").Address(), "scheduling")
	mentions(t, problems(t, d.source(t)), "binlog_optimize_thread_scheduling")
	if _, err := d.source(t).OpenChunks(t.Context()); err == nil || !strings.Contains(err.Error(), "binlog_optimize_thread_scheduling") || errors.Is(err, cdc.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// TestChunkGrants: what Check demands is enough.
func TestChunkGrants(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, ownServer(t, kind), "chunkgrants")
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY)")
		d.exec(t, "CREATE TABLE b (id INT PRIMARY KEY)")
		d.exec(t, "INSERT INTO a WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n+1 FROM c WHERE n < 499) SELECT n FROM c")
		d.exec(t, "ANALYZE TABLE a, b")
		d.exec(t, "DROP USER IF EXISTS chunker@'%'")
		d.exec(t, "CREATE USER chunker@'%' IDENTIFIED BY 'secret'")
		t.Cleanup(func() { d.exec(t, "DROP USER chunker@'%'") })
		login := func(c *binlog.Config) { c.User, c.Password = "chunker", "secret" }
		d.mend(t, problems(t, d.source(t, login)))
		mentions(t, problems(t, d.source(t, login)))
		for variable, value := range map[string]string{"max_statement_time": "0.000001", "max_execution_time": "1", "lock_wait_timeout": "1", "wait_timeout": "1"} {
			if kind == servers.MySQL == (variable == "max_statement_time") || kind == servers.MariaDB && variable == "max_execution_time" {
				continue
			}
			before := d.value(t, "SELECT @@GLOBAL."+variable)
			d.exec(t, "SET GLOBAL "+variable+" = "+value)
			t.Cleanup(func() { d.exec(t, "SET GLOBAL "+variable+" = "+before) })
		}
		source := d.source(t, login)
		tables := d.list(t, "least privilege", login)
		if len(tables) != 2 || tables[0].Rows < 300 || tables[0].Rows > 700 {
			t.Errorf("tables %v, want a with about 500 rows, and b", tables)
		}
		r := chunkReader(t, source)
		if ranges, err := r.Split(t.Context(), d.schema, "a", 3); err != nil || len(ranges) != 3 {
			t.Errorf("split: got %v, %v", ranges, err)
		}
		if rows, _ := walk(t, r, cdc.ChunkRequest{Schema: d.schema, Table: "a", MaxRows: 100, Delivered: d.executed(t)}); len(rows) != 500 {
			t.Errorf("%d rows, want 500", len(rows))
		}
		d.exec(t, "REVOKE SELECT ON chunkgrants.* FROM chunker@'%'")
		if _, err := d.chunk(t, chunkReader(t, source), "a", cdc.Position{}); err == nil || errors.Is(err, cdc.ErrUnavailable) {
			t.Errorf("without SELECT: got %v", err)
		}
	})
}
