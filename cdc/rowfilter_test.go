package cdc_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

// third leaves out the rows of shop.product whose n is a multiple of three.
var third = cdc.RowFilter{Tables: "shop.product", Name: "third", Keep: func(_ *cdc.Table, row cdc.Row) bool {
	n, ok := row.Value("n")
	return ok && !strings.HasSuffix(string(n), "0") && !strings.HasSuffix(string(n), "3")
}}

// shop is two tables whose rows change at random.
type shop struct {
	rows [2]map[int]string // image by id
}

var shopTables = [2]*cdc.Table{{Schema: "shop", Name: "product", Key: []int{0}}, {Schema: "shop", Name: "stock", Key: []int{0}}}

func keyOf(id int) []byte { return fmt.Appendf(nil, `{"id":%d}`, id) }

// commit executes n random transactions that tables could have gone through.
func (s *shop) commit(source *cdc.MemorySource, rnd *rand.Rand, n int) {
	for range n {
		var changes []cdc.Change
		for range rnd.IntN(12) {
			at := rnd.IntN(2)
			if s.rows[at] == nil {
				s.rows[at] = map[int]string{}
			}
			rows, id := s.rows[at], rnd.IntN(20)
			c := cdc.Change{Table: shopTables[at], Key: keyOf(id)}
			image := func(id int) string { return fmt.Sprintf(`{"id":%d,"n":%d}`, id, rnd.IntN(6)) }
			before, exists := rows[id]
			switch to := rnd.IntN(20); {
			case !exists:
				rows[id] = image(id)
				c.Op, c.After = cdc.Create, []byte(rows[id])
			case rnd.IntN(4) == 0:
				delete(rows, id)
				c.Op, c.Before = cdc.Delete, []byte(before)
			case rnd.IntN(3) == 0 && rows[to] == "":
				delete(rows, id)
				rows[to] = image(to)
				c.Op, c.Key, c.OldKey, c.Before, c.After = cdc.Update, keyOf(to), keyOf(id), []byte(before), []byte(rows[to])
			default:
				rows[id] = image(id)
				c.Op, c.Before, c.After = cdc.Update, []byte(before), []byte(rows[id])
			}
			changes = append(changes, c)
		}
		source.Commit(changes...)
	}
}

// replayed is what a log says the tables were.
type replayed struct {
	states map[eventstore.CSN]map[string]string // table and key to image, after each transaction with records
	places map[eventstore.Place]bool
}

