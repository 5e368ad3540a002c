package cdc

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
)

// windowSteps are what a transaction can do to two rows.
var windowSteps = [][]Change{
	{},
	{{Op: Update, Key: []byte("1")}},
	{{Op: Delete, Key: []byte("1")}},
	{{Op: Update, Key: []byte("2"), OldKey: []byte("1")}},
	{{Op: Update, Key: []byte("1"), OldKey: []byte("2")}},
	{{Op: Create, Key: []byte("2")}, {Op: Delete, Key: []byte("1")}},
}

func windowPlace(n int) Coordinates { return Coordinates{"s", "binlog.1", uint64(n)} }

// TestWindowExhaustively tries every history of three transactions, every place where the window opens, every view behind it and every high
// mark behind the view: the chunk is placed at the first transaction's end that has the mark, and each row is told right, by it or by the
// stream.
func TestWindowExhaustively(t *testing.T) {
	table := &Table{Schema: "s", Name: "t"}
	const n = 3
	cases := 0
	for history := range len(windowSteps) * len(windowSteps) * len(windowSteps) {
		states := []map[string]string{{"1": "0", "2": "0"}}
		var steps [][]Change
		for i, rest := 0, history; i < n; i, rest = i+1, rest/len(windowSteps) {
			var changes []Change
			state := maps.Clone(states[i])
			for _, c := range windowSteps[rest%len(windowSteps)] {
				c.Table, c.After = table, fmt.Append(nil, i+1)
				delete(state, string(c.OldKey))
				if state[string(c.Key)] = string(c.After); c.Op == Delete {
					delete(state, string(c.Key))
				}
				changes = append(changes, c)
			}
			steps, states = append(steps, changes), append(states, state)
		}
		for begun := range n + 1 {
			for view := begun; view <= n; view++ {
				for high := view; high <= n; high++ {
					cases++
					chunk := &Chunk{High: windowPlace(high)}
					for _, key := range slices.Sorted(maps.Keys(states[view])) {
						chunk.Rows = append(chunk.Rows, Change{Op: Read, Key: []byte(key), After: []byte(states[view][key])})
					}
					w := newWindow("s", "t", 1<<20)
					w.open(windowPlace(begun), Coordinates{}, nil, nil)
					w.read(chunk)
					told := map[string]bool{} // by the stream
					at := begun
					for ; ; at++ {
						place, why := w.decide(windowPlace(at), nil)
						if why != "" || place != (at >= high) {
							t.Fatalf("history %d, begun %d, view %d, high %d: at %d placed %v, discarded %q", history, begun, view, high, at, place, why)
						}
						if place {
							break
						}
						w.pass(&Slice{ID: "x", First: true, Last: true, Changes: steps[at], Server: "s", File: "binlog.1", Offset: uint64(at + 1)})
						for _, c := range steps[at] {
							told[string(c.Key)] = true
							told[string(c.OldKey)] = true
						}
					}
					for _, row := range w.rows() {
						if is := states[at][string(row.Key)]; is != string(row.After) {
							t.Fatalf("history %d, begun %d, view %d, high %d: row %s is %s in the chunk, %q at %d", history, begun, view, high, row.Key, row.After, is, at)
						}
						told[string(row.Key)] = true
					}
					for key := range states[at] {
						if !told[key] {
							t.Fatalf("history %d, begun %d, view %d, high %d: row %s is told by nobody", history, begun, view, high, key)
						}
					}
				}
			}
		}
	}
	if cases != 216*20 {
		t.Errorf("%d cases", cases)
	}
}

