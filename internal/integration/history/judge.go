package history

import (
	"fmt"
	"maps"
	"slices"
)

// Table says where a table's row holds what the check needs. The columns come first in the table, in this order: the key's, the
// transaction's number, the statement's number in the transaction. What follows may change.
type Table struct {
	Key    int // columns of the key
	Number int // the column with the transaction's number
	Fixed  int // columns that never change, from the first
}

// Evidence is all that is known about a run.
type Evidence struct {
	Schema string
	Tables map[string]Table
	Binlog []Transaction
	Log    []Record
	Ledger map[uint64]*Entry
	// Marks are the watermarks, in their order; nil: not compared. With them the binlog must be that of one server without XA transactions.
	Marks []Mark
	// State is the rows at the end, by table and by text of the fixed columns' values; nil: not compared.
	State map[string]map[string]bool
}

// Verdict is what is wrong with a log.
type Verdict struct {
	Transactions int // of the binlog, with rows
	Changes      int // rows of the binlog
	Lost         int // records that a committed change should have, and the log does not
	Duplicated   int // records beyond the first
	Reordered    int // records or transactions that stand where another one belongs
	Phantom      int // records of what was never committed
	Torn         int // transactions of which a reader at some watermark would have got a part
	Ahead        int // transactions that a watermark covered before they were there
	// Examples say where, for the first few of each kind, without row data.
	Examples []string

	seen map[string]int
}

// OK tells whether nothing is wrong.
func (v *Verdict) OK() bool { return v.Lost+v.Duplicated+v.Reordered+v.Phantom+v.Torn+v.Ahead == 0 }

// String is the end of the check's last line.
func (v *Verdict) String() string {
	return fmt.Sprintf("lost %d duplicated %d reordered %d phantom %d", v.Lost, v.Duplicated, v.Reordered, v.Phantom)
}

func (v *Verdict) found(count *int, kind, format string, args ...any) {
	*count++
	if v.seen[kind]++; v.seen[kind] <= 5 {
		v.Examples = append(v.Examples, kind+": "+fmt.Sprintf(format, args...))
	}
}

// group is the records of one transaction of the log, in the order of their indexes.
type group struct {
	csn     uint64
	gtid    string
	records []*Record
}

// Judge compares the log with what is known.
func Judge(e *Evidence) *Verdict {
	v := &Verdict{seen: map[string]int{}}
	v.partitions(e.Log)
	groups := v.groups(e.Log)
	v.binlog(e, groups)
	v.ledger(e, groups)
	v.marks(e, groups)
	v.state(e, groups)
	return v
}

// partitions checks that the records of a partition stand in order, each once, and that a key stays in its partition.
func (v *Verdict) partitions(log []Record) {
	type partition struct {
		topic  string
		number int32
	}
	last := map[partition]*Record{}
	home := map[string]int32{}
	for i := range log {
		r := &log[i]
		p := partition{r.Topic, r.Partition}
		if before := last[p]; before != nil {
			switch {
			case r.CSN < before.CSN || r.CSN == before.CSN && r.Index < before.Index:
				v.found(&v.Reordered, "reordered", "%s stands after %s", r.At(), before.At())
			case r.Offset <= before.Offset:
				v.found(&v.Reordered, "reordered", "%s was read after offset %d", r.At(), before.Offset)
			}
		}
		last[p] = r
		key := r.Topic + fmt.Sprint(r.Key) // fmt sorts maps
		if number, ok := home[key]; ok && number != r.Partition {
			v.found(&v.Reordered, "reordered", "%s: its key was in partition %d before", r.At(), number)
		}
		home[key] = r.Partition
	}
}

// groups puts the records of each transaction together. A place that is taken, or a transaction that has a number already, is a duplicate.
func (v *Verdict) groups(log []Record) map[string]*group {
	byCSN := map[uint64][]*Record{}
	for i := range log {
		byCSN[log[i].CSN] = append(byCSN[log[i].CSN], &log[i])
	}
	groups := map[string]*group{}
	for _, csn := range slices.Sorted(maps.Keys(byCSN)) {
		g := &group{csn: csn}
		records := byCSN[csn]
		slices.SortStableFunc(records, func(a, b *Record) int {
			return int(int64(a.Index) - int64(b.Index))
		})
		for i, r := range records {
			if i > 0 && r.Index == records[i-1].Index {
				v.found(&v.Duplicated, "duplicated", "%s stands already at %s", r.At(), records[i-1].At())
				continue
			}
			switch {
			case r.Tombstone || r.GTID == g.gtid:
			case g.gtid == "":
				g.gtid = r.GTID
			default:
				v.found(&v.Phantom, "phantom", "%s is of %s and has the csn of %s", r.At(), r.GTID, g.gtid)
				continue
			}
			g.records = append(g.records, r)
		}
		if first := groups[g.gtid]; first != nil {
			for _, r := range g.records {
				v.found(&v.Duplicated, "duplicated", "%s is of %s, which has csn %d already", r.At(), g.gtid, first.csn)
			}
			continue
		}
		groups[g.gtid] = g
	}
	return groups
}

