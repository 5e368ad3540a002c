package pebblestate

import (
	"fmt"
	"testing"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

type (
	listRow struct {
		ID   int    `json:"id"`
		Name string `json:"name"`
	}
	entryRow struct {
		ID   int    `json:"id"`
		List int    `json:"list_id"`
		Word string `json:"word"`
	}
	wordRow struct {
		Word string `json:"word"`
		Rank int    `json:"rank"`
	}
	entry struct {
		Word string
		Rank int
	}
	list struct {
		Name    string
		Entries projector.List[entry]
		Others  int
	}
)

// lists has lists of entries, each with a word that lists share, and reads freely what lists have the same name.
func lists(spreadAbove int) (projector.Join[listRow, int, list], []projectortest.RandomTable) {
	listTable := projector.NewTable("shop.list", func(l *listRow) int { return l.ID })
	entryTable := projector.NewTable("shop.entry", func(e *entryRow) int { return e.ID })
	wordTable := projector.NewTable("shop.word", func(w *wordRow) string { return w.Word })
	entryOf := projector.HasMany(listTable, entryTable, func(e *entryRow) int { return e.List })
	wordOf := projector.BelongsTo(entryTable, wordTable, func(e *entryRow) string { return e.Word })
	byName := projector.NewIndex(listTable, func(l *listRow) string { return l.Name })
	part := projector.NewPart(entryTable, func(v *projector.View, e *entryRow) (*entry, error) {
		w, found := wordOf.Of(v, e)
		if !found {
			return nil, nil
		}
		return &entry{e.Word, w.Rank}, nil
	})
	return projector.Join[listRow, int, list]{Name: "lists", Version: 1, Target: projector.MemoryTarget("lists"), Root: listTable, SpreadAbove: spreadAbove, CacheBytes: 1_000,
		Reads: []projector.Readable{entryOf, wordOf, byName, part},
		Build: func(v *projector.View, l *listRow) (*list, error) {
			d := &list{Name: l.Name, Entries: part.All(v, entryOf.Below(l))}
			for range byName.Find(v, l.Name) {
				d.Others++
			}
			return d, nil
		}}, []projectortest.RandomTable{listTable, entryTable, wordTable}
}

// TestDifferential: joins whose state is on disk make the documents of a full recompute, also when the last commits are lost.
func TestDifferential(t *testing.T) {
	for seed, spreadAbove := range []int{0, 1} {
		t.Run(fmt.Sprint(spreadAbove), func(t *testing.T) {
			join, tables := lists(spreadAbove)
			projectortest.DifferentialOn(t, func() projector.LocalStates {
				states, err := New(Config{Dir: t.TempDir(), BufferBytes: minBufferBytes})
				if err != nil {
					t.Fatal(err)
				}
				return states
			}, join, 1_000, uint64(seed), tables...)
		})
	}
}
