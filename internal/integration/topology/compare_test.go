package topology

import (
	"slices"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/history"
)

// TestCompare: what is wrong with a log is found, and counted as what it is.
func TestCompare(t *testing.T) {
	text := func(values ...string) (out []history.Value) {
		for _, v := range values {
			out = append(out, history.Value{Text: v})
		}
		return out
	}
	binlog := []history.Transaction{
		{GTID: "a:1", Rows: []history.Row{{Schema: "shop", Table: "mark", Op: 'c', After: text("1", "0")}, {Schema: "shop", Table: "stock", Op: 'c', After: text("7", "x")}}},
		{GTID: "a:2", Rows: []history.Row{{Schema: "other", Table: "t", Op: 'c', After: text("1")}}},
		{GTID: "b:1", Rows: []history.Row{{Schema: "shop", Table: "stock", Op: 'd', Before: text("7", "x")}, {Schema: "shop", Table: "mark", Op: 'c', After: text("2", "0")}}},
	}
	acked := map[string]bool{"1": true, "2": true}
	object := func(values ...string) map[string]history.Value {
		return map[string]history.Value{"id": {Text: values[0]}, "v": {Text: values[1]}}
	}
	record := func(table string, csn, index uint64, gtid string, op byte, before, after map[string]history.Value) history.Record {
		return history.Record{Topic: table, CSN: csn, Index: index, GTID: gtid, Op: op, Schema: "shop", Table: table, Before: before, After: after, Columns: []string{"id", "v"}}
	}
	good := []history.Record{
		record("mark", 1, 1, "a:1", 'c', nil, object("1", "0")),
		record("mark", 3, 2, "b:1", 'c', nil, object("2", "0")),
		record("stock", 1, 2, "a:1", 'c', nil, object("7", "x")),
		record("stock", 3, 1, "b:1", 'd', object("7", "x"), nil),
		{Topic: "stock", CSN: 3, Index: 3, Tombstone: true},
	}
	for name, tt := range map[string]struct {
		spoil func(log []history.Record) []history.Record
		want  Result
	}{
		"nothing":   {func(log []history.Record) []history.Record { return log }, Result{}},
		"lost row":  {func(log []history.Record) []history.Record { return slices.Delete(log, 2, 3) }, Result{Lost: 1}},
		"lost mark": {func(log []history.Record) []history.Record { return slices.Delete(log, 1, 2) }, Result{Lost: 2}},
		"duplicated": {func(log []history.Record) []history.Record { return slices.Insert(log, 3, log[2]) },
			Result{Duplicated: 2}},
		"under another number": {func(log []history.Record) []history.Record {
			return append(log, record("stock", 4, 1, "b:1", 'd', object("7", "x"), nil))
		}, Result{Duplicated: 1}},
		"reordered partition": {func(log []history.Record) []history.Record { log[0], log[1] = log[1], log[0]; return log }, Result{Reordered: 1}},
		"reordered transactions": {func(log []history.Record) []history.Record {
			for i := range log {
				log[i].CSN = 4 - log[i].CSN
			}
			slices.Reverse(log)
			return log
		}, Result{Reordered: 2}},
		"another value": {func(log []history.Record) []history.Record { log[2].After = object("7", "y"); return log }, Result{Lost: 1, Invented: 1}},
		"another branch": {func(log []history.Record) []history.Record {
			return append(log, record("stock", 4, 1, "c:1", 'c', nil, object("9", "x")))
		}, Result{Invented: 1}},
	} {
		got := compare(binlog, tt.spoil(slices.Clone(good)), acked)
		if got.Lost != tt.want.Lost || got.Duplicated != tt.want.Duplicated || got.Reordered != tt.want.Reordered || got.Invented != tt.want.Invented {
			t.Errorf("%s: got %+v, want %+v", name, got, tt.want)
		}
		if got.OK() != (name == "nothing") {
			t.Errorf("%s: OK is %v", name, got.OK())
		}
	}
}