// replay builds the tables from a log, and checks that every change fits the state before it.
func replay(t *testing.T, log eventstore.Log, topics ...string) replayed {
	t.Helper()
	head, _, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := replayed{map[eventstore.CSN]map[string]string{}, map[eventstore.Place]bool{}}
	state := map[string]string{}
	tombstone := ""
	for cut, err := range log.Cuts(t.Context(), eventstore.CutOptions{Topics: topics}) {
		if err != nil {
			t.Fatal(err)
		}
		for rec, err := range cut.Records() {
			if err != nil {
				t.Fatal(err)
			}
			r.places[rec.Place] = true
			var row eventstore.RowChange
			if err := eventstore.ParseRow(rec, &row); errors.Is(err, eventstore.ErrTombstone) {
				if tombstone != string(rec.Key) {
					t.Fatalf("%v: a tombstone of %s without its delete", rec.Place, rec.Key)
				}
				tombstone = ""
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			if tombstone != "" {
				t.Fatalf("%v: no tombstone behind the delete of %s", rec.Place, tombstone)
			}
			name := row.Table + string(row.Key)
			before, exists := state[name]
			if string(row.Before) != before || exists != (row.Op != 'c') {
				t.Fatalf("%v %c %s: before %s, and the row was %q", rec.Place, row.Op, name, row.Before, before)
			}
			if row.Op == 'd' {
				delete(state, name)
				tombstone = string(row.Key)
			} else {
				state[name] = string(row.After)
			}
			snapshot := map[string]string{}
			for name, image := range state {
				snapshot[name] = image
			}
			r.states[rec.CSN] = snapshot
		}
		if cut.CSN >= head.CSN {
			break
		}
	}
	return r
}

// at returns the state after a transaction.
func (r replayed) at(csn eventstore.CSN) map[string]string {
	for ; csn > 0; csn-- {
		if state, ok := r.states[csn]; ok {
			return state
		}
	}
	return map[string]string{}
}

// TestRowFilter: after every transaction, what a filtered log says of the tables is what the filter leaves of what the whole log
// says, through crashes, and with two tables in one topic.
func TestRowFilter(t *testing.T) {
	dropped := 0
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 0))
				source, whole, filtered := newSource(t, 5), eventstore.NewMemoryLog(), eventstore.NewMemoryLog()
				new(shop).commit(source, rnd, 80)
				untilCaughtUp(t, newRelay(t, cdc.Config{Source: source, Log: whole}), source, whole)
				faulty := &faultyLog{Log: filtered, rnd: rnd, rate: 0.3}
				faulty.left.Store(20)
				cfg := cdc.Config{Source: source, Log: faulty, FlushBytes: 1 + rnd.IntN(3000), RowFilters: []cdc.RowFilter{third},
					Routes: eventstore.Routes{{Tables: "shop.*", Topic: "shop.all"}}}
				for err := errInjected; err != nil; {
					err = errInjected
					ctx, cancel := context.WithCancel(t.Context())
					done := make(chan error, 1)
					go func() { done <- newRelay(t, cfg).Run(ctx) }()
					synctest.Wait()
					select {
					case err = <-done:
						if !errors.Is(err, eventstore.ErrUnavailable) {
							t.Fatal(err)
						}
					default:
						if head, _, _ := filtered.Head(ctx); head.CSN == 80 {
							err = nil
						}
						cancel()
						if stopped := <-done; stopped != nil && !errors.Is(stopped, eventstore.ErrUnavailable) {
							t.Fatal(stopped)
						}
					}
					cancel()
				}
				full, some := replay(t, whole, "shop.product", "shop.stock"), replay(t, filtered, "shop.all")
				for csn := range eventstore.CSN(81) {
					want := map[string]string{}
					for name, image := range full.at(csn) {
						if strings.HasPrefix(name, "stock") || third.Keep(nil, cdc.RowOf([]byte(image))) {
							want[name] = image
						}
					}
					if diff := cmp.Diff(want, some.at(csn)); diff != "" {
						t.Fatalf("after transaction %d:\n%s", csn, diff)
					}
					dropped += len(full.at(csn)) - len(want)
				}
				for place := range some.places {
					// A row that entered or left may have a tombstone where the update had none, or no second record.
					if !full.places[eventstore.Place{CSN: place.CSN, Index: place.Index &^ 3}] {
						t.Errorf("%v: no such row without the filter", place)
					}
				}
			})
		})
	}
	if dropped < 1000 {
		t.Errorf("the filter left out %d rows only", dropped)
	}
}

