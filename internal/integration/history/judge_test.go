package history

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const schema = "work"

// tables are those of the invented histories.
var tables = map[string]Table{"item": {Key: 1, Number: 1, Fixed: 4}, "shape_a": {Key: 1, Number: 1, Fixed: 4}, "shape_b": {Key: 1, Number: 1, Fixed: 4},
	"brief": {Key: 1, Number: 1, Fixed: 4}}

// item is a row of table item: key, transaction, statement, and a column that is not fixed.
func item(id, tx, n int) []Value {
	return []Value{{Text: strconv.Itoa(id)}, {Text: strconv.Itoa(tx)}, {Text: strconv.Itoa(n)}, {Text: "v"}}
}

func change(op byte, before, after []Value) Row {
	return Row{Schema: schema, Table: "item", Op: op, Before: before, After: after}
}

// committed is an invented history: ordinary transactions, one prepared and committed behind others, one rolled back after its prepare, one with a
// ROLLBACK TO, deletes, a changed key, and a table that is emptied.
func committed() []Transaction {
	return []Transaction{
		{GTID: "u:1", Statements: []string{"CREATE TABLE work.item (id INT)"}},
		{GTID: "u:2", Rows: []Row{change('c', nil, item(1, 1, 1)), change('c', nil, item(2, 1, 1)), change('c', nil, item(3, 1, 2))}},
		{GTID: "u:3", Kind: Prepare, XID: "X'01'"},
		{GTID: "u:4", Kind: Prepare, XID: "X'02'"},
		{GTID: "u:5", Rows: []Row{change('u', item(1, 1, 1), item(1, 4, 1)), {Schema: "other", Table: "item", Op: 'c', After: item(9, 9, 9)},
			change('d', item(2, 1, 1), nil)}},
		{GTID: "u:6", Kind: XACommit, XID: "X'01'", Rows: []Row{change('c', nil, item(5, 2, 1)), change('u', item(3, 1, 2), item(4, 2, 2))}},
		{GTID: "u:7", Kind: XARollback, XID: "X'02'"},
		{GTID: "u:8", TookBack: true, Rows: []Row{change('u', item(1, 4, 1), item(1, 5, 1)), change('u', item(5, 2, 1), item(5, 5, 4))}},
	}
}

// told is the ledger of committed: transaction 3 was rolled back after its prepare, 6 was lost with its connection before its commit.
func told() map[uint64]*Entry {
	entries := map[uint64]*Entry{}
	for _, e := range []Entry{{1, Committed, 3, true}, {2, Committed, 2, true}, {3, RolledBack, 2, true}, {4, Committed, 2, true}, {5, Committed, 2, true},
		{6, Unknown, 1, true}} {
		entries[e.Number] = &e
	}
	return entries
}

// evidence is a log that is right, with all that is known about it.
func evidence() *Evidence {
	e := &Evidence{Schema: schema, Tables: tables, Binlog: committed(), Ledger: told(),
		State: map[string]map[string]bool{"item": {"1|5|1|v": true, "4|2|2|v": true, "5|5|4|v": true}}}
	for i, t := range e.Binlog {
		e.Log = append(e.Log, recordsOf(&t, uint64(i+1)*10)...)
	}
	place(e.Log)
	e.Marks = marksOf(e)
	return e
}

// marksOf is a watermark behind each transaction of the log, and the one before all.
func marksOf(e *Evidence) []Mark {
	marks := []Mark{{Through: map[string]uint64{}, Ends: map[string][]int64{}}}
	ends := map[string][]int64{}
	for i, t := range e.Binlog {
		for _, r := range e.Log {
			if r.GTID != t.GTID && (!r.Tombstone || r.CSN != uint64(i+1)*10) {
				continue
			}
			_, topic, _ := strings.Cut(r.Topic, ".")
			list := slices.Clone(ends[topic])
			for len(list) <= int(r.Partition) {
				list = append(list, 0)
			}
			list[r.Partition] = max(list[r.Partition], r.Offset+1)
			ends[topic] = list
		}
		marks = append(marks, Mark{Offset: int64(i + 1), CSN: uint64(i+1) * 10, Through: map[string]uint64{"u": uint64(i + 1)}, Ends: maps.Clone(ends)})
	}
	return marks
}

