package projector_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// TestJoinSpelling: rows whose keys a case-insensitive collation takes for equal are never left apart in silence, whichever comes first, whichever way the
// relation is declared, and whatever happens in between; folded keys find each other; and rows that are no relatives do not matter.
func TestJoinSpelling(t *testing.T) {
	type town struct {
		Name string `json:"name"`
		N    int    `json:"n"`
	}
	type person struct {
		ID   int    `json:"id"`
		Town string `json:"town"`
	}
	type doc struct{ N int }
	join := func(many, exact bool, fold func(string) string) projector.Projector {
		towns := projector.NewTable("shop.town", func(t *town) string { return fold(t.Name) })
		people := projector.NewTable("shop.person", func(p *person) int { return p.ID })
		of := func(p *person) string { return fold(p.Town) }
		if many {
			peopleOf := projector.HasMany(towns, people, of)
			return projector.Join[town, string, doc]{Name: "spelling", Version: 1, Target: projector.MemoryTarget("spelling"), Root: towns, ExactKeys: exact,
				Reads: []projector.Readable{peopleOf},
				Build: func(v *projector.View, t *town) (*doc, error) {
					d := &doc{t.N}
					for range peopleOf.Of(v, t) {
						d.N += 100
					}
					return d, nil
				}}
		}
		townOf := projector.BelongsTo(people, towns, of)
		return projector.Join[person, int, doc]{Name: "spelling", Version: 1, Target: projector.MemoryTarget("spelling"), Root: people, ExactKeys: exact,
			Reads: []projector.Readable{townOf},
			Build: func(v *projector.View, p *person) (*doc, error) {
				d := &doc{}
				if t, found := townOf.Of(v, p); found {
					d.N = 100 + t.N
				}
				return d, nil
			}}
	}
	same := func(s string) string { return s }
	putTown := func(name string) projectortest.Change { return projectortest.Put("shop.town", town{name, 1}) }
	delTown := func(name string) projectortest.Change { return projectortest.Del("shop.town", town{Name: name}) }
	putPerson := func(id int, town string) projectortest.Change {
		return projectortest.Put("shop.person", person{id, town})
	}
	for _, c := range []struct {
		name    string
		exact   bool
		fold    func(string) string
		changes [][]projectortest.Change
		halts   bool
	}{
		{"same", false, same, [][]projectortest.Change{{putTown("Ulm"), putPerson(1, "Ulm")}}, false},
		{"child later", false, same, [][]projectortest.Change{{putTown("Ulm")}, {putPerson(1, "ULM")}}, true},
		{"child lower", false, same, [][]projectortest.Change{{putTown("Ulm")}, {putPerson(1, "ulm")}}, true},
		{"child spaced", false, same, [][]projectortest.Change{{putTown("ulm")}, {putPerson(1, "ulm ")}}, true},
		{"parent later", false, same, [][]projectortest.Change{{putPerson(1, "ULM")}, {putTown("Ulm")}}, true},
		{"parent lower", false, same, [][]projectortest.Change{{putPerson(1, "ULM")}, {putTown("ulm")}}, true},
		{"child moves", false, same, [][]projectortest.Change{{putTown("Ulm"), putPerson(1, "Ulm")}, {putPerson(1, "uLM")}}, true},
		{"both there", false, same, [][]projectortest.Change{{putTown("Ulm"), putTown("ULM")}, {putPerson(1, "ULM")}}, false},
		{"second follows", false, same, [][]projectortest.Change{{putTown("Ulm"), putPerson(1, "ULM"), putTown("ULM")}}, false},
		{"other has gone", false, same, [][]projectortest.Change{{putTown("Ulm"), delTown("Ulm")}, {putPerson(1, "ULM")}}, false},
		{"child has gone", false, same, [][]projectortest.Change{{putPerson(1, "ULM"), putPerson(1, "x")}, {putTown("Ulm")}}, false},
		{"one of two has gone", false, same, [][]projectortest.Change{{putPerson(1, "ulm"), putTown("Ulm"), putTown("ULM "), delTown("ULM ")}}, true},
		{"another name", false, same, [][]projectortest.Change{{putTown("Ulm")}, {putPerson(1, "Ulme")}}, false},
		{"exact", true, same, [][]projectortest.Change{{putTown("Ulm")}, {putPerson(1, "ULM")}}, false},
		{"folded", false, strings.ToLower, [][]projectortest.Change{{putTown("Ulm")}, {putPerson(1, "ULM")}}, false},
	} {
		for _, many := range []bool{false, true} {
			for _, atOnce := range []bool{false, true} {
				t.Run(fmt.Sprint(c.name, many, atOnce), func(t *testing.T) {
					r := newRig(t)
					r.feed.Keys = map[string][]string{"shop.town": {"name"}}
					var runner *projector.Runner
					var stop func() error
					begin := func() {
						runner, stop = r.run(projector.Config{Projectors: []projector.Projector{join(many, c.exact, c.fold)}})
					}
					if !atOnce {
						begin()
					}
					for i, changes := range c.changes {
						r.commit(changes...)
						if !atOnce && i+1 < len(c.changes) {
							r.waitFor(runner, "spelling", r.feed.CSN())
						}
					}
					if atOnce {
						begin()
					}
					waited := runner.WaitFor(t.Context(), "spelling", r.feed.CSN())
					err := stop()
					if errors.Is(err, projector.ErrSpelling) != c.halts || (err != nil || waited != nil) != c.halts {
						t.Fatalf("got %v, waiting %v; want ErrSpelling: %v", err, waited, c.halts)
					}
					if c.name == "folded" {
						r.want("spelling", map[string]string{map[bool]string{false: "1", true: "ulm"}[many]: `{"N":101}`})
					}
				})
			}
		}
	}
}