// TestWindowDiscards: what makes a chunk worthless, and what does not.
func TestWindowDiscards(t *testing.T) {
	table, other := &Table{Schema: "s", Name: "t"}, &Table{Schema: "s", Name: "u"}
	low := func(n int) *Coordinates { c := windowPlace(n); return &c }
	changed := func(table *Table, absent bool) *Slice {
		c := Change{Table: table, Op: Update, Key: []byte("1")}
		if absent {
			c.Absent = &eventstore.Absent{After: []string{"b"}}
		}
		return &Slice{ID: "x", First: true, Last: true, Changes: []Change{c}, Server: "s", File: "binlog.1", Offset: 5}
	}
	statement := func(c SchemaChange) *Slice {
		return &Slice{ID: "x", First: true, Last: true, Schema: []SchemaChange{c}, Server: "s", File: "binlog.1", Offset: 5}
	}
	for name, c := range map[string]struct {
		slice   *Slice
		chunk   Chunk
		matched Coordinates
		foreign string
		limit   int
		want    discard
	}{
		"nothing":                       {slice: changed(other, true)},
		"another's statement":           {slice: statement(SchemaChange{Op: eventstore.SchemaAlter, Schema: "s", Table: "u"})},
		"altered":                       {slice: statement(SchemaChange{Op: eventstore.SchemaAlter, Schema: "s", Table: "t"}), want: tableChanged},
		"renamed to":                    {slice: statement(SchemaChange{Op: eventstore.SchemaRename, Schema: "s", Table: "u", ToSchema: "s", ToTable: "t"}), want: tableChanged},
		"schema dropped":                {slice: statement(SchemaChange{Op: eventstore.SchemaDrop, Schema: "s"}), want: tableChanged},
		"partial image":                 {slice: changed(table, true), want: partialRow},
		"shared key":                    {slice: changed(table, false), chunk: Chunk{Shared: true}, want: sharedKey},
		"low where it began":            {slice: changed(other, false), chunk: Chunk{Low: low(1)}},
		"low where a transaction ends":  {slice: changed(other, false), chunk: Chunk{Low: low(5)}},
		"low where none ends":           {slice: changed(other, false), chunk: Chunk{Low: low(4)}, want: wrongLow},
		"covered before":                {slice: changed(other, false), chunk: Chunk{Low: low(4)}, matched: windowPlace(1)},
		"not covered before":            {slice: changed(other, false), chunk: Chunk{Low: low(4)}, matched: windowPlace(0), want: wrongLow},
		"covered on another server":     {slice: changed(other, false), chunk: Chunk{Low: low(4)}, matched: Coordinates{"r", "binlog.9", 9}, want: wrongLow},
		"XA open":                       {slice: changed(other, false), chunk: Chunk{Unseen: []string{"open"}}},
		"XA completed":                  {slice: changed(other, false), chunk: Chunk{Unseen: []string{"open", "completed"}}, foreign: "completed2", want: unseenXA},
		"XA not known":                  {slice: changed(other, false), chunk: Chunk{Unseen: []string{"unknown"}}, want: unseenXA},
		"XA known to be none of ours":   {slice: changed(other, false), chunk: Chunk{Unseen: []string{"unknown"}}, foreign: "unknown"},
		"XA prepared meanwhile":         {slice: &Slice{ID: "x", First: true, Last: true, Server: "s", File: "binlog.1", Offset: 5, Prepared: &eventstore.Prepare{XID: "new"}}, chunk: Chunk{Unseen: []string{"new"}}},
		"more than the window may keep": {slice: changed(table, false), limit: 70, want: tooMuch},
	} {
		if c.limit == 0 {
			c.limit = 1 << 20
		}
		w := newWindow("s", "t", c.limit)
		w.open(windowPlace(1), c.matched, map[string]struct{}{"completed": {}}, []eventstore.Prepare{{XID: "open"}})
		c.chunk.High = windowPlace(5)
		c.chunk.Rows = []Change{{Op: Read, Key: []byte("1")}, {Op: Read, Key: []byte("2")}}
		if c.limit > 1000 {
			w.read(&c.chunk)
			w.pass(c.slice)
		} else { // what a chunk that is there waits for is not kept
			w.pass(c.slice)
			w.read(&c.chunk)
		}
		place, why := w.decide(windowPlace(5), map[string]bool{c.foreign: true})
		if why != c.want || place != (c.want == "") {
			t.Errorf("%s: placed %v, discarded %q; want %q", name, place, why, c.want)
		}
	}
	w := newWindow("s", "t", 1<<20)
	w.open(windowPlace(1), Coordinates{}, nil, nil)
	w.read(&Chunk{High: windowPlace(1)})
	if place, why := w.decide(Coordinates{}, nil); place || why != "" {
		t.Errorf("where the place is not known: placed %v, discarded %q", place, why)
	}
	if _, why := w.decide(Coordinates{"r", "binlog.1", 9}, nil); why != otherServer {
		t.Errorf("on another server: discarded %q", why)
	}
}

// TestWindowWaits: a chunk that waits long for its place, since the stream is behind, does not come to nothing by what passes meanwhile, and
// what matters of it counts.
func TestWindowWaits(t *testing.T) {
	table := &Table{Schema: "s", Name: "t"}
	slice := func(at int, key string) *Slice {
		return &Slice{ID: "x", First: true, Last: true, Changes: []Change{{Table: table, Op: Update, Key: []byte(key)}}, Server: "s", File: "binlog.1", Offset: uint64(at)}
	}
	for _, low := range []int{3, 5000, 9000, 20_000} {
		const limit = 1000
		w := newWindow("s", "t", limit)
		w.open(windowPlace(1), Coordinates{}, nil, nil)
		w.pass(slice(2, "early"))
		w.pass(slice(3, "early too"))
		at := windowPlace(low)
		w.read(&Chunk{High: windowPlace(10_000), Low: &at, Rows: []Change{{Key: []byte("1")}, {Key: []byte("early")}, {Key: []byte("late")}}})
		for i := 4; i <= 10_000; i++ {
			key := fmt.Sprint("other ", i)
			if i == 7000 {
				key = "late"
			}
			if place, why := w.decide(windowPlace(i-1), nil); place || why != "" {
				t.Fatalf("low %d: at %d: placed %v, discarded %q", low, i-1, place, why)
			}
			w.pass(slice(i, key))
		}
		want := discard("")
		if low > 10_000 {
			want = wrongLow
		}
		if place, why := w.decide(windowPlace(10_000), nil); place != (low < 10_000) || why != want {
			t.Errorf("low %d: placed %v, discarded %q, want %q", low, place, why, want)
		} else if place {
			if rows := w.rows(); len(rows) != 1 || string(rows[0].Key) != "1" {
				t.Errorf("low %d: rows %v, want the one that did not change", low, rows)
			}
		}
		if kept := len(w.keys) + len(w.ends); w.bytes > limit || kept > 10 {
			t.Errorf("low %d: the window keeps %d bytes, %d places and keys", low, w.bytes, kept)
		}
	}
}