// TestRowFiltersAll: a row has to pass every filter of its table, and is asked for by none of another table.
func TestRowFiltersAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, log := newSource(t, 0), eventstore.NewMemoryLog()
		var asked atomic.Int64
		filter := func(tables, name, without string) cdc.RowFilter {
			return cdc.RowFilter{Tables: tables, Name: name, Keep: func(table *cdc.Table, row cdc.Row) bool {
				asked.Add(1)
				v, ok := row.Value("n")
				return ok && table.Name == "product" && string(v) != without
			}}
		}
		for i, n := range []int{1, 2, 3} {
			source.Commit(cdc.Change{Table: shopTables[0], Op: cdc.Create, Key: keyOf(i), After: fmt.Appendf(nil, `{"id":%d,"n":%d}`, i, n)},
				cdc.Change{Table: shopTables[1], Op: cdc.Create, Key: keyOf(i), After: fmt.Appendf(nil, `{"id":%d,"n":%d}`, i, n)})
		}
		relay := newRelay(t, cdc.Config{Source: source, Log: log, RowFilters: []cdc.RowFilter{filter("shop.product", "a", "1"), filter("shop.p*", "b", "3"),
			filter("other.*", "c", "2")}})
		untilCaughtUp(t, relay, source, log)
		want := map[string]string{`product{"id":1}`: `{"id":1,"n":2}`}
		for i := range 3 {
			want["stock"+string(keyOf(i))] = fmt.Sprintf(`{"id":%d,"n":%d}`, i, i+1)
		}
		if diff := cmp.Diff(want, replay(t, log, "shop.product", "shop.stock").at(3)); diff != "" {
			t.Error(diff)
		}
		if n := asked.Load(); n != 5 { // the second is not asked about what the first has left out
			t.Errorf("the functions were called %d times, want 5", n)
		}
	})
}

// TestRowFilterPanics: the relay stops with an error that says where, without row data; what came before is in the log.
func TestRowFilterPanics(t *testing.T) {
	for name, keep := range map[string]func(*cdc.Table, cdc.Row) bool{
		"runtime error": func(_ *cdc.Table, row cdc.Row) bool { v, _ := row.Value("n"); return v[len(v)+len(v)] == 0 },
		"value":         func(_ *cdc.Table, row cdc.Row) bool { v, _ := row.Value("n"); panic("private " + string(v)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, log := newSource(t, 0), eventstore.NewMemoryLog()
				change := func(table, n int) cdc.Change {
					return cdc.Change{Table: shopTables[table], Op: cdc.Create, Key: keyOf(n), After: fmt.Appendf(nil, `{"id":%d,"n":"number %d"}`, n, n)}
				}
				source.Commit(change(1, 1))
				id := source.Commit(change(1, 2), change(0, 3))
				source.Commit(change(1, 4))
				relay := newRelay(t, cdc.Config{Source: source, Log: log, RowFilters: []cdc.RowFilter{{Tables: "shop.product", Name: "broken", Keep: keep}}})
				err := relay.Run(t.Context())
				failed, ok := errors.AsType[*cdc.RowFilterError](err)
				if !ok || failed.Filter != "broken" || failed.Table != "shop.product" || failed.ID != id || failed.Row != 1 || len(failed.Stack) == 0 {
					t.Fatalf("got %v, want a RowFilterError of row 1 of %s", err, id)
				}
				if strings.Contains(err.Error(), "number") || strings.Contains(err.Error(), "private") {
					t.Errorf("row data in the error: %v", err)
				}
				if head, _, _ := log.Head(t.Context()); head.CSN != 1 {
					t.Errorf("the last watermark is %d, want 1: the transaction before", head.CSN)
				}
				if state := replay(t, log, "shop.product", "shop.stock").at(3); len(state) != 1 {
					t.Errorf("the log has %v, want the first row only", state)
				}
			})
		})
	}
}

// TestRowFilterAbsent: a filter is not asked about a part of a row.
func TestRowFilterAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, log := newSource(t, 0), eventstore.NewMemoryLog()
		change := cdc.Change{Op: cdc.Update, Key: keyOf(1), Before: keyOf(1), After: []byte(`{"n":4}`),
			Absent: &eventstore.Absent{Before: []string{"n"}, After: []string{"id"}}}
		change.Table = shopTables[1] // not filtered
		source.Commit(change)
		change.Table = shopTables[0]
		source.Commit(change)
		err := newRelay(t, cdc.Config{Source: source, Log: log, RowFilters: []cdc.RowFilter{third}}).Run(t.Context())
		if failed, ok := errors.AsType[*cdc.RowFilterError](err); !ok || failed.Filter != "third" || !strings.Contains(err.Error(), "binlog_row_image") {
			t.Errorf("got %v, want a RowFilterError that names binlog_row_image", err)
		}
		if head, _, _ := log.Head(t.Context()); head.CSN != 1 {
			t.Errorf("the last watermark is %d, want 1", head.CSN)
		}
	})
}

