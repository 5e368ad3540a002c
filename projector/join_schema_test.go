package projector_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// TestJoinColumns: a table whose columns change gives right documents or a halt that says which table and columns, and never zeros in place of values.
func TestJoinColumns(t *testing.T) {
	type columns map[string]any
	put := func(c columns) projectortest.Change { return projectortest.Put("shop.owner", c) }
	type named struct {
		ID   int    `json:"id"`
		Name string `json:"NAME"` // as encoding/json has it, whatever the case
	}
	type leveled struct {
		named
		Level int `json:"level"`
	}
	type lenient struct {
		named
		Level int `json:"level,omitzero"`
	}
	names := showRows(func(r *named) int { return r.ID })
	levels := showRows(func(r *leveled) int { return r.ID })
	before := put(columns{"id": 1, "name": "a", "note": "x"})
	for _, c := range []struct {
		name    string
		join    projector.Projector
		changes []projectortest.Change // a transaction each
		want    string                 // document 1
		halt    string
		atOnce  bool // all are in the log at the start
	}{
		{"added, not read", names, []projectortest.Change{before, put(columns{"id": 1, "name": "b", "note": "x", "level": 1})}, `{"id":1,"NAME":"b"}`, "", false},
		{"dropped, not read", names, []projectortest.Change{before, put(columns{"id": 1, "name": "b"})}, `{"id":1,"NAME":"b"}`, "", false},
		{"dropped", names, []projectortest.Change{before, put(columns{"id": 1, "note": "x"})}, "", "row of table shop.owner at csn 2 index 4: the image lacks name,", false},
		{"renamed", names, []projectortest.Change{before, put(columns{"id": 2, "title": "a"})}, "", "lacks name, which the row type has fields for, as do 1 rows in all", false},
		{"another type", names, []projectortest.Change{before, put(columns{"id": 1, "name": 7})}, "", `index 4: after image: column "NAME" does not fit`, false},
		{"added", levels, []projectortest.Change{before, put(columns{"id": 2, "name": "a", "level": 1})}, "", "csn 1 index 4: the image lacks level,", false},
		{"added, read again", levels, []projectortest.Change{before, before, put(columns{"id": 1, "name": "a", "level": 1})}, `{"id":1,"NAME":"a","level":1}`, "", true},
		{"added, deleted", levels, []projectortest.Change{before, projectortest.Del("shop.owner", columns{"id": 1})}, "", "", true},
		{"added, emptied", levels, []projectortest.Change{before, projectortest.Execute("truncate", "shop.owner")}, "", "", true},
		{"added, may lack", showRows(func(r *lenient) int { return r.ID }), []projectortest.Change{before}, `{"id":1,"NAME":"a"}`, "", false},
	} {
		for _, atOnce := range []bool{true, false} {
			if c.atOnce && !atOnce {
				continue
			}
			t.Run(fmt.Sprint(c.name, atOnce), func(t *testing.T) {
				r := newRig(t)
				config := projector.Config{Projectors: []projector.Projector{c.join}, States: projector.NewMemoryStates()}
				if atOnce {
					for _, change := range c.changes {
						r.commit(change)
					}
				}
				runner, stop := r.run(config)
				if !atOnce {
					for _, change := range c.changes {
						r.commit(change)
					}
				}
				err := runner.WaitFor(t.Context(), "rows", r.feed.CSN())
				if c.halt != "" {
					if stopped := stop(); !errors.Is(err, projector.ErrStopped) || stopped == nil || !strings.Contains(stopped.Error(), c.halt) {
						t.Errorf("got %v, want %s", stopped, c.halt)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				want := map[string]string{}
				if c.want != "" {
					want["1"] = c.want
				}
				r.want("rows", want)
				if err := stop(); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
	t.Run("mended", func(t *testing.T) { // a snapshot reads the rows once more while the projector stands still
		r := newRig(t)
		config := projector.Config{Projectors: []projector.Projector{levels}, States: projector.NewMemoryStates()}
		for range 2 {
			r.commit(before, put(columns{"id": 2, "name": "b"}))
			_, stop := r.run(config)
			if err := stop(); err != nil && !strings.Contains(err.Error(), "the image lacks level") {
				t.Fatal(err)
			}
		}
		r.commit(put(columns{"id": 1, "name": "a", "level": 1}), put(columns{"id": 2, "name": "b", "level": 1}))
		runner, stop := r.run(config)
		r.waitFor(runner, "rows", 3)
		r.want("rows", map[string]string{"1": `{"id":1,"NAME":"a","level":1}`, "2": `{"id":2,"NAME":"b","level":1}`})
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// showRows shows the rows of a table as they are.
func showRows[R any](key func(*R) int) projector.Projector {
	return projector.Join[R, int, R]{Name: "rows", Version: 1, Target: projector.MemoryTarget("rows"), Root: projector.NewTable("shop.owner", key),
		Build: func(_ *projector.View, r *R) (*R, error) { return r, nil }}
}
