package cdc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

// history is what a source has committed, as the records it must become: the oracle of the relay's tests.
type history struct {
	ids     []string            // in commit order
	records map[string][]string // of a transaction, in order
	open    []prepared          // XA transactions that wait
	named   int
	tables  []*cdc.Table // as they are now
}

// prepared is an XA transaction with the records that its commit must become.
type prepared struct {
	xid  string
	want []string
}

// commit executes n random transactions: empty, small, filtered and huge ones, with deletes and key changes, some of them prepared, and
// committed or rolled back later; and statements that alter, empty, rename or drop tables.
func (h *history) commit(source *cdc.MemorySource, rnd *rand.Rand, n int) {
	if h.records == nil {
		h.records = map[string][]string{}
		for _, name := range []string{"product", "stock", "ignored"} {
			h.tables = append(h.tables, &cdc.Table{Schema: "shop", Name: name, Columns: []cdc.Column{{Name: "id", Type: "int"}}, Key: []int{0}})
		}
	}
	for range n {
		if rnd.IntN(6) == 0 {
			h.execute(source, rnd)
			continue
		}
		var changes []cdc.Change
		rows := rnd.IntN(5)
		if rnd.IntN(20) == 0 {
			rows = 40
		}
		var want []string
		for row := range uint64(rows) {
			table := h.tables[rnd.IntN(len(h.tables))]
			c := cdc.Change{Table: table, Key: fmt.Appendf(nil, `{"id":%d}`, rnd.IntN(40))}
			image := fmt.Appendf(nil, `{"id":%d,"n":%d}`, rnd.IntN(40), rnd.Int())
			switch rnd.IntN(5) {
			case 0:
				c.Op, c.Before = cdc.Delete, image
			case 1:
				c.Op, c.Before, c.After = cdc.Update, image, image
				c.OldKey = fmt.Appendf(nil, `{"id":%d}`, 40+rnd.IntN(40))
			case 2:
				c.Op, c.After = cdc.Create, image
			default:
				c.Op, c.Before, c.After = cdc.Update, image, image
			}
			if rnd.IntN(4) == 0 {
				c.Absent = &eventstore.Absent{Before: []string{"b"}, After: []string{"a", "x"}}
			}
			changes = append(changes, c)
			if table.Name == "ignored" {
				continue
			}
			record := func(kind uint64, op byte, key, before, after []byte) {
				absent := ""
				if c.Absent != nil && before != nil {
					absent = "b"
				}
				if c.Absent != nil && after != nil {
					absent += " a x"
				}
				want = append(want, fmt.Sprintf("%s %d %c %s %s %s %s%s", table, eventstore.RowIndex(row, kind), op, key, before, after, columns(table, op), absent))
			}
			switch {
			case c.OldKey != nil:
				record(eventstore.RowRecord, 'd', c.OldKey, c.Before, nil)
				record(eventstore.TombstoneRecord, '-', c.OldKey, nil, nil)
				record(eventstore.RekeyRecord, 'c', c.Key, nil, c.After)
			case c.Op == cdc.Delete:
				record(eventstore.RowRecord, 'd', c.Key, c.Before, nil)
				record(eventstore.TombstoneRecord, '-', c.Key, nil, nil)
			default:
				record(eventstore.RowRecord, byte(c.Op), c.Key, c.Before, c.After)
			}
		}
		switch rnd.IntN(8) {
		case 0:
			h.named++
			xid := fmt.Sprint("xa", h.named)
			h.add(nil)(source.Prepare(xid, changes...))
			h.open = append(h.open, prepared{xid, want})
			continue
		case 1, 2:
			if len(h.open) == 0 {
				break
			}
			at := rnd.IntN(len(h.open))
			xa := h.open[at]
			h.open = slices.Delete(h.open, at, at+1)
			if rnd.IntN(3) == 0 {
				h.add(nil)(source.RollbackPrepared(xa.xid))
			} else {
				h.add(xa.want)(source.CommitPrepared(xa.xid))
			}
			continue
		}
		h.add(want)(source.Commit(changes...), nil)
	}
}

// execute executes a random statement about one or two tables.
func (h *history) execute(source *cdc.MemorySource, rnd *rand.Rand) {
	var changes []cdc.SchemaChange
	var want []string
	for row := range uint64(1 + rnd.IntN(2)) {
		at := rnd.IntN(len(h.tables))
		table := h.tables[at]
		c := cdc.SchemaChange{Schema: table.Schema, Table: table.Name, Statement: "statement"}
		switch rnd.IntN(4) {
		case 0:
			c.Op = eventstore.SchemaTruncate
		case 1:
			c.Op = eventstore.SchemaDrop
		case 2:
			c.Op, c.ToSchema, c.ToTable = eventstore.SchemaRename, "shop", "product" // a swap: the rows stay
		default:
			c.Op = eventstore.SchemaAlter
			altered := *table
			altered.Columns = append(slices.Clip(table.Columns), cdc.Column{Name: fmt.Sprint("c", rnd.Int()), Type: "int"})
			h.tables[at] = &altered
		}
		changes = append(changes, c)
		if table.Name == "ignored" && c.ToTable == "" {
			continue
		}
		want = append(want, fmt.Sprintf(`schema %d {"db":"shop","table":"%s"}`, eventstore.SchemaIndex(row), table.Name))
		if c.Op == eventstore.SchemaTruncate || c.Op == eventstore.SchemaDrop {
			want = append(want, fmt.Sprintf("%s %d t {}   ", table, eventstore.RowIndex(row, eventstore.RowRecord)))
		}
	}
	h.add(want)(source.Execute(changes...), nil)
}