// recordsOf is what a transaction should become: partition by key.
func recordsOf(t *Transaction, csn uint64) []Record {
	var out []Record
	columns := []string{"id", "tx", "n", "v"}
	object := func(values []Value) map[string]Value {
		if values == nil {
			return nil
		}
		m := map[string]Value{}
		for i, name := range columns {
			m[name] = values[i]
		}
		return m
	}
	for i, row := range t.Rows {
		if row.Schema != schema {
			continue
		}
		add := func(kind uint64, op byte, before, after []Value) {
			image := after
			if image == nil {
				image = before
			}
			id, _ := strconv.Atoi(image[0].Text)
			r := Record{Topic: "p.work.item", Partition: int32(id % 2), CSN: csn, Index: uint64(i+1)<<2 | kind, Key: map[string]Value{"id": image[0]}}
			if kind == tombstoneRecord {
				r.Tombstone = true
			} else {
				r.Op, r.Schema, r.Table, r.GTID, r.Before, r.After, r.Columns = op, schema, "item", t.GTID, object(before), object(after), columns
			}
			out = append(out, r)
		}
		rekeyed := row.Op == 'u' && row.Before[0] != row.After[0]
		if row.Op == 'd' || rekeyed {
			add(changeRecord, 'd', row.Before, nil)
			add(tombstoneRecord, 0, row.Before, nil)
			if rekeyed {
				add(createRecord, 'c', nil, row.After)
			}
			continue
		}
		add(changeRecord, row.Op, row.Before, row.After)
	}
	return out
}

// place gives the records their offsets.
func place(log []Record) {
	next := map[string]int64{}
	for i := range log {
		p := fmt.Sprint(log[i].Topic, log[i].Partition)
		log[i].Offset = next[p]
		next[p]++
	}
}

func find(t *testing.T, log []Record, csn, index uint64) int {
	t.Helper()
	i := slices.IndexFunc(log, func(r Record) bool { return r.CSN == csn && r.Index == index })
	if i < 0 {
		t.Fatalf("no record %d/%d", csn, index)
	}
	return i
}

func TestJudge(t *testing.T) {
	v := Judge(evidence())
	if !v.OK() || v.Transactions != 4 || v.Changes != 9 {
		t.Errorf("a log that is right: %+v", v)
	}
}

