package snapshot

import (
	"slices"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/history"
)

// script builds a log and the table that it should be equal to.
type script struct {
	records []history.Record
	csn     uint64
}

func image(text string) map[string]history.Value {
	if text == "" {
		return nil
	}
	row := map[string]history.Value{}
	for pair := range strings.SplitSeq(text, " ") {
		name, value, _ := strings.Cut(pair, "=")
		row[name] = history.Value{Text: value, Null: value == "NULL"}
	}
	return row
}

// row adds a record of a transaction of its own: `r id=1 v=a`, `u id=1 v=a > id=1 v=b`, `t`.
func (s *script) row(table, text string) *script {
	s.csn++
	op, images, _ := strings.Cut(text, " ")
	before, after, both := strings.Cut(images, " > ")
	r := history.Record{Topic: "p.work." + table, CSN: s.csn, Index: 4, Op: op[0], Schema: "work", Table: table, Before: image(before), After: image(after)}
	if !both && (op == "c" || op == "r") {
		r.Before, r.After = nil, image(before)
	}
	for _, row := range []map[string]history.Value{r.Before, r.After} {
		if row != nil {
			r.Key = map[string]history.Value{"id": row["id"]}
		}
	}
	s.records = append(s.records, r)
	return s
}

func (s *script) statement(op, table, to string) *script {
	s.csn++
	s.records = append(s.records, history.Record{Topic: "p.schema", CSN: s.csn, Index: 3, Statement: op, Schema: "work", Table: table, ToSchema: "work", To: to})
	return s
}