// TestRowFilterPassesSchema: what happens to a table as a whole is in the log whatever a filter says of its rows; a definition says which
// columns are masked.
func TestRowFilterPassesSchema(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, log := newSource(t, 0), eventstore.NewMemoryLog()
		table := &cdc.Table{Schema: "shop", Name: "product", Columns: []cdc.Column{{Name: "id", Type: "int"}, {Name: "n", Type: "int", Mask: "hash"}}, Key: []int{0}}
		source.Commit(cdc.Change{Table: table, Op: cdc.Create, Key: keyOf(1), After: []byte(`{"id":1,"n":4}`)})
		source.Execute(cdc.SchemaChange{Op: eventstore.SchemaTruncate, Schema: "shop", Table: "product", Statement: "TRUNCATE product"})
		source.Commit(cdc.Change{Table: table, Op: cdc.Create, Key: keyOf(3), After: []byte(`{"id":3,"n":3}`)})
		untilCaughtUp(t, newRelay(t, cdc.Config{Source: source, Log: log, RowFilters: []cdc.RowFilter{third}, Routes: eventstore.Routes{{Tables: "*.*", Topic: "one.topic"}}}), source, log)
		var got []string
		for cut, err := range log.Cuts(t.Context(), eventstore.CutOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			for rec := range cut.Records() {
				if rec.Topic == eventstore.SchemaTopic {
					var c eventstore.SchemaChange
					if err := eventstore.ParseSchema(rec, &c); err != nil {
						t.Fatal(err)
					}
					line := string(c.Op)
					if c.Definition != nil {
						line += fmt.Sprint(c.Definition.Columns)
					}
					got = append(got, line)
					continue
				}
				var row eventstore.RowChange
				if err := eventstore.ParseRow(rec, &row); err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprintf("%s %c %s", rec.Topic, row.Op, row.After))
			}
			if cut.CSN == 3 {
				break
			}
		}
		want := []string{"define[{id int } {n int hash}]", `one.topic c {"id":1,"n":4}`, "truncate", "one.topic t "}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestRulesChanged: behind a finished tail other rules apply; an unfinished one is not finished under them.
func TestRulesChanged(t *testing.T) {
	renamed := third
	renamed.Name = "third-2"
	base := cdc.Config{RowFilters: []cdc.RowFilter{third}, Routes: eventstore.Routes{{Tables: "shop.stock", Topic: "shop.all"}}}
	for name, change := range map[string]func(*cdc.Config){
		"filter renamed": func(c *cdc.Config) { c.RowFilters = []cdc.RowFilter{renamed} },
		"filter added":   func(c *cdc.Config) { c.RowFilters = []cdc.RowFilter{third, renamed} },
		"filter gone":    func(c *cdc.Config) { c.RowFilters = nil },
		"route changed":  func(c *cdc.Config) { c.Routes = eventstore.Routes{{Tables: "shop.stock", Topic: "shop.other"}} },
		"route gone":     func(c *cdc.Config) { c.Routes = nil },
		"no rules":       func(c *cdc.Config) { c.Routes, c.RowFilters = nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, log := newSource(t, 0), eventstore.NewMemoryLog()
				var s shop
				s.commit(source, rand.New(rand.NewPCG(1, 1)), 20)
				half := &halfLog{Log: log}
				broken, with, without := base, base, base
				broken.Source, broken.Log = source, half
				with.Source, with.Log, without.Source, without.Log = source, log, source, log
				change(&without)
				if err := newRelay(t, broken).Run(t.Context()); !errors.Is(err, errHalf) {
					t.Fatalf("got %v, want the flush to break", err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				without.Hooks.TailFinished = func(cdc.TailInfo) { cancel() }
				if err := newRelay(t, without).Run(ctx); !errors.Is(err, cdc.ErrConfigChanged) {
					t.Errorf("with an unfinished tail: got %v, want ErrConfigChanged", err)
				}
				finished := false
				with.Hooks.TailFinished = func(cdc.TailInfo) { finished = true }
				untilCaughtUp(t, newRelay(t, with), source, log)
				if !finished {
					t.Error("there was no tail to finish")
				}
				before, _, _ := log.Head(t.Context())
				s.commit(source, rand.New(rand.NewPCG(1, 2)), 20)
				untilCaughtUp(t, newRelay(t, without), source, log)
				after, _, _ := log.Head(t.Context())
				if before.Config == after.Config || after.CSN != 40 {
					t.Errorf("configuration %s became %s at csn %d", before.Config, after.Config, after.CSN)
				}
			})
		})
	}
}