// binlog compares the groups with the transactions that the server committed, in the order of their commits.
func (v *Verdict) binlog(e *Evidence, groups map[string]*group) {
	last := uint64(0)
	known := map[string]bool{}
	for i := range e.Binlog {
		t := &e.Binlog[i]
		want := expected(t, e)
		if len(want) == 0 {
			continue
		}
		v.Transactions++
		known[t.GTID] = true
		g := groups[t.GTID]
		if g == nil {
			g = &group{}
		} else {
			if g.csn <= last {
				v.found(&v.Reordered, "reordered", "transaction %s has csn %d, after csn %d", t.GTID, g.csn, last)
			}
			last = max(last, g.csn)
		}
		v.compare(t, want, g, e.Tables)
	}
	for _, gtid := range slices.Sorted(maps.Keys(groups)) {
		if known[gtid] {
			continue
		}
		for _, r := range groups[gtid].records {
			v.found(&v.Phantom, "phantom", "%s is of %s, which committed no rows", r.At(), gtid)
		}
	}
}

// compare compares the records of a transaction with what they must be.
func (v *Verdict) compare(t *Transaction, want []wanted, g *group, tables map[string]Table) {
	v.Changes += changes(want)
	waiting := map[string][]int{} // of want, by what they say
	for i, w := range want {
		waiting[w.says] = append(waiting[w.says], i)
	}
	given := map[string]bool{}
	highest, exact := -1, !t.TookBack
	for _, r := range g.records {
		text := saysRecord(r, tables)
		queue := waiting[text]
		if len(queue) == 0 {
			exact = false
			if given[text] {
				v.found(&v.Duplicated, "duplicated", "%s repeats another record of %s", r.At(), t.GTID)
			} else {
				v.found(&v.Phantom, "phantom", "%s is no change of %s", r.At(), t.GTID)
			}
			continue
		}
		n := queue[0]
		waiting[text], given[text] = queue[1:], true
		switch {
		case n < highest:
			v.found(&v.Reordered, "reordered", "%s belongs before the one in front of it in %s", r.At(), t.GTID)
			exact = false
		case exact && r.Index != want[n].index:
			v.found(&v.Reordered, "reordered", "%s has index %d in %s", r.At(), want[n].index, t.GTID)
			exact = false
		}
		highest = max(highest, n)
	}
	for _, w := range want {
		if queue := waiting[w.says]; len(queue) > 0 {
			waiting[w.says] = queue[1:]
			v.found(&v.Lost, "lost", "a record of %s, index %d", t.GTID, w.index)
		}
	}
}

// changes counts rows: each has one record with the low bits zero.
func changes(want []wanted) (n int) {
	for _, w := range want {
		if w.index&3 == changeRecord {
			n++
		}
	}
	return n
}

// ledger compares the groups with what the clients were told, by the numbers in the rows.
func (v *Verdict) ledger(e *Evidence, groups map[string]*group) {
	inLog := map[uint64]int{} // rows of a transaction
	for _, gtid := range slices.Sorted(maps.Keys(groups)) {
		g := groups[gtid]
		number, statement, rows := uint64(0), uint64(0), 0
		for _, r := range g.records {
			if r.Index&3 == changeRecord {
				rows++
			}
			n, s, ok := numbers(r, e.Tables)
			if !ok {
				continue
			}
			if number != 0 && n != number {
				v.found(&v.Phantom, "phantom", "%s has a row of transaction %d among those of %d", r.At(), n, number)
				continue
			}
			if s < statement {
				v.found(&v.Reordered, "reordered", "%s is of statement %d of transaction %d, after statement %d", r.At(), s, n, statement)
			}
			number, statement = n, s
		}
		if number == 0 {
			continue
		}
		entry := e.Ledger[number]
		switch {
		case entry == nil:
			v.found(&v.Phantom, "phantom", "%s has rows of transaction %d, which nobody began", gtid, number)
		case entry.Outcome == RolledBack:
			v.found(&v.Phantom, "phantom", "%s has rows of transaction %d, which was rolled back", gtid, number)
		case inLog[number] > 0:
			v.found(&v.Duplicated, "duplicated", "%s has rows of transaction %d, which is in the log already", gtid, number)
		}
		inLog[number] += rows
	}
	for _, number := range slices.Sorted(maps.Keys(e.Ledger)) {
		entry := e.Ledger[number]
		rows, found := inLog[number]
		switch {
		case entry.Outcome == RolledBack || entry.Outcome == Unknown && (!found || entry.Changes < 0):
		case entry.Outcome == Committed && !entry.Marked: // only deletes, or nothing
		case rows < entry.Changes:
			v.found(&v.Lost, "lost", "transaction %d changed %d rows, of which the log has %d", number, entry.Changes, rows)
		case rows > entry.Changes:
			v.found(&v.Phantom, "phantom", "transaction %d changed %d rows, and the log has %d", number, entry.Changes, rows)
		}
	}
}
