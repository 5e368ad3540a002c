package topology

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace-go/millrace/internal/integration/history"
)

// Result is the outcome of a comparison.
type Result struct {
	Changes    int // rows of the binlog
	Marks      int // transactions that clients saw committed
	Lost       int // rows or marks that the log does not have
	Duplicated int // records of a row beyond the first
	Reordered  int // records or transactions that stand before something that was committed earlier
	Invented   int // records of no row that the surviving server has
	Examples   []string
	// branches counts the transactions that only the log has, and those that only the server has.
	branches [2]int
}

// OK tells whether nothing is wrong, and something was compared.
func (r *Result) OK() bool {
	return r.Changes > 0 && r.Marks > 0 && r.Lost+r.Duplicated+r.Reordered+r.Invented == 0
}

// String is the figures in one line.
func (r *Result) String() string {
	text := fmt.Sprintf("lost %d duplicated %d reordered %d", r.Lost, r.Duplicated, r.Reordered)
	if r.Invented > 0 {
		text += fmt.Sprintf(" invented %d", r.Invented)
	}
	return text
}

// Add adds the figures of another comparison.
func (r *Result) Add(o *Result) {
	r.Changes, r.Marks = r.Changes+o.Changes, r.Marks+o.Marks
	r.Lost, r.Duplicated, r.Reordered, r.Invented = r.Lost+o.Lost, r.Duplicated+o.Duplicated, r.Reordered+o.Reordered, r.Invented+o.Invented
	r.Examples = append(r.Examples, o.Examples...)
}

func (r *Result) found(count *int, format string, args ...any) {
	if *count++; *count <= 5 {
		r.Examples = append(r.Examples, fmt.Sprintf(format, args...))
	}
}

// compare compares the log with the history of the server that survived, and with what the clients saw.
func compare(binlog []history.Transaction, log []history.Record, acked map[string]bool) *Result {
	r := &Result{Marks: len(acked)}
	r.partitions(log)
	groups := r.groups(log)
	last := uint64(0)
	for _, t := range binlog {
		var want []string
		for _, row := range t.Rows {
			if row.Schema == schemaName {
				want = append(want, change(row.Table, row.Op, values(row.Before), values(row.After)))
			}
		}
		r.Changes += len(want)
		got := groups[t.GTID]
		delete(groups, t.GTID)
		if len(want) > 0 && len(got.rows) == 0 {
			r.branches[1]++
		}
		r.transaction(t.GTID, want, got.rows)
		if len(got.rows) > 0 {
			if got.csn <= last {
				r.found(&r.Reordered, "reordered: transaction %s has csn %d, one before it csn %d", t.GTID, got.csn, last)
			}
			last = max(last, got.csn)
		}
	}
	r.branches[0] = len(groups)
	for id, g := range groups {
		r.found(&r.Invented, "invented: transaction %s, csn %d, of which the surviving server knows nothing", id, g.csn)
	}
	r.marks(log, acked)
	return r
}

// group is the records of a transaction.
type group struct {
	csn  uint64
	rows []string
}

// groups collects the records by transaction. A transaction has one csn.
func (r *Result) groups(log []history.Record) map[string]group {
	sorted := slices.Clone(log)
	slices.SortStableFunc(sorted, func(a, b history.Record) int {
		return cmp.Or(cmp.Compare(a.CSN, b.CSN), cmp.Compare(a.Index, b.Index))
	})
	groups := map[string]group{}
	for i := range sorted {
		rec := &sorted[i]
		if rec.Tombstone || rec.Op == 't' || rec.Op == 'r' { // a table that was dropped or emptied has no row in the binlog, nor has a snapshot
			continue
		}
		g, known := groups[rec.GTID]
		if known && g.csn != rec.CSN {
			r.found(&r.Duplicated, "duplicated: %s is of transaction %s, which has csn %d", rec.At(), rec.GTID, g.csn)
			continue
		}
		g.csn = rec.CSN
		g.rows = append(g.rows, change(rec.Table, rec.Op, image(rec.Before, rec.Columns), image(rec.After, rec.Columns)))
		groups[rec.GTID] = g
	}
	return groups
}

// partitions checks that the records of each partition stand in order.
func (r *Result) partitions(log []history.Record) {
	type partition struct {
		topic  string
		number int32
	}
	last := map[partition]*history.Record{}
	for i := range log {
		rec := &log[i]
		p := partition{rec.Topic, rec.Partition}
		if before := last[p]; before != nil {
			switch order := cmp.Or(cmp.Compare(before.CSN, rec.CSN), cmp.Compare(before.Index, rec.Index)); {
			case order > 0:
				r.found(&r.Reordered, "reordered: %s stands behind %s", rec.At(), before.At())
			case order == 0:
				r.found(&r.Duplicated, "duplicated: %s stands already at %s", rec.At(), before.At())
			}
		}
		last[p] = rec
	}
}

// transaction compares a transaction's rows.
func (r *Result) transaction(id string, want, got []string) {
	if slices.Equal(want, got) {
		return
	}
	left := map[string]int{}
	for _, row := range want {
		left[row]++
	}
	wanted := len(left)
	for _, row := range got {
		n, known := left[row]
		switch {
		case n > 0:
			left[row]--
		case known:
			r.found(&r.Duplicated, "duplicated: a row of transaction %s", id)
		default:
			r.found(&r.Invented, "invented: a row of transaction %s is not what the server has", id)
		}
	}
	missing := 0
	for _, n := range left {
		missing += n
	}
	for range missing {
		r.found(&r.Lost, "lost: a row of transaction %s (%d of %d rows are there)", id, len(got), len(want))
	}
	if missing == 0 && len(want) == len(got) && wanted > 0 {
		r.found(&r.Reordered, "reordered: the rows of transaction %s", id)
	}
}

// marks compares what the clients saw committed with the marks in the log.
func (r *Result) marks(log []history.Record, acked map[string]bool) {
	seen := map[string]int{}
	for i := range log {
		if rec := &log[i]; rec.Table == "mark" && rec.Op == 'c' {
			seen[rec.After["id"].Text]++
		}
	}
	for mark := range acked {
		switch n := seen[mark]; {
		case n == 0:
			r.found(&r.Lost, "lost: mark %s, whose commit a client saw", mark)
		case n > 1:
			r.found(&r.Duplicated, "duplicated: mark %s is there %d times", mark, n)
		}
		delete(seen, mark)
	}
	for mark := range seen {
		r.found(&r.Invented, "invented: mark %s, which no client saw committed", mark)
	}
}

func change(table string, op byte, before, after string) string {
	return fmt.Sprintf("%s %c %s %s", table, op, before, after)
}

func values(row []history.Value) string {
	var out strings.Builder
	for _, v := range row {
		fmt.Fprintf(&out, "%v:%q ", v.Null, v.Text)
	}
	return out.String()
}

func image(row map[string]history.Value, columns []string) string {
	if row == nil {
		return ""
	}
	var list []history.Value
	for _, c := range columns {
		list = append(list, row[c])
	}
	return values(list)
}
