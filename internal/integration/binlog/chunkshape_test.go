package binlog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestChunkShapes: tables of other shapes, and other engines, are walked through as well.
func TestChunkShapes(t *testing.T) {
	keys := func(columns ...string) func(*binlog.Config) {
		return func(c *binlog.Config) { c.Keys = cdc.Keys{{Tables: "*.*", Columns: columns}} }
	}
	const five = "VALUES (1, 5, 'a'), (2, 4, 'B'), (3, 3, 'á'), (4, 2, 'b'), (5, 1, '')"
	for _, tt := range []struct {
		name, define string
		edit         func(*binlog.Config)
		shared       bool
	}{
		{name: "descending", define: "(a INT, b INT, c VARCHAR(9), PRIMARY KEY (c DESC, a))"},
		{name: "mixed", define: "(a INT, b INT, c VARCHAR(9), PRIMARY KEY (b, c DESC, a))"},
		{name: "unique", define: "(a INT NOT NULL, b INT NOT NULL, c VARCHAR(9), UNIQUE z (b), UNIQUE y (c, a))", edit: keys("a"), shared: true},
		{name: "unique key", define: "(a INT NOT NULL, b INT NOT NULL, c VARCHAR(9), UNIQUE z (b))", edit: keys("c", "b")},
		{name: "invisible", define: "(a INT, b INT, c VARCHAR(9), d INT INVISIBLE AUTO_INCREMENT PRIMARY KEY)"},
		{name: "excluded", define: "(a INT, b INT PRIMARY KEY, c VARCHAR(9))", edit: func(c *binlog.Config) {
			c.Columns = cdc.Columns{Exclude: []string{"*.*.a"}, Masks: []cdc.Mask{cdc.Redact("*", "*.*.c")}}
		}},
		{name: "partitions", define: "(a INT, b INT PRIMARY KEY, c VARCHAR(9)) PARTITION BY HASH (b) PARTITIONS 3"},
		{name: "no transactions", define: "(a INT, b INT, c VARCHAR(9), PRIMARY KEY (b)) ENGINE=MyISAM"},
		{name: "comment", define: "(a INT AUTO_INCREMENT, b INT COMMENT 'x\n) AUTO_INCREMENT=7', c VARCHAR(9), PRIMARY KEY (a))"},
		{name: "names", define: "(`a``\"'\\\\` INT, `b,:` INT, c VARCHAR(9), PRIMARY KEY (`b,:`, `a``\"'\\\\`))"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, kind servers.Kind) {
				d := open(t, servers.Find(t, kind), "chunkshapes")
				w := d.writer(t)
				w.exec(t, "CREATE TABLE `t-1` "+tt.define)
				w.exec(t, "INSERT INTO `t-1` "+five)
				edit := tt.edit
				if edit == nil {
					edit = func(*binlog.Config) {}
				}
				want := selectAll(t, d.source(t, edit), d.schema, "t-1", "")
				slices.SortFunc(want, compareRows)
				r := chunkReader(t, d.source(t, edit))
				if chunk, err := d.chunk(t, r, "t-1", cdc.Position{}); err != nil || chunk.Shared != tt.shared {
					t.Errorf("shared %v, want %v: %v", chunk.Shared, tt.shared, err)
				}
				for _, n := range []int{1, 2, 5} {
					got, _ := walk(t, r, cdc.ChunkRequest{Schema: d.schema, Table: "t-1", MaxRows: n, Delivered: d.executed(t)})
					if slices.SortFunc(got, compareRows); !slices.Equal(got, want) || len(got) != 5 {
						t.Errorf("chunks of %d: got %q, want %q", n, got, want)
					}
					w.exec(t, "UPDATE `t-1` SET c = c") // nothing of the definition
				}
				if tables := d.list(t, tt.name); len(tables) != 1 || tables[0].Name != "t-1" {
					t.Errorf("tables %v", tables)
				}
			})
		})
	}
}

