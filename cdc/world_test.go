package cdc_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

// world is a database that changes at random, and what its tables held after each transaction: the oracle of snapshots.
type world struct {
	source *cdc.MemorySource
	rnd    *rand.Rand
	tables map[string]*cdc.Table
	rows   rows
	after  map[string]rows // by GTID
	ids    []string
	begun  int // of the ids: where the log begins
	stamps map[eventstore.CSN]string
	locked map[string]bool // rows that a prepared transaction holds, as table and key
	xa     []preparedRows
	n      int
}

// rows are the images of tables ("shop.a"), by key.
type rows map[string]map[string]string

type preparedRows struct {
	xid     string
	changes []cdc.Change
}

func (r rows) clone() rows {
	c := rows{}
	for name, t := range r {
		c[name] = maps.Clone(t)
	}
	return c
}

func (r rows) apply(changes []cdc.Change) {
	for _, c := range changes {
		t := r[c.Table.String()]
		if c.OldKey != nil {
			delete(t, string(c.OldKey))
		}
		if c.Op == cdc.Delete {
			delete(t, string(c.Key))
		} else {
			t[string(c.Key)] = string(c.After)
		}
	}
}

func newWorld(t *testing.T, rnd *rand.Rand, filter cdc.Filter) *world {
	t.Helper()
	source, err := cdc.NewMemorySource(filter, 7)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{source: source, rnd: rnd, tables: map[string]*cdc.Table{}, rows: rows{}, after: map[string]rows{}, stamps: map[eventstore.CSN]string{}, locked: map[string]bool{}}
	for _, name := range []string{"a", "b", "c", "d"} {
		w.create("shop", name)
	}
	w.create("late", "x")
	w.create("late", "y")
	w.create("out", "o")
	return w
}

func (w *world) done(id string, err error) string {
	if err != nil {
		panic(err)
	}
	w.ids = append(w.ids, id)
	w.after[id] = w.rows.clone()
	return id
}

func (w *world) create(schema, name string) {
	table := &cdc.Table{Schema: schema, Name: name, Columns: []cdc.Column{{Name: "id", Type: "int"}}, Key: []int{0}}
	w.tables[table.String()] = table
	w.rows[table.String()] = map[string]string{}
	w.done(w.source.Execute(cdc.SchemaChange{Op: eventstore.SchemaCreate, Schema: schema, Table: name}), nil)
}

// names are those of the tables, sorted: seeds must say all.
func (w *world) names() []string { return slices.Sorted(maps.Keys(w.tables)) }

// commit executes a random transaction or, sometimes, a statement.
func (w *world) commit() {
	switch n := w.rnd.IntN(100); {
	case n < 6:
		w.statement()
	case n < 12:
		if changes := w.changes(3); len(changes) > 0 {
			w.n++
			xid := fmt.Sprint("xa", w.n)
			for _, c := range changes {
				w.locked[c.Table.String()+string(c.Key)] = true
				w.locked[c.Table.String()+string(c.OldKey)] = true
			}
			w.xa = append(w.xa, preparedRows{xid, changes})
			w.done(w.source.Prepare(xid, changes...))
		}
	case n < 20 && len(w.xa) > 0:
		w.settle(w.rnd.IntN(len(w.xa)))
	case n < 23:
		changes := w.changes(30)
		w.rows.apply(changes)
		w.done(w.source.Commit(changes...), nil)
	default:
		changes := w.changes(4)
		w.rows.apply(changes)
		w.done(w.source.Commit(changes...), nil)
	}
}

// settle ends a prepared transaction.
func (w *world) settle(at int) {
	xa := w.xa[at]
	w.xa = slices.Delete(w.xa, at, at+1)
	for _, c := range xa.changes {
		delete(w.locked, c.Table.String()+string(c.Key))
		delete(w.locked, c.Table.String()+string(c.OldKey))
	}
	if w.rnd.IntN(4) == 0 {
		w.done(w.source.RollbackPrepared(xa.xid))
		return
	}
	w.rows.apply(xa.changes)
	w.done(w.source.CommitPrepared(xa.xid))
}

