package binlog

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// reader opens a reader of chunks.
func chunkReader(t testing.TB, source cdc.SnapshotSource) cdc.ChunkReader {
	t.Helper()
	r, err := source.OpenChunks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// walk reads a range by chunks of at most some rows, and returns keys and images.
func walk(t *testing.T, r cdc.ChunkReader, req cdc.ChunkRequest) (rows [][2]string, bounds []string) {
	t.Helper()
	req.MaxRows, req.MaxBytes = cmp.Or(req.MaxRows, 1000), cmp.Or(req.MaxBytes, 1<<30)
	for {
		chunk, err := r.Read(t.Context(), req)
		if err != nil {
			t.Fatalf("behind %q: %v", req.Range.After, err)
		}
		if len(chunk.Rows) > req.MaxRows {
			t.Fatalf("%d rows, want at most %d", len(chunk.Rows), req.MaxRows)
		}
		for _, row := range chunk.Rows {
			if row.Op != cdc.Read || row.Table != chunk.Table {
				t.Fatalf("a row with operation %c of table %v", row.Op, row.Table)
			}
			rows = append(rows, [2]string{string(row.Key), string(row.After)})
		}
		if chunk.Done {
			return rows, bounds
		}
		if chunk.Rest.After == req.Range.After {
			t.Fatalf("no progress behind %q", req.Range.After)
		}
		req.Range = chunk.Rest
		bounds = append(bounds, chunk.Rest.After)
	}
}

func compareRows(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) }

// TestChunkWalk: chunks of any size have the rows of one SELECT, each once.
func TestChunkWalk(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "chunkwalk")
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(10))")
		for i := range 20 {
			d.exec(t, fmt.Sprintf("INSERT INTO a VALUES (%d, 'v%d')", i*i, i))
		}
		want := selectAll(t, d.source(t), d.schema, "a", "")
		slices.SortFunc(want, compareRows)
		r := chunkReader(t, d.source(t))
		for _, n := range []int{1, 2, 7, 20, 1000} {
			got, bounds := walk(t, r, cdc.ChunkRequest{Schema: d.schema, Table: "a", MaxRows: n, Delivered: d.executed(t)})
			t.Log(bounds)
			slices.SortFunc(got, compareRows)
			if !slices.Equal(got, want) {
				t.Errorf("chunks of %d: got %d rows, want %d", n, len(got), len(want))
			}
		}
	})
}

// chunk reads all of a table at once.
func (d *database) chunk(t *testing.T, r cdc.ChunkReader, table string, delivered cdc.Position) (*cdc.Chunk, error) {
	t.Helper()
	return r.Read(t.Context(), cdc.ChunkRequest{Schema: d.schema, Table: table, MaxRows: 1000, MaxBytes: 1 << 20, Delivered: delivered})
}

// TestChunkIdle: on a server where nothing happens any more a chunk needs no further transaction to be good for something, also when the
// binlog has gone on without one, and whatever is known of the place of what was delivered.
func TestChunkIdle(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, ownServer(t, kind), "idle")
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY)")
		from := d.executed(t)
		d.exec(t, "INSERT INTO a VALUES (1)")
		stream, err := d.source(t).Open(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		slice, err := stream.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		last := add(t, from, slice.ID) // the place is not known
		known := last
		known.Server, known.File, known.Offset = slice.Server, slice.File, slice.Offset
		other := known
		other.Server = "4711"
		stream.(cdc.MarkedStream).Marks(true)
		for _, rotated := range []bool{false, true} {
			if rotated {
				d.exec(t, "FLUSH BINARY LOGS")
				d.exec(t, "FLUSH BINARY LOGS")
			}
			for name, delivered := range map[string]cdc.Position{"known": known, "unknown": last, "another server's": other, "executed": d.executed(t), "nothing": {}} {
				chunk, err := d.chunk(t, chunkReader(t, d.source(t)), "a", delivered)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if chunk.Low != nil || len(chunk.Rows) != 1 || !chunk.Done {
					t.Errorf("rotated %v, %s: got %d rows, low %v, want one row and no low", rotated, name, len(chunk.Rows), chunk.Low)
				}
				// The stream comes to High by what is no transaction.
				for place := (cdc.Coordinates{}); place.Compare(chunk.High) < 0; {
					mark, err := stream.Next(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if mark.ID != "" || mark.First || mark.Last {
						t.Fatalf("got a slice of %s, want a mark", mark.ID)
					}
					place = cdc.Coordinates{Server: mark.Server, File: mark.File, Offset: mark.Offset}
					if place.Server != chunk.High.Server {
						t.Fatalf("the stream is of server %s, the chunk of %s", place.Server, chunk.High.Server)
					}
				}
			}
		}
	})
}

// TestRecent: a stream that begins at the recent position has the rows of a transaction that is prepared now.
func TestRecent(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, private(t, kind).Address(), "recent")
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY)")
		recent := func() cdc.Position {
			p, err := d.source(t).Recent(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		if got, want := recent(), d.executed(t); got.GTIDs != want.GTIDs || got.File != want.File || got.Offset != want.Offset {
			t.Errorf("without XA: got %v, want %v", got, want)
		}
		d.purge(t)
		w := d.writer(t)
		for _, s := range []string{"XA START 'x'", "INSERT INTO a VALUES (1)", "XA END 'x'", "XA PREPARE 'x'"} {
			w.exec(t, s)
		}
		d.exec(t, "FLUSH BINARY LOGS")
		from := recent()
		w.exec(t, "XA COMMIT 'x'")
		if got := changes(read(t, d.source(t), from, d.executed(t))); len(got) != 1 {
			t.Errorf("%d changes behind %v, want 1", len(got), from)
		}
	})
}

// BenchmarkChunks reads a table of 100,000 rows in chunks.
//
//	go test -run '^$' -bench Chunks -benchtime 3x ./binlog
func BenchmarkChunks(b *testing.B) {
	for _, kind := range kinds {
		addr := benchServer(b, kind)
		d := &database{DB: connect(b, addr.DSN("")), kind: kind, addr: addr, schema: "bench"}
		_, delivered := benchBacklog(b, d, 100, 1000, false, false)
		for _, n := range []int{200, 2000, 10_000} {
			b.Run(fmt.Sprintf("%s/%d rows", kind, n), func(b *testing.B) {
				r := chunkReader(b, d.source(b))
				measure(b, 100_000, func() (rows int) {
					req := cdc.ChunkRequest{Schema: "bench", Table: "item", MaxRows: n, MaxBytes: 16 << 20, Delivered: delivered}
					for {
						chunk, err := r.Read(b.Context(), req)
						if err != nil {
							b.Fatal(err)
						}
						if rows += len(chunk.Rows); chunk.Done {
							return rows
						}
						req.Range = chunk.Rest
					}
				})
			})
		}
	}
}