// TestJoinSpellingOfSecond: each of a table's relations is looked at, also where the ones before it have their rows; and a restart does not forget what was
// noted before the local state was committed.
func TestJoinSpellingOfSecond(t *testing.T) {
	type town struct {
		Name string `json:"name"`
	}
	type person struct {
		ID   int    `json:"id"`
		Home string `json:"home"`
		Work string `json:"work"`
	}
	type doc struct{ Home, Work bool }
	towns := projector.NewTable("shop.town", func(t *town) string { return t.Name })
	people := projector.NewTable("shop.person", func(p *person) int { return p.ID })
	home := projector.BelongsTo(people, towns, func(p *person) string { return p.Home })
	work := projector.BelongsTo(people, towns, func(p *person) string { return p.Work })
	join := projector.Join[person, int, doc]{Name: "spelling", Version: 1, Target: projector.MemoryTarget("spelling"), Root: people,
		Reads: []projector.Readable{home, work},
		Build: func(v *projector.View, p *person) (*doc, error) {
			var d doc
			_, d.Home = home.Of(v, p)
			_, d.Work = work.Of(v, p)
			return &d, nil
		}}
	for _, c := range []struct {
		person person
		halts  bool
	}{
		{person{1, "Ulm", "Ulm"}, false},
		{person{1, "Ulm", "ULM"}, true},
		{person{1, "ULM", "Ulm"}, true},
		{person{1, "Ulm", "Bonn"}, false},
	} {
		r := newRig(t)
		r.feed.Keys = map[string][]string{"shop.town": {"name"}}
		changes := []projectortest.Change{projectortest.Put("shop.town", town{"Ulm"}), projectortest.Put("shop.person", c.person)}
		for i := range 10_100 { // more than are applied between two commits of the local state
			changes = append(changes, projectortest.Put("shop.town", town{fmt.Sprint("town ", i)}))
		}
		r.commit(changes...)
		config := projector.Config{Projectors: []projector.Projector{join}, States: projector.NewMemoryStates()}
		for life := range 2 {
			runner, stop := r.run(config)
			waited := runner.WaitFor(t.Context(), "spelling", r.feed.CSN())
			if err := stop(); errors.Is(err, projector.ErrSpelling) != c.halts || (err != nil || waited != nil) != c.halts {
				t.Errorf("life %d, %+v: got %v, waiting %v; want ErrSpelling: %t", life, c.person, err, waited, c.halts)
			}
		}
		if !c.halts {
			continue
		}
		r.commit(projectortest.Put("shop.town", town{"ULM"}))
		runner, stop := r.run(config)
		r.waitFor(runner, "spelling", r.feed.CSN())
		if err := stop(); err != nil {
			t.Errorf("mended, %+v: %v", c.person, err)
		}
	}
}

// TestJoinSpellingOfMany: however many spellings of a key there have been, the one that is left is found.
func TestJoinSpellingOfMany(t *testing.T) {
	r := newRig(t)
	r.feed.Keys = map[string][]string{"shop.town": {"name"}}
	type row struct {
		ID   int    `json:"id"`
		Town string `json:"town"`
	}
	type town struct {
		Name string `json:"name"`
	}
	towns := projector.NewTable("shop.town", func(t *town) string { return t.Name })
	people := projector.NewTable("shop.person", func(p *row) int { return p.ID })
	townOf := projector.BelongsTo(people, towns, func(p *row) string { return p.Town })
	var changes []projectortest.Change
	for i := range 1 << 10 { // in the order of their bytes
		name := []byte("ABCDEFGHIJ")
		for bit := range name {
			if i>>(9-bit)&1 == 1 {
				name[bit] |= 0x20
			}
		}
		changes = append(changes, projectortest.Put("shop.person", row{1, string(name)}))
	}
	changes[1023] = projectortest.Put("shop.town", town{"ABCDEFGHIJ"})
	r.commit(changes...)
	runner, stop := r.run(projector.Config{Projectors: []projector.Projector{projector.Join[row, int, row]{Name: "spelling", Version: 1,
		Target: projector.MemoryTarget("spelling"), Root: people, Reads: []projector.Readable{townOf},
		Build: func(_ *projector.View, p *row) (*row, error) { return p, nil }}}})
	if err := runner.WaitFor(t.Context(), "spelling", 1); !errors.Is(err, projector.ErrSpelling) {
		t.Errorf("waiting: got %v, want ErrSpelling", err)
	}
	if err := stop(); !errors.Is(err, projector.ErrSpelling) {
		t.Errorf("got %v, want ErrSpelling", err)
	}
}
