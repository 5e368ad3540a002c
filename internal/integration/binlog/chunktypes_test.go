package binlog

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestChunkKeys: a table with each type that an index can hold as its key, alone, in groups, descending, and of each character set. The
// chunks of any size have the rows of one SELECT, byte for byte and each once, and each bound divides them, whoever reads it.
func TestChunkKeys(t *testing.T) {
	v := &verifier{seed: number(t, "SEED", rand.Uint64()), values: int(number(t, "VALUES", 1))}
	t.Logf("seed %d", v.seed)
	onEach(t, func(t *testing.T, kind servers.Kind) {
		rnd := v.random("chunks", kind)
		cs := append(v.keyColumns(rnd, kind), anyCase)
		chunked := func(name, schema string, tables [][]column) {
			t.Run(name, func(t *testing.T) {
				d := open(t, servers.Find(t, kind), schema)
				w := d.writer(t)
				for i, columns := range tables {
					vt := &valueTable{name: fmt.Sprintf("t%d", i), columns: columns, keys: len(columns)}
					w.insert(t, vt, 2)
					d.divide(t, rnd, vt)
				}
			})
		}
		chunked("alone", "chunkalone", groups(cs, 1))
		rnd.Shuffle(len(cs), func(i, j int) { cs[i], cs[j] = cs[j], cs[i] })
		chunked("groups", "chunkgroups", groups(cs, 3))
	})
}

// divide reads a table in chunks.
func (d *database) divide(t *testing.T, rnd *rand.Rand, vt *valueTable) {
	t.Helper()
	var defines []string
	for _, c := range vt.columns {
		defines = append(defines, fmt.Sprintf("%.60s", c.define))
	}
	what := vt.name + " (" + strings.Join(defines, ", ") + ")"
	want := selectAll(t, d.source(t), d.schema, vt.name, "")
	slices.SortFunc(want, compareRows)
	r, other := chunkReader(t, d.source(t)), chunkReader(t, d.source(t))
	defer r.Close()
	defer other.Close()
	same := func(how string, got [][2]string) {
		t.Helper()
		got = slices.Clone(got)
		slices.SortFunc(got, compareRows)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %s: %d rows, want %d", what, how, len(got), len(want))
		}
	}
	req := cdc.ChunkRequest{Schema: d.schema, Table: vt.name}
	var bounds []string
	for _, n := range []int{1000, 7, 2, 1} {
		req.MaxRows = n
		var got [][2]string
		got, bounds = walk(t, r, req)
		same(fmt.Sprint("chunks of ", n), got)
	}
	req.MaxRows = 1000
	rnd.Shuffle(len(bounds), func(i, j int) { bounds[i], bounds[j] = bounds[j], bounds[i] })
	for _, bound := range bounds[:min(len(bounds), 8)] {
		req.Range = cdc.ChunkRange{Until: bound}
		head, _ := walk(t, other, req)
		req.Range = cdc.ChunkRange{After: bound}
		tail, _ := walk(t, other, req)
		same("divided at "+bound, append(head, tail...))
	}
}