// changes returns up to n changes of rows of any table, each row once.
func (w *world) changes(n int) []cdc.Change {
	var all []cdc.Change
	touched := map[string]bool{}
	for range w.rnd.IntN(n + 1) {
		name := w.names()[w.rnd.IntN(len(w.tables))]
		table := w.tables[name]
		key := fmt.Sprintf(`{"id":%d}`, w.rnd.IntN(25))
		free := func(key string) bool { return !touched[name+key] && !w.locked[name+key] }
		if !free(key) {
			continue
		}
		w.n++
		image := func(key string) []byte { return fmt.Appendf(nil, `%s,"n":%d}`, strings.TrimSuffix(key, "}"), w.n) }
		before, exists := w.rows[name][key]
		c := cdc.Change{Table: table, Op: cdc.Create, Key: []byte(key), After: image(key)}
		if exists {
			c.Op, c.Before = cdc.Update, []byte(before)
			switch w.rnd.IntN(4) {
			case 0:
				c.Op, c.After = cdc.Delete, nil
			case 1:
				to := fmt.Sprintf(`{"id":%d}`, w.rnd.IntN(25))
				if _, taken := w.rows[name][to]; !taken && free(to) {
					c.OldKey, c.Key, c.After = []byte(key), []byte(to), image(to)
					touched[name+to] = true
				}
			}
		}
		touched[name+key] = true
		all = append(all, c)
	}
	return all
}

// statement executes a statement about a table, unless a prepared transaction holds it.
func (w *world) statement() {
	name := w.names()[w.rnd.IntN(len(w.tables))]
	for lock := range w.locked {
		if strings.HasPrefix(lock, name+"{") {
			return
		}
	}
	table := w.tables[name]
	c := cdc.SchemaChange{Schema: table.Schema, Table: table.Name}
	fresh := func() string { w.n++; return fmt.Sprintf("%c%d", 'a'+w.rnd.IntN(26), w.n) }
	rename := func(from string, schema, to string) {
		renamed := *w.tables[from]
		renamed.Schema, renamed.Name = schema, to
		w.tables[renamed.String()], w.rows[renamed.String()] = &renamed, w.rows[from]
		delete(w.tables, from)
		delete(w.rows, from)
	}
	switch w.rnd.IntN(7) {
	case 0:
		c.Op = eventstore.SchemaTruncate
		clear(w.rows[name])
	case 1:
		if len(w.tables) < 6 {
			return
		}
		c.Op = eventstore.SchemaDrop
		delete(w.tables, name)
		delete(w.rows, name)
	case 2:
		c.Op = eventstore.SchemaAlter
		altered := *table
		altered.Columns = append(slices.Clip(table.Columns), cdc.Column{Name: fresh(), Type: "int"})
		w.tables[name] = &altered
	case 3:
		w.create([]string{"shop", "late", "out"}[w.rnd.IntN(3)], fresh())
		return
	case 4: // within, from or to what is captured, always to a new name
		c.Op, c.ToSchema, c.ToTable = eventstore.SchemaRename, []string{"shop", "late", "out"}[w.rnd.IntN(3)], fresh()
		rename(name, c.ToSchema, c.ToTable)
	default: // an online schema change: a copy outside takes the table's place
		if table.Schema == "out" {
			return
		}
		ghost := &cdc.Table{Schema: "out", Name: "_gho", Columns: table.Columns, Key: table.Key}
		var copied []cdc.Change
		for _, key := range slices.Sorted(maps.Keys(w.rows[name])) {
			copied = append(copied, cdc.Change{Table: ghost, Op: cdc.Create, Key: []byte(key), After: []byte(w.rows[name][key])})
		}
		w.tables["out._gho"], w.rows["out._gho"] = ghost, map[string]string{}
		w.done(w.source.Execute(cdc.SchemaChange{Op: eventstore.SchemaCreate, Schema: "out", Table: "_gho"}), nil)
		w.rows.apply(copied)
		w.done(w.source.Commit(copied...), nil)
		old := fresh()
		rename(name, "out", old)
		rename("out._gho", table.Schema, table.Name)
		w.done(w.source.Execute(
			cdc.SchemaChange{Op: eventstore.SchemaRename, Schema: table.Schema, Table: table.Name, ToSchema: "out", ToTable: old},
			cdc.SchemaChange{Op: eventstore.SchemaRename, Schema: "out", Table: "_gho", ToSchema: table.Schema, ToTable: table.Name}), nil)
		return
	}
	w.done(w.source.Execute(c), nil)
}