func (s *script) check(t *testing.T, rows ...string) *Verdict {
	t.Helper()
	c := NewChecker("work", map[string][]string{"a": {"id"}, "b": {"id"}})
	for i := range s.records {
		if err := c.Add(&s.records[i]); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "b"} {
		err := c.Compare(name, func(each func(map[string]history.Value)) error {
			for _, row := range rows {
				if table, columns, _ := strings.Cut(row, " "); table == name {
					each(image(columns))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return &c.Verdict
}

// good is a history in which everything happens that may happen.
func good() *script {
	return new(script).
		row("a", "r id=1 v=x").
		row("a", "u id=2 v=old > id=2 v=new"). // of a row that no chunk has brought
		row("a", "r id=2 v=new").
		row("a", "u id=1 v=x > id=1 v=y").
		row("a", "d id=1 v=y").
		row("a", "c id=1 v=z").
		row("a", "r id=3 v=NULL").
		row("a", "u id=3 v=NULL > id=3 v=n added_7=7"). // ALTER TABLE a ADD COLUMN added_7 … DEFAULT 7
		row("a", "u id=3 v=n added_7=7 > id=3 v=n added_7=8").
		row("b", "r id=1 v=b").
		row("b", "t").
		row("b", "c id=1 v=c")
}

var goodRows = []string{"a id=1 v=z added_7=7", "a id=2 v=new added_7=7", "a id=3 v=n added_7=8", "b id=1 v=c"}

func TestChecker(t *testing.T) {
	v := good().check(t, goodRows...)
	if !v.OK() || v.Rows != 4 || v.Changes != 12 || v.Reads != 4 || v.Repeated != 1 {
		t.Errorf("got %v, %+v", v, v)
	}
}

// Two tables exchange their names, and their rows go along.
func TestCheckerFollowsNames(t *testing.T) {
	v := new(script).row("a", "r id=1 v=x").row("b", "r id=1 v=y").
		statement("rename", "a", "c").statement("rename", "b", "a").statement("rename", "c", "b").
		row("a", "u id=1 v=y > id=1 v=z").row("b", "u id=1 v=x > id=1 v=w").
		check(t, "a id=1 v=z", "b id=1 v=w")
	if !v.OK() {
		t.Errorf("got %+v", v)
	}
}

// A table that comes from another schema brings rows that the log has never seen.
func TestCheckerFollowsSchemas(t *testing.T) {
	s := new(script).row("a", "r id=1 v=x").row("a", "t").statement("rename", "a", "b")
	s.records[2].Schema, s.records[2].ToSchema = "outside", "work"
	s.row("b", "u id=1 v=old > id=1 v=new").row("b", "r id=1 v=new").row("b", "r id=2 v=two")
	if v := s.check(t, "b id=1 v=new", "b id=2 v=two"); !v.OK() {
		t.Errorf("got %+v", v)
	}
}

// Each of these histories is wrong in one way.
func TestCheckerFinds(t *testing.T) {
	one := func(row, table, op string) *script { return good().row(table, op+" "+row) }
	lost, invented := slices.Clone(goodRows), slices.Clone(goodRows)
	lost = append(lost, "a id=9 v=q")
	invented = invented[1:]
	for _, c := range []struct {
		name   string
		script *script
		rows   []string
		want   Verdict
	}{
		{"lost row", good(), lost, Verdict{Lost: 1}},
		{"invented row", good(), invented, Verdict{Invented: 1}},
		{"other value", good(), append([]string{"a id=1 v=q"}, goodRows[1:]...), Verdict{Mismatched: 1}},
		{"null for a text", good(), append([]string{"a id=1 v=NULL"}, goodRows[1:]...), Verdict{Mismatched: 1}},
		{"added column lost", good(), append(goodRows[:2:2], "a id=3 v=n added_7=9", goodRows[3]), Verdict{Mismatched: 1}},
		{"stale chunk at the end", one("id=1 v=y", "a", "r"), goodRows, Verdict{OutOfOrder: 1, Mismatched: 1}},
		{"stale chunk that heals", one("id=1 v=y", "a", "r").row("a", "u id=1 v=z > id=1 v=zz"), append([]string{"a id=1 v=zz"}, goodRows[1:]...), Verdict{OutOfOrder: 2}},
		{"chunk from the future", one("id=1 v=zz", "a", "r").row("a", "u id=1 v=z > id=1 v=zz"), append([]string{"a id=1 v=zz"}, goodRows[1:]...), Verdict{OutOfOrder: 2}},
		{"chunk with a deleted row", one("id=1 v=z", "a", "d").row("a", "r id=1 v=z"), goodRows, Verdict{OutOfOrder: 1}},
		{"chunk with a row from before the truncate", one("id=5 v=b", "b", "r").row("b", "d id=5 v=b"), goodRows, Verdict{OutOfOrder: 1}},
		{"update lost, and made good", one("id=1 v=lost > id=1 v=y", "a", "u"), append([]string{"a id=1 v=y"}, goodRows[1:]...), Verdict{OutOfOrder: 1}},
		{"insert of a row that is there", one("id=1 v=z", "a", "c"), goodRows, Verdict{OutOfOrder: 1}},
		{"delete of a row that is not there", one("id=5 v=z", "b", "d"), goodRows, Verdict{OutOfOrder: 1}},
		{"key that is not the row's", one("id=1 v=z > id=2 v=z", "a", "u"), goodRows, Verdict{Mismatched: 1}},
		{"rename forgotten", one("id=1 v=c > id=1 v=d", "a", "u"), append([]string{"a id=1 v=d"}, goodRows[1:]...), Verdict{OutOfOrder: 1}},
		{"rename done twice", good().statement("rename", "b", "c").statement("rename", "c", "b").statement("rename", "c", "b"), goodRows, Verdict{Lost: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := c.script.check(t, c.rows...)
			got := Verdict{Mismatched: v.Mismatched, Lost: v.Lost, Invented: v.Invented, OutOfOrder: v.OutOfOrder}
			if v.OK() || len(v.Examples) == 0 || got.String() != c.want.String() {
				t.Errorf("got %v, want %v: %q", &got, &c.want, v.Examples)
			}
		})
	}
	s := good()
	last := len(s.records) - 1
	s.records[last].CSN = 10 // behind 11, in one partition
	if v := s.check(t, goodRows...); v.OutOfOrder != 1 {
		t.Errorf("records out of order: got %v", v)
	}
	s = good()
	s.records = append(s.records, s.records[len(s.records)-1])
	if v := s.check(t, goodRows...); v.OutOfOrder != 2 { // the place, and an insert of what is there
		t.Errorf("a record twice: got %v", v)
	}
	if (&Verdict{}).OK() {
		t.Error("nothing compared is OK")
	}
}