// columns are those that the log must name for a record; tombstones name none.
func columns(table *cdc.Table, op byte) string {
	if op == '-' {
		return ""
	}
	var all []eventstore.ColumnDefinition
	for _, c := range table.Columns {
		all = append(all, eventstore.ColumnDefinition{Name: c.Name, Type: c.Type})
	}
	return fmt.Sprint(all)
}

// settle commits what is still prepared.
func (h *history) settle(source *cdc.MemorySource) {
	for _, xa := range h.open {
		h.add(xa.want)(source.CommitPrepared(xa.xid))
	}
	h.open = nil
}

// add notes what a transaction must become.
func (h *history) add(want []string) func(id string, err error) {
	return func(id string, err error) {
		if err != nil {
			panic(err)
		}
		h.ids = append(h.ids, id)
		h.records[id] = want
	}
}

// check reads the whole log and compares: each record once, whole, under one csn a transaction; in commit order if ordered.
func (h *history) check(t *testing.T, log eventstore.Log, ordered bool) {
	t.Helper()
	head, found, err := log.Head(t.Context())
	if err != nil || !found {
		t.Fatalf("head: %v, found %v", err, found)
	}
	got := map[string][]string{}
	number := map[string]eventstore.CSN{}
	used := map[eventstore.CSN]string{}
	var order []string
	last := map[eventstore.Partition]eventstore.Place{}
	var schemas eventstore.Schemas
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for cut, err := range log.Cuts(ctx, eventstore.CutOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		var id string
		for rec, err := range cut.Records() {
			if err != nil {
				t.Fatal(err)
			}
			p := eventstore.Partition{Topic: rec.Topic, Number: rec.Partition}
			if before, ok := last[p]; ok && rec.Place.Compare(before) <= 0 {
				t.Fatalf("partition %v: place %v after %v", p, rec.Place, before)
			}
			last[p] = rec.Place
			if rec.Topic == eventstore.SchemaTopic {
				var c eventstore.SchemaChange
				if err := eventstore.ParseSchema(rec, &c); err != nil {
					t.Fatal(err)
				}
				if schemas.Observe(&c); c.Op == eventstore.SchemaDefine {
					continue
				}
				id = c.GTID
			}
			var row eventstore.RowChange
			line := fmt.Sprintf("%s %d - %s   ", rec.Topic, rec.Index, rec.Key)
			switch {
			case rec.Topic == eventstore.SchemaTopic:
				line = fmt.Sprintf("%s %d %s", rec.Topic, rec.Index, rec.Key)
			case rec.Value != nil:
				if err := eventstore.ParseRow(rec, &row); err != nil {
					t.Fatal(err)
				}
				if row.Op == byte(cdc.Read) {
					continue // what a table has that is renamed into the choice
				}
				id = row.GTID
				line = fmt.Sprintf("%s %d %c %s %s %s ", rec.Topic, rec.Index, row.Op, rec.Key, row.Before, row.After)
				if d, ok := schemas.Lookup(row.Definition); ok {
					line += fmt.Sprint(d.Columns)
				}
				if row.Absent != nil {
					for _, name := range row.Absent.Before {
						line += name
					}
					for _, name := range row.Absent.After {
						line += " " + name
					}
				}
			}
			if csn, seen := number[id]; seen && csn != rec.CSN {
				t.Fatalf("transaction %s has csn %d and %d", id, csn, rec.CSN)
			} else if !seen {
				if other, taken := used[rec.CSN]; taken {
					t.Fatalf("csn %d is %s and %s", rec.CSN, other, id)
				}
				number[id], used[rec.CSN] = rec.CSN, id
				order = append(order, id)
			}
			got[id] = append(got[id], line)
		}
		if cut.CSN >= head.CSN {
			break
		}
	}
	at := 0
	for _, id := range h.ids {
		want := h.records[id]
		if fmt.Sprint(got[id]) != fmt.Sprint(want) {
			t.Fatalf("transaction %s:\n got %q\nwant %q", id, got[id], want)
		}
		if len(want) == 0 {
			continue
		}
		if ordered && order[at] != id {
			t.Fatalf("transaction %d in the log is %s, want %s", at, order[at], id)
		}
		at++
	}
	if at != len(order) {
		t.Fatalf("the log has %d transactions with rows, want %d", len(order), at)
	}
}
