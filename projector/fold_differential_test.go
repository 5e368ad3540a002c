package projector_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// peopleDoc is what is in a shelf and who owns it, from two tables.
type peopleDoc struct {
	Things int
	Sum    int
	Owner  int
}

// belongings is a Fold of two tables whose documents are what the rows are.
func belongings(count func(old, now *rowA) int) projector.Fold[peopleDoc] {
	settle := func(d *projector.Doc[peopleDoc]) error {
		if d.Data.Things == 0 && d.Data.Owner == 0 {
			d.Delete()
		}
		return nil
	}
	return projector.Fold[peopleDoc]{Name: "belongings", Version: 1, Target: projector.MemoryTarget("belongings"), Sources: []projector.Source[peopleDoc]{
		projector.OnRow("shop.thing", func(r *rowA) []string { return []string{fmt.Sprint(r.Owner), fmt.Sprint(r.Owner%3 + 100)} },
			func(d *projector.Doc[peopleDoc], old, now *rowA) error {
				if old != nil {
					d.Data.Things--
				}
				if now != nil {
					d.Data.Things++
				}
				d.Data.Sum += count(old, now)
				return settle(d)
			}),
		projector.OnRow("shop.owner", func(r *rowA) []string { return []string{fmt.Sprint(r.ID)} },
			func(d *projector.Doc[peopleDoc], _, now *rowA) error {
				if d.Data.Owner = 0; now != nil {
					d.Data.Owner = now.N
				}
				return settle(d)
			}),
	}}
}

func sumOf(old, now *rowA) (n int) {
	if old != nil {
		n -= old.N
	}
	if now != nil {
		n += now.N
	}
	return n
}

// TestFoldDifferential: the whole history of the rows makes of each document what the rows alone do.
func TestFoldDifferential(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				projectortest.Differential(t, belongings(sumOf), 1_500, seed, ownersA, thingsA)
			})
		})
	}
}

// TestFromRows: what has no oracle says so.
func TestFromRows(t *testing.T) {
	none := func(string) [][]byte { return nil }
	if _, err := revenue().FromRows(none); err == nil || !strings.Contains(err.Error(), "events are not made of rows") {
		t.Errorf("a Fold of events: %v", err)
	}
	if _, err := (projector.Fold[peopleDoc]{}).FromRows(none); err == nil || !strings.Contains(err.Error(), "Sources is empty") {
		t.Errorf("a Fold of nothing: %v", err)
	}
	docs, err := belongings(sumOf).FromRows(func(table string) [][]byte {
		return map[string][][]byte{"shop.thing": {[]byte(`{"id":1,"owner":4,"n":2}`), []byte(`{"id":2,"owner":4,"n":5}`)}}[table]
	})
	if err != nil || len(docs) != 2 || string(docs["4"]) != `{"Things":2,"Sum":7,"Owner":0}` {
		t.Errorf("got %s, %v", docs, err)
	}
}
