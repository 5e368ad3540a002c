package cdctest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/cdctest"
)

func TestMemorySource(t *testing.T) {
	cdctest.TestSource(t, cdctest.Harness{SliceRows: 100, Open: func(t *testing.T) cdctest.Database {
		source, err := cdc.NewMemorySource(cdc.Filter{Exclude: []string{"*.ignored"}}, 30)
		if err != nil {
			t.Fatal(err)
		}
		return &database{source: source, rows: map[string]map[int]string{"item": {}, "other": {}, "ignored": {}}}
	}})
}

// database executes statements for a memory source, which only takes changes.
type database struct {
	source *cdc.MemorySource
	rows   map[string]map[int]string
}

func (d *database) Source() cdc.Source { return d.source }

func (d *database) Commit(_ *testing.T, statements ...cdctest.Statement) string {
	return d.source.Commit(d.changes(statements)...)
}

func (d *database) Prepare(t *testing.T, xid string, statements ...cdctest.Statement) string {
	return must(t)(d.source.Prepare(xid, d.changes(statements)...))
}

// Complete leaves the rows of a rollback in d.rows: the suite does not look at them again.
func (d *database) Complete(t *testing.T, xid string, commit bool) string {
	if commit {
		return must(t)(d.source.CommitPrepared(xid))
	}
	return must(t)(d.source.RollbackPrepared(xid))
}

func must(t *testing.T) func(id string, err error) string {
	return func(id string, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
}

func (d *database) changes(statements []cdctest.Statement) []cdc.Change {
	var changes []cdc.Change
	for _, s := range statements {
		table := &cdc.Table{Schema: "test", Name: s.Table, Columns: []cdc.Column{{Name: "id", Type: "int"}, {Name: "name", Type: "varchar"}}, Key: []int{0}}
		c := cdc.Change{Table: table, Op: s.Op, Key: key(s.Row.ID)}
		if old, ok := d.rows[s.Table][s.Row.ID]; ok {
			c.Before = row(s.Row.ID, old)
			delete(d.rows[s.Table], s.Row.ID)
		}
		id := s.Row.ID
		if s.NewID != 0 {
			id, c.OldKey, c.Key = s.NewID, c.Key, key(s.NewID)
		}
		if s.Op != cdc.Delete {
			c.After = row(id, s.Row.Name)
			d.rows[s.Table][id] = s.Row.Name
		}
		changes = append(changes, c)
	}
	return changes
}

func (d *database) Rollback(*testing.T, ...cdctest.Statement) {}

func (d *database) Purge(*testing.T) {
	p, _ := d.source.Executed(context.Background())
	d.source.Purge(int(p.Offset))
}

func key(id int) []byte { return fmt.Appendf(nil, `{"id":%d}`, id) }

func row(id int, name string) []byte {
	text := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(name)
	return fmt.Appendf(nil, `{"id":%d,"name":"%s"}`, id, text)
}
