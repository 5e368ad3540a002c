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