// Each thing that can be wrong with a log is found, and called by its name.
func TestJudgeFinds(t *testing.T) {
	prepared := Transaction{GTID: "u:3", Rows: committed()[5].Rows}
	rolledBack := func(gtid string) Transaction {
		return Transaction{GTID: gtid, Rows: []Row{change('c', nil, item(7, 3, 1)), change('c', nil, item(8, 3, 2))}}
	}
	for _, c := range []struct {
		name string
		do   func(t *testing.T, e *Evidence)
		kind string // what is found
		says string // in one of the examples
		only bool   // and nothing else
	}{
		{"a record is missing", func(t *testing.T, e *Evidence) { e.Log = slices.Delete(e.Log, 1, 2) }, "lost", "a record of u:2, index 8", false},
		{"a tombstone is missing", func(t *testing.T, e *Evidence) {
			i := find(t, e.Log, 50, 3<<2|tombstoneRecord)
			e.Log = slices.Delete(e.Log, i, i+1)
		}, "lost", "a record of u:5, index 13", true},
		{"an XA transaction is missing", func(t *testing.T, e *Evidence) {
			e.Log = slices.DeleteFunc(e.Log, func(r Record) bool { return r.CSN == 60 })
		}, "lost", "a record of u:6", false},
		{"a row is missing from binlog and log alike", func(t *testing.T, e *Evidence) {
			e.Binlog[7].Rows = e.Binlog[7].Rows[:1]
			e.Log = e.Log[:len(e.Log)-1]
		}, "lost", "transaction 5 changed 2 rows, of which the log has 1", false},
		{"a transaction is in the table only", func(t *testing.T, e *Evidence) { e.State["item"]["6|6|1|v"] = true }, "lost", "a row of table item", true},
		{"a record stands twice", func(t *testing.T, e *Evidence) {
			i := find(t, e.Log, 50, 1<<2)
			e.Log = slices.Insert(e.Log, i+1, e.Log[i])
			place(e.Log)
		}, "duplicated", "stands already at", true},
		{"a record stands twice under two indexes", func(t *testing.T, e *Evidence) {
			r := e.Log[find(t, e.Log, 50, 1<<2)]
			r.Index = 9 << 2
			e.Log = slices.Insert(e.Log, find(t, e.Log, 50, 3<<2|tombstoneRecord)+1, r)
			place(e.Log)
		}, "duplicated", "repeats another record of u:5", false},
		{"a transaction stands twice under two numbers", func(t *testing.T, e *Evidence) {
			e.Log = append(e.Log, recordsOf(&e.Binlog[7], 90)...)
			place(e.Log)
		}, "duplicated", "has csn 80 already", true},
		{"a transaction stands twice under two ids", func(t *testing.T, e *Evidence) {
			twice := e.Binlog[7]
			twice.GTID = "u:9"
			e.Log = append(e.Log, recordsOf(&twice, 90)...)
			place(e.Log)
		}, "duplicated", "u:9 has rows of transaction 5, which is in the log already", false},
		{"two transactions are exchanged", func(t *testing.T, e *Evidence) {
			for i := range e.Log {
				e.Log[i].CSN = map[uint64]uint64{20: 20, 50: 60, 60: 50, 80: 80}[e.Log[i].CSN]
			}
			slices.SortStableFunc(e.Log, func(a, b Record) int { return int(a.CSN) - int(b.CSN) })
			place(e.Log)
		}, "reordered", "transaction u:6 has csn 50, after csn 60", true},
		{"two rows of a transaction are exchanged", func(t *testing.T, e *Evidence) {
			i, j := find(t, e.Log, 20, 1<<2), find(t, e.Log, 20, 3<<2)
			e.Log[i].Index, e.Log[j].Index = e.Log[j].Index, e.Log[i].Index
			e.Log[i], e.Log[j] = e.Log[j], e.Log[i]
		}, "reordered", "belongs before the one in front of it in u:2", true},
		{"statements are exchanged in binlog and log alike", func(t *testing.T, e *Evidence) {
			e.Binlog[1].Rows = []Row{e.Binlog[1].Rows[2], e.Binlog[1].Rows[0], e.Binlog[1].Rows[1]}
			e.Log = append(recordsOf(&e.Binlog[1], 20), e.Log[3:]...)
			place(e.Log)
		}, "reordered", "is of statement 1 of transaction 1, after statement 2", true},
		{"an index has another number", func(t *testing.T, e *Evidence) { e.Log[2].Index = 9 << 2 }, "reordered", "has index 12 in u:2", true},
		{"a partition is out of order", func(t *testing.T, e *Evidence) {
			i, j := find(t, e.Log, 50, 1<<2), find(t, e.Log, 80, 1<<2)
			e.Log[i], e.Log[j] = e.Log[j], e.Log[i]
			place(e.Log)
		}, "reordered", "stands after", true},
		{"a key changes its partition", func(t *testing.T, e *Evidence) {
			e.Log[find(t, e.Log, 80, 1<<2)].Partition = 7
			place(e.Log)
		}, "reordered", "its key was in partition 1 before", true},
		{"a before image is not what was there", func(t *testing.T, e *Evidence) {
			e.Binlog[4].Rows[0].Before = item(1, 1, 9)
			i := find(t, e.Log, 50, 1<<2)
			e.Log[i].Before = maps.Clone(e.Log[i].Before)
			e.Log[i].Before["n"] = Value{Text: "9"}
		}, "reordered", "does not follow what the records before it left", true},
		{"rows come with the prepare", func(t *testing.T, e *Evidence) {
			e.Log = slices.Insert(e.Log, find(t, e.Log, 50, 1<<2), recordsOf(&prepared, 30)...)
			place(e.Log)
		}, "phantom", "is of u:3, which committed no rows", false},
		{"rows of a rolled back transaction come with its prepare", func(t *testing.T, e *Evidence) {
			tx := rolledBack("u:4")
			e.Log = slices.Insert(e.Log, find(t, e.Log, 50, 1<<2), recordsOf(&tx, 40)...)
			place(e.Log)
		}, "phantom", "u:4 has rows of transaction 3, which was rolled back", true},
		{"rows of a rolled back transaction are in binlog and log", func(t *testing.T, e *Evidence) {
			e.Binlog[6] = rolledBack("u:7")
			e.Log = slices.Insert(e.Log, find(t, e.Log, 80, 1<<2), recordsOf(&e.Binlog[6], 70)...)
			place(e.Log)
		}, "phantom", "u:7 has rows of transaction 3, which was rolled back", true},
		{"a transaction that nobody began", func(t *testing.T, e *Evidence) { delete(e.Ledger, 5) }, "phantom", "u:8 has rows of transaction 5, which nobody began", true},
		{"a record more than the transaction has", func(t *testing.T, e *Evidence) {
			r := recordsOf(&Transaction{GTID: "u:8", Rows: []Row{change('c', nil, item(9, 5, 9))}}, 80)
			r[0].Index = 9 << 2
			e.Log = append(e.Log, r...)
			place(e.Log)
		}, "phantom", "is no change of u:8", true},
		{"another value", func(t *testing.T, e *Evidence) {
			e.Log[0].After = maps.Clone(e.Log[0].After)
			e.Log[0].After["v"] = Value{Text: "w"}
		}, "phantom", "is no change of u:2", false},
		{"NULL instead of a text", func(t *testing.T, e *Evidence) {
			e.Log[0].After = maps.Clone(e.Log[0].After)
			e.Log[0].After["v"] = Value{Null: true}
		}, "lost", "a record of u:2, index 4", false},
		{"a row that the table does not have", func(t *testing.T, e *Evidence) { delete(e.State["item"], "5|5|4|v") }, "phantom", "that the table does not have", true},
		{"a table that does not exist", func(t *testing.T, e *Evidence) { delete(e.State, "item") }, "phantom", "which does not exist", true},
		{"half of a transaction whose outcome is unknown", func(t *testing.T, e *Evidence) {
			e.Ledger[5].Outcome = Unknown
			e.Ledger[5].Changes = 3
		}, "lost", "transaction 5 changed 3 rows, of which the log has 2", true},
		{"more than the client changed", func(t *testing.T, e *Evidence) { e.Ledger[5].Changes = 1 }, "phantom", "transaction 5 changed 1 rows, and the log has 2", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := evidence()
			e.Marks = nil // TestJudgeFindsInWatermarks has them
			c.do(t, e)
			v := Judge(e)
			counts := map[string]int{"lost": v.Lost, "duplicated": v.Duplicated, "reordered": v.Reordered, "phantom": v.Phantom}
			if v.OK() || counts[c.kind] == 0 {
				t.Fatalf("not found: %s", v)
			}
			if !slices.ContainsFunc(v.Examples, func(s string) bool { return strings.HasPrefix(s, c.kind) && strings.Contains(s, c.says) }) {
				t.Errorf("no example says %q:\n%s", c.says, strings.Join(v.Examples, "\n"))
			}
			for kind, n := range counts {
				if c.only && kind != c.kind && n > 0 {
					t.Errorf("%d %s, want only %s:\n%s", n, kind, c.kind, strings.Join(v.Examples, "\n"))
				}
			}
		})
	}
}