// TestChunkWhere: a condition is asked of a bounded number of rows in one transaction, few of which may meet it.
func TestChunkWhere(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "chunkwhere")
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY, v INT)")
		d.exec(t, "INSERT INTO a WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n+1 FROM c WHERE n < 499) SELECT n, n % 100 FROM c")
		r := chunkReader(t, d.source(t))
		for _, tt := range []struct {
			where  string
			rows   int
			chunks int
		}{
			{"v = 7", 5, 11}, {"v = 1 OR v = 2 -- or 3", 10, 11}, {"v < 0", 0, 11}, {"id >= 0", 500, 101}, {"id < 3", 3, 11},
		} {
			got, bounds := walk(t, r, cdc.ChunkRequest{Schema: d.schema, Table: "a", Where: tt.where, MaxRows: 5})
			if len(got) != tt.rows || len(bounds)+1 != tt.chunks {
				t.Errorf("%s: %d rows in %d chunks, want %d in %d", tt.where, len(got), len(bounds)+1, tt.rows, tt.chunks)
			}
		}
		// What is wrong with a condition is not taken for a table that changed, or is gone.
		for where, want := range map[string]string{"v =": "syntax", "w = 7": "Unknown column", "id IN (SELECT id FROM chunkwhere.nowhere)": "nowhere", "id IN (SELECT id FROM no.where)": "no"} {
			_, err := r.Read(t.Context(), cdc.ChunkRequest{Schema: d.schema, Table: "a", Where: where, MaxRows: 5, MaxBytes: 1000})
			if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, cdc.ErrChunkStale) || errors.Is(err, cdc.ErrNoTable) || errors.Is(err, cdc.ErrUnavailable) {
				t.Errorf("a wrong condition, %s: got %v", where, err)
			}
		}
		d.exec(t, "ALTER TABLE a RENAME COLUMN v TO w")
		if _, err := r.Read(t.Context(), cdc.ChunkRequest{Schema: d.schema, Table: "a", Where: "v = 7", MaxRows: 5, MaxBytes: 1000}); err == nil {
			t.Error("a column that was renamed: no error")
		}
		d.exec(t, "DROP TABLE a")
		if _, err := r.Read(t.Context(), cdc.ChunkRequest{Schema: d.schema, Table: "a", Where: "v = 7", MaxRows: 5, MaxBytes: 1000}); !errors.Is(err, cdc.ErrNoTable) {
			t.Errorf("a table that is gone: got %v", err)
		}
	})
}

// TestChunkWidens: rows that become wider while they are read again, because they were too wide, are read once more.
func TestChunkWidens(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "chunkwidens")
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY, v LONGTEXT)")
		d.exec(t, "INSERT INTO a WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n+1 FROM c WHERE n < 99) SELECT n, '' FROM c")
		source, over, ended := d.source(t), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			for width := 1000; ; width = 6000 - width {
				select {
				case <-over:
					return
				default:
				}
				if _, err := d.Exec("UPDATE a SET v = REPEAT('x', ?)", width); err != nil {
					t.Error(err)
					return
				}
			}
		}()
		for range 30 {
			r := chunkReader(t, source) // which knows nothing of the rows' width
			chunk, err := r.Read(t.Context(), cdc.ChunkRequest{Schema: d.schema, Table: "a", MaxRows: 100, MaxBytes: 20_000})
			if err != nil || len(chunk.Rows) == 0 {
				t.Errorf("got %v, want rows", err)
				break
			}
		}
		close(over)
		<-ended
	})
}

// TestChunkBytes: a chunk ends in front of the row that would be too much, and has one at least.
func TestChunkBytes(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "chunkbytes")
		d.exec(t, "CREATE TABLE a (k VARCHAR(700), v LONGTEXT, PRIMARY KEY (k))")
		for i := range 60 {
			size := []int{10, 100, 1000, 5000, 70_000}[i%5]
			if i == 30 {
				size = 3_000_000
			}
			d.exec(t, "INSERT INTO a VALUES (?, REPEAT('x', ?))", fmt.Sprintf("%03d%s", i, strings.Repeat("k", 600)), size)
		}
		want := selectAll(t, d.source(t), d.schema, "a", "")
		slices.SortFunc(want, compareRows)
		for _, most := range []int{1, 20_000, 100_000, 1 << 30} {
			r := chunkReader(t, d.source(t))
			var got [][2]string
			req := cdc.ChunkRequest{Schema: d.schema, Table: "a", MaxRows: 50, MaxBytes: most}
			for done := false; !done; {
				chunk, err := r.Read(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				size := 0
				for _, row := range chunk.Rows {
					size += len(row.Key) + len(row.After)
					got = append(got, [2]string{string(row.Key), string(row.After)})
				}
				if size > most && len(chunk.Rows) > 1 {
					t.Errorf("%d bytes in %d rows, want at most %d", size, len(chunk.Rows), most)
				}
				req.Range, done = chunk.Rest, chunk.Done
			}
			if slices.SortFunc(got, compareRows); !slices.Equal(got, want) {
				t.Errorf("%d bytes a chunk: %d rows, want %d", most, len(got), len(want))
			}
		}
	})
}
