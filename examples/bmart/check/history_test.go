package check

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/history"
)

var testTables = map[string]Table{"stock": {Columns: []Column{
	{Name: "product_id", Type: "bigint", Unsigned: true, Key: true}, {Name: "qty", Type: "int"}, {Name: "at", Type: "datetime"},
}}}

func testTopic(table string) string { return "p.bmart." + table }

func image(id, qty int) []history.Value {
	return []history.Value{{Text: strconv.Itoa(id)}, {Text: strconv.Itoa(qty)}, {Text: "2026-11-22 18:00:00"}}
}

// testHistory is a binlog of some transactions, with a delete, a changed key, a row of another schema and DDL.
func testHistory() []history.Transaction {
	other := history.Row{Schema: "other", Table: "t", Op: 'c', After: image(1, 1)}
	row := func(op byte, before, after []history.Value) history.Row {
		return history.Row{Schema: "bmart", Table: "stock", Op: op, Before: before, After: after}
	}
	return []history.Transaction{
		{GTID: "u:1"},
		{GTID: "u:2", Rows: []history.Row{row('c', nil, image(1, 5)), row('c', nil, image(2, 6)), row('c', nil, image(3, 7))}},
		{GTID: "u:3", Rows: []history.Row{other, row('u', image(1, 5), image(1, 4))}},
		{GTID: "u:5", Rows: []history.Row{row('d', image(2, 6), nil), row('u', image(3, 7), image(4, 7))}},
		{GTID: "u:4", Rows: []history.Row{row('u', image(1, 4), image(1, 3))}},
		{GTID: "u:6", Rows: []history.Row{row('u', image(1, 3), image(1, 2))}},
	}
}

// logOf is the log that the history should become: csn 10, 20, …; partition by key.
func logOf(t *testing.T, binlog []history.Transaction) []history.Record {
	t.Helper()
	var log []history.Record
	for n, tx := range binlog {
		for i, row := range tx.Rows {
			if row.Schema != "bmart" {
				continue
			}
			records, err := expect(tx.GTID, uint64(i), row, testTables["stock"])
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range records {
				id, _ := strconv.Atoi(r.Key["product_id"].Text)
				r.Topic, r.Partition, r.CSN = testTopic("stock"), int32(id%2), uint64(n+1)*10
				r.Before, r.After = maps.Clone(r.Before), maps.Clone(r.After)
				for _, o := range []map[string]history.Value{r.Before, r.After} {
					if o != nil {
						o["at"] = history.Value{Text: "2026-11-22T18:00:00"} // the log's notation
					}
				}
				if r.Tombstone {
					r.GTID = ""
				}
				log = append(log, r)
			}
		}
	}
	return offsets(log)
}

// offsets numbers the records of each partition.
func offsets(log []history.Record) []history.Record {
	next := map[int32]int64{}
	for i := range log {
		log[i].Offset = next[log[i].Partition]
		next[log[i].Partition]++
	}
	return log
}

// find returns the position of a transaction's record.
func find(t *testing.T, log []history.Record, csn, index uint64) int {
	t.Helper()
	i := slices.IndexFunc(log, func(r history.Record) bool { return r.CSN == csn && r.Index == index })
	if i < 0 {
		t.Fatalf("no record %d %d", csn, index)
	}
	return i
}