// Schema changes move and remove rows without changing them.
func TestStateFollowsSchemaChanges(t *testing.T) {
	shape := func(table string, id, tx int) Row {
		return Row{Schema: schema, Table: table, Op: 'c', After: item(id, tx, 1)}
	}
	e := &Evidence{Schema: schema, Tables: tables, Ledger: map[uint64]*Entry{}, State: map[string]map[string]bool{
		"shape_a": {"2|2|1|v": true}, "shape_b": {"1|1|1|v": true}, "item": {}, "brief": {"4|5|1|v": true}}}
	e.Binlog = []Transaction{
		{GTID: "u:1", Rows: []Row{shape("shape_a", 1, 1)}},
		{GTID: "u:2", Rows: []Row{shape("shape_b", 2, 2)}},
		{GTID: "u:3", Statements: []string{"RENAME TABLE shape_a TO shape_x, shape_b TO shape_a, shape_x TO shape_b"}},
		{GTID: "u:4", Rows: []Row{shape("item", 3, 3)}},
		{GTID: "u:5", Statements: []string{"TRUNCATE TABLE item"}},
		{GTID: "u:6", Rows: []Row{shape("brief", 4, 4)}},
		{GTID: "u:7", Statements: []string{"DROP TABLE `brief` /* generated by server */"}},
		{GTID: "u:8", Statements: []string{"CREATE TABLE brief (id INT PRIMARY KEY)"}},
		{GTID: "u:9", Rows: []Row{shape("brief", 4, 5)}},
	}
	for i := range e.Binlog {
		t := &e.Binlog[i]
		if table := map[string]string{"u:5": "item", "u:7": "brief"}[t.GTID]; table != "" {
			e.Log = append(e.Log, Record{Topic: "p.work." + table, CSN: uint64(i + 1), Index: 4, Op: 't', Schema: schema, Table: table, GTID: t.GTID})
		}
		for _, row := range t.Rows {
			tx, _ := strconv.ParseUint(row.After[1].Text, 10, 64)
			e.Ledger[tx] = &Entry{Number: tx, Outcome: Committed, Changes: 1, Marked: true}
			records := recordsOf(t, uint64(i+1))
			records[0].Topic, records[0].Table = "p.work."+row.Table, row.Table
			e.Log = append(e.Log, records...)
		}
	}
	place(e.Log)
	if v := Judge(e); !v.OK() {
		t.Errorf("%s\n%s", v, strings.Join(v.Examples, "\n"))
	}
	e.Log = slices.DeleteFunc(e.Log, func(r Record) bool { return r.Op == 't' && r.Table == "item" })
	if v := Judge(e); v.Lost != 1 || v.Phantom != 1 {
		t.Errorf("a truncate is missing: %s, want it as lost, and its row as a phantom", v)
	}
}