var errHalf = errors.New("half of it landed")

// halfLog lands one half of the first flush.
type halfLog struct{ eventstore.Log }

func (l *halfLog) Begin(ctx context.Context) (eventstore.Writer, error) {
	w, err := l.Log.Begin(ctx)
	return &halfWriter{w}, err
}

type halfWriter struct{ eventstore.Writer }

func (w *halfWriter) Append(ctx context.Context, f *eventstore.Flush) error {
	half := *f
	half.Records = f.Records[:len(f.Records)/2]
	return errors.Join(w.Writer.Append(ctx, &half), errHalf)
}

func TestRulesValidate(t *testing.T) {
	keep := func(*cdc.Table, cdc.Row) bool { return true }
	source, log := newSource(t, 0), eventstore.NewMemoryLog()
	_, err := cdc.NewRelay(cdc.Config{Source: source, Log: log, Routes: eventstore.Routes{{Tables: "shop.*", Topic: "watermark"}}, RowFilters: []cdc.RowFilter{
		{Tables: "shop", Name: "a", Keep: keep}, {Tables: "shop.*", Keep: keep}, {Tables: "shop.*", Name: "b"}, {Tables: "shop.*", Name: "a", Keep: keep}}})
	for _, want := range []string{`RowFilters[0]: pattern "shop"`, "RowFilters[1]: Name is missing", "RowFilters[2]: Keep is missing", `RowFilters[3]: the name "a" occurs twice`,
		"Routes[0]: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestRowValue(t *testing.T) {
	row := cdc.RowOf([]byte(`{"id":1,"name":"a\"}","doc":{"id":2},"odd \"name\"":[3],"no":null}`))
	for name, want := range map[string]string{"id": "1", "name": `"a\"}"`, "doc": `{"id":2}`, `odd "name"`: "[3]", "no": "null"} {
		if got, ok := row.Value(name); !ok || string(got) != want {
			t.Errorf("%s is %s, %v; want %s", name, got, ok, want)
		}
	}
	for _, name := range []string{"", "ID", "i", "missing"} {
		if got, ok := row.Value(name); ok {
			t.Errorf("%s is %s, want nothing", name, got)
		}
	}
	wide := cdc.RowOf([]byte(`{"id":1,"a column with a long name, longer than the rest":"x","n":7}`))
	var values [2][]byte
	if n := testing.AllocsPerRun(100, func() {
		values[0], _ = wide.Value("n")
		values[1], _ = wide.Value("a column with a long name, longer than the rest")
	}); n != 0 || !slices.Equal(values[0], []byte("7")) {
		t.Errorf("Value allocates %v times; %s", n, values)
	}
}

// BenchmarkRowFilter asks for the last of twelve columns of a row.
func BenchmarkRowFilter(b *testing.B) {
	image := []byte(`{"id":1`)
	for i := range 10 {
		image = fmt.Appendf(image, `,"column_%d":"some text of %d"`, i, i)
	}
	row := cdc.RowOf(append(image, `,"n":7}`...))
	b.ReportAllocs()
	for b.Loop() {
		if !third.Keep(nil, row) {
			b.Fatal("left out")
		}
	}
}