func TestCompareHistories(t *testing.T) {
	type counts struct{ lost, duplicated, reordered, invented, different int }
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, log []history.Record) []history.Record
		want   counts
	}{
		{"nothing", func(_ *testing.T, log []history.Record) []history.Record { return log }, counts{}},
		{"a record is lost", func(t *testing.T, log []history.Record) []history.Record {
			i := find(t, log, 30, 8)
			return slices.Delete(log, i, i+1)
		}, counts{lost: 1}},
		{"the last record is lost", func(_ *testing.T, log []history.Record) []history.Record { return log[:len(log)-1] }, counts{lost: 1}},
		{"a transaction is lost", func(_ *testing.T, log []history.Record) []history.Record {
			return slices.DeleteFunc(log, func(r history.Record) bool { return r.CSN == 40 })
		}, counts{lost: 5}},
		{"a tombstone is lost", func(t *testing.T, log []history.Record) []history.Record {
			i := find(t, log, 40, 5)
			return slices.Delete(log, i, i+1)
		}, counts{lost: 1}},
		{"a record twice, one behind the other", func(t *testing.T, log []history.Record) []history.Record {
			i := find(t, log, 30, 8)
			return slices.Insert(log, i, log[i])
		}, counts{duplicated: 1}},
		{"a record again later", func(t *testing.T, log []history.Record) []history.Record {
			return append(log, log[find(t, log, 30, 8)])
		}, counts{duplicated: 1, reordered: 1}},
		{"a transaction again under another number", func(_ *testing.T, log []history.Record) []history.Record {
			for _, r := range log {
				if r.CSN == 60 {
					r.CSN = 70
					return append(log, r)
				}
			}
			return nil
		}, counts{duplicated: 1}},
		{"two transactions change places in a partition", func(t *testing.T, log []history.Record) []history.Record {
			i, j := find(t, log, 50, 4), find(t, log, 60, 4)
			log[i], log[j] = log[j], log[i]
			return log
		}, counts{reordered: 1}},
		{"two transactions change numbers", func(_ *testing.T, log []history.Record) []history.Record {
			for i := range log {
				switch log[i].CSN {
				case 50:
					log[i].CSN = 60
				case 60:
					log[i].CSN = 50
				}
			}
			slices.SortStableFunc(log, func(a, b history.Record) int { return int(a.CSN) - int(b.CSN) })
			return log
		}, counts{reordered: 1}},
		{"rows of a transaction change places", func(t *testing.T, log []history.Record) []history.Record {
			i, j := find(t, log, 20, 4), find(t, log, 20, 12) // rows 0 and 2
			log[i].Index, log[j].Index = log[j].Index, log[i].Index
			return log
		}, counts{reordered: 1, different: 2}},
		{"a key changes its partition", func(t *testing.T, log []history.Record) []history.Record {
			log[find(t, log, 60, 4)].Partition = 0
			return log
		}, counts{reordered: 1}},
		{"another value", func(t *testing.T, log []history.Record) []history.Record {
			log[find(t, log, 60, 4)].After["qty"] = history.Value{Text: "99"}
			return log
		}, counts{different: 1}},
		{"another value before", func(t *testing.T, log []history.Record) []history.Record {
			log[find(t, log, 60, 4)].Before["qty"] = history.Value{Null: true}
			return log
		}, counts{different: 1}},
		{"a missing column", func(t *testing.T, log []history.Record) []history.Record {
			delete(log[find(t, log, 60, 4)].After, "qty")
			return log
		}, counts{different: 1}},
		{"another key", func(t *testing.T, log []history.Record) []history.Record {
			log[find(t, log, 60, 4)].Key = map[string]history.Value{"product_id": {Text: "3"}}
			return log
		}, counts{different: 1}},
		{"another topic", func(t *testing.T, log []history.Record) []history.Record {
			log[find(t, log, 60, 4)].Topic = testTopic("product")
			return log
		}, counts{different: 1}},
		{"a record of nothing", func(t *testing.T, log []history.Record) []history.Record {
			r := log[find(t, log, 60, 4)]
			r.CSN, r.GTID = 70, "u:7"
			return append(log, r)
		}, counts{invented: 1}},
		{"a row of nothing in a real transaction", func(t *testing.T, log []history.Record) []history.Record {
			r := log[find(t, log, 60, 4)]
			r.Index = 8
			return append(log, r)
		}, counts{invented: 1}},
		{"one number for two transactions", func(t *testing.T, log []history.Record) []history.Record {
			log[find(t, log, 60, 4)].CSN = 50
			return log
		}, counts{lost: 1, duplicated: 1, different: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			binlog := testHistory()
			log := c.damage(t, logOf(t, binlog))
			h := CompareHistories(binlog, offsets(log), "bmart", testTables, testTopic)
			got := counts{h.Lost, h.Duplicated, h.Reordered, h.Invented, h.Different}
			if got != c.want || h.Changes != 8 {
				t.Errorf("got %+v of %d changes, want %+v of 8\n%v", got, h.Changes, c.want, h.Examples)
			}
			if h.OK() != (c.want == counts{}) {
				t.Errorf("OK is %v", h.OK())
			}
		})
	}
}

// The damage above is at chosen places; here any one record is lost or repeated, and it must be seen wherever it is.
func TestCompareHistoriesSeesEachRecord(t *testing.T) {
	binlog := testHistory()
	for i := range logOf(t, binlog) {
		lost := logOf(t, binlog)
		lost = slices.Delete(lost, i, i+1)
		if h := CompareHistories(binlog, offsets(lost), "bmart", testTables, testTopic); h.Lost != 1 {
			t.Errorf("record %d is gone, but lost is %d", i, h.Lost)
		}
		twice := logOf(t, binlog)
		twice = append(twice, twice[i])
		if h := CompareHistories(binlog, offsets(twice), "bmart", testTables, testTopic); h.Duplicated != 1 {
			t.Errorf("record %d is there twice, but duplicated is %d", i, h.Duplicated)
		}
	}
}

func TestHistoriesString(t *testing.T) {
	h := &Histories{Changes: 7}
	if got, want := h.String(), "changes 7 lost 0 duplicated 0 reordered 0"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	h.Different = 1
	if got, want := h.String(), fmt.Sprintf("changes 7 lost 0 duplicated 0 reordered 0 invented %d different 1", 0); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
