package cdc

import (
	"fmt"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
)

// TestRenamedTables: tables that are renamed before their turn are read under their new names, each once, with their estimates; and what positions
// say does not grow with their number, unless their turn would be over.
func TestRenamedTables(t *testing.T) {
	const n = 1000
	filter := Filter{Include: []string{"shop.*"}}
	p, err := newProgress(beginning(filter, true), filter)
	if err != nil {
		t.Fatal(err)
	}
	list := []TableSize{{Schema: "shop", Name: "m", Rows: 1}}
	for i := range n {
		list = append(list, TableSize{Schema: "shop", Name: fmt.Sprintf("t%04d", i), Rows: uint64(100 + i)})
	}
	p.list(list)
	first := p.begin()
	if first.Table != "m" {
		t.Fatalf("began with %s", first.Table)
	}
	rename := func(from, to string) {
		p.statements([]SchemaChange{{Op: eventstore.SchemaRename, Schema: "shop", Table: from, ToSchema: "shop", ToTable: to}})
	}
	for i := range n {
		rename(fmt.Sprintf("t%04d", i), fmt.Sprintf("s%04d", n-i))
	}
	if text := p.Text(); len(text) > 300 {
		t.Errorf("after %d renames positions have %d bytes: %.300s", n, len(text), text)
	}
	rename("s0001", "a") // whose turn is over
	rename("m", "z")     // which is being read
	want := map[string]uint64{"a": 100 + n - 1, "z": 1}
	for i := range n - 1 {
		want[fmt.Sprintf("s%04d", n-i)] = uint64(100 + i)
	}
	if len(p.Tables) != 1 || p.Tables[0].Table != "a" || p.Tables[0].Estimate != want["a"] {
		t.Errorf("besides those to come %+v is to be read, want a", p.Tables)
	}
	for p.begin() != nil {
	}
	if len(p.Tables) != len(want) {
		t.Errorf("%d tables are to be read, want %d", len(p.Tables), len(want))
	}
	for _, table := range p.Tables {
		if estimate, ok := want[table.Table]; !ok || estimate != table.Estimate || p.Complete("shop", table.Table) {
			t.Errorf("%s is to be read, of %d rows; want %d", table.Table, table.Estimate, estimate)
		}
	}
}