// check reads the log and compares it with the world: after every transaction the rows that the log tells are those of the tables, all of
// them where the log says that a table is whole, and a row that a snapshot has read is the row of that moment.
//
// A reader forgets the tables that are captured no longer: what is deleted meanwhile it is not told.
func (w *world) check(t *testing.T, log eventstore.Log, final cdc.Filter) (reads int) {
	t.Helper()
	head, found, err := log.Head(t.Context())
	if err != nil || !found {
		t.Fatalf("head: %v, found %v", err, found)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told, now := rows{}, w.at(w.begun)
	before := w.begun // transactions that the cuts before cover
	var cutBefore eventstore.CSN
	set := func(name, key, image string) {
		if told[name] == nil {
			told[name] = map[string]string{}
		}
		told[name][key] = image
	}
	var order []string
	number := map[string]eventstore.CSN{}
	var schemas eventstore.Schemas
	seen := map[eventstore.Place]bool{}
	for cut, err := range log.Cuts(ctx, eventstore.CutOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		progress, err := eventstore.ParseSnapshot(cut.Watermark.Position.Snapshot)
		if err != nil {
			t.Fatal(err)
		}
		last := progress.Filters[len(progress.Filters)-1]
		captured := func(name string) bool {
			schema, table, _ := strings.Cut(name, ".")
			return last.Match(schema, table)
		}
		maps.DeleteFunc(told, func(name string, _ map[string]string) bool { return !captured(name) })
		for rec, err := range cut.Records() {
			if err != nil {
				t.Fatal(err)
			}
			id := ""
			if seen[rec.Place] {
				t.Fatalf("two records at %v", rec.Place)
			}
			seen[rec.Place] = true
			step := func() {
				if csn, known := number[id]; known && csn != rec.CSN {
					t.Fatalf("transaction %s has csn %d and %d", id, csn, rec.CSN)
				} else if known {
					return
				}
				number[id] = rec.CSN
				if !strings.HasPrefix(id, cdc.ChunkPrefix) {
					order = append(order, id)
				}
				n := before
				for csn := cutBefore + 1; csn < rec.CSN; csn++ {
					n = max(n, w.number(w.stamps[csn]))
				}
				now = w.at(max(n, w.number(id)))
			}
			if rec.Topic == eventstore.SchemaTopic {
				var c eventstore.SchemaChange
				if err := eventstore.ParseSchema(rec, &c); err != nil {
					t.Fatal(err)
				}
				id = c.GTID
				schemas.Observe(&c)
				if c.Op == eventstore.SchemaDefine {
					continue
				}
				step()
				from, to := c.Schema+"."+c.Table, c.ToSchema+"."+c.ToTable
				if c.Op == eventstore.SchemaRename {
					if captured(from) && captured(to) {
						told[to] = told[from]
						delete(told, from)
					}
				}
				continue
			}
			var r eventstore.RowChange
			if rec.Value == nil {
				continue
			}
			if err := eventstore.ParseRow(rec, &r); err != nil {
				t.Fatal(err)
			}
			id = r.GTID
			step()
			name := r.Schema + "." + r.Table
			if _, ok := schemas.Lookup(r.Definition); !ok && r.Op != 't' {
				t.Fatalf("csn %d: the definition of %s is not in the log before its row", rec.CSN, name)
			}
			switch r.Op {
			case 't':
				delete(told, name)
			case 'd':
				delete(told[name], string(rec.Key))
			case 'r':
				reads++
				if is := now[name][string(rec.Key)]; is != string(r.After) {
					t.Fatalf("csn %d (%s): a snapshot read %s of %s, which is %q after %s", rec.CSN, id, r.After, name, is, order[max(len(order)-1, 0):])
				}
				fallthrough
			default:
				set(name, string(rec.Key), string(r.After))
			}
		}
		cutBefore, before = cut.CSN, max(before, int(cut.Watermark.Position.Offset))
		now = w.at(before)
		for _, name := range w.names() {
			schema, table, _ := strings.Cut(name, ".")
			if is := now[name]; is != nil && progress.Complete(schema, table) {
				if !maps.Equal(told[name], is) {
					t.Fatalf("csn %d: %s is said to be whole\n the log has %v\nthe table has %v\n%s", cut.CSN, name, told[name], is, cut.Watermark.Position.Snapshot)
				}
			}
		}
		if cut.CSN >= head.CSN {
			for _, name := range w.names() {
				schema, table, _ := strings.Cut(name, ".")
				if final.Match(schema, table) && (!progress.Complete(schema, table) || len(progress.Tables) > 0) {
					t.Fatalf("%s is not whole at the end: %s", name, cut.Watermark.Position.Snapshot)
				}
				if final.Match(schema, table) && !maps.Equal(told[name], w.rows[name]) {
					t.Fatalf("at the end the log has %v of %s, the table %v", told[name], name, w.rows[name])
				}
			}
			break
		}
	}
	if !slices.IsSortedFunc(order, func(a, b string) int { return slices.Index(w.ids, a) - slices.Index(w.ids, b) }) {
		t.Fatalf("the log has the order %v", order)
	}
	return reads
}

// at is what the tables held after n transactions.
func (w *world) at(n int) rows {
	if n == 0 {
		return rows{}
	}
	return w.after[w.ids[n-1]]
}

// number is which transaction an id is, 0 for none.
func (w *world) number(id string) int { return slices.Index(w.ids, id) + 1 }
