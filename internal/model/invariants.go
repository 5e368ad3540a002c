package model

import (
	"fmt"
	"slices"

	"github.com/millrace-go/millrace/eventstore"
)

// logged is what a state's log says of each transaction.
type logged struct {
	csn  []eventstore.CSN
	rows [][]Row // by transaction: what is there
}

// check returns what is wrong in a state's log, or nothing.
func (w *world) check(s *state) string {
	l := logged{csn: make([]eventstore.CSN, len(w.Transactions)), rows: make([][]Row, len(w.Transactions))}
	if wrong := w.checkRecords(s, &l); wrong != "" {
		return wrong
	}
	if wrong := w.checkOrder(&l); wrong != "" {
		return wrong
	}
	return w.checkMarks(s, &l)
}

// checkRecords: a row is there once (I1), places rise in a partition (I2), a transaction has one csn and a csn one transaction (I3).
func (w *world) checkRecords(s *state, l *logged) string {
	holder, chunks := map[eventstore.CSN]string{}, map[string]eventstore.CSN{}
	for p := range data {
		var last *record
		version := -1 // of the partition's key
		for _, e := range s.part[p].log[:s.part[p].n] {
			rec := &w.records[e.what]
			if e.what == 0 {
				continue
			}
			if rec.chunk != "" {
				if rec.version != version {
					return fmt.Sprintf("CHUNK: csn %d.%d has the row of %s as of T%d, the log had it as of T%d then", rec.CSN, rec.Index, partitionName(p), rec.version, version)
				}
				if other, taken := holder[rec.CSN]; taken && other != rec.chunk {
					return fmt.Sprintf("SHARED CSN: %d is %s and %s", rec.CSN, other, rec.chunk)
				}
				if csn, known := chunks[rec.chunk]; known && csn != rec.CSN {
					return fmt.Sprintf("TWO CSNS: %s has %d and %d", rec.chunk, csn, rec.CSN)
				}
				holder[rec.CSN], chunks[rec.chunk] = rec.chunk, rec.CSN
			}
			if t := rec.tx; t >= 0 {
				for _, row := range l.rows[t] {
					if row.Index == rec.row {
						return fmt.Sprintf("DUPLICATE: row %d of T%d is in the log twice", rec.row, t)
					}
				}
				l.rows[t] = append(l.rows[t], Row{rec.row, p})
				if l.csn[t] != 0 && l.csn[t] != rec.CSN {
					return fmt.Sprintf("TWO CSNS: T%d has %d and %d", t, l.csn[t], rec.CSN)
				}
				l.csn[t] = rec.CSN
				name := fmt.Sprint("T", t)
				if other, taken := holder[rec.CSN]; taken && other != name {
					return fmt.Sprintf("SHARED CSN: %d is %s and %s", rec.CSN, other, name)
				}
				holder[rec.CSN], version = name, t
			}
			if last != nil && rec.Compare(last.Place) <= 0 {
				return fmt.Sprintf("ORDER: %s has csn %d.%d after %d.%d", partitionName(p), rec.CSN, rec.Index, last.CSN, last.Index)
			}
			last = rec
		}
	}
	return ""
}

// checkOrder: transactions that every server has committed in one order have their csns in it (I4).
func (w *world) checkOrder(l *logged) string {
	for a := range l.csn {
		for b := range l.csn {
			if l.csn[a] == 0 || l.csn[b] == 0 || l.csn[a] <= l.csn[b] {
				continue
			}
			always := true
			for r := range w.Relays {
				order := w.server[r].Order
				always = always && slices.Index(order, a) < slices.Index(order, b) && slices.Contains(order, a)
			}
			if always {
				return fmt.Sprintf("COMMIT ORDER: T%d is before T%d on every server, but has csn %d > %d", a, b, l.csn[a], l.csn[b])
			}
		}
	}
	return ""
}

// checkMarks looks at each watermark: its cut is exact (I5), nothing under it is lost and its position is true (I6), it does not fall
// behind the one before (I7), and every row under it finds its definition before it (I9).
func (w *world) checkMarks(s *state, l *logged) string {
	var before *mark
	for _, e := range s.part[marks].log[s.cut:s.part[marks].n] {
		if e.what == 0 {
			continue
		}
		m := &w.marks[e.what]
		if before != nil {
			if m.CSN < before.CSN || before.covers&^m.covers != 0 || m.CSN == before.CSN && m.covers != before.covers ||
				slices.ContainsFunc([]int{0, 1, 2}, func(p int) bool { return m.ends[p] < before.ends[p] }) || before.listed&^m.listed != 0 {
				return fmt.Sprintf("WATERMARK NOT MONOTONE: csn %d, covers %s, ends %v after csn %d, covers %s, ends %v",
					m.CSN, transactions(m.covers), m.ends, before.CSN, transactions(before.covers), before.ends)
			}
		}
		before = m
		if wrong := w.checkCut(s, m); wrong != "" {
			return wrong
		}
		if wrong := w.checkPosition(m, l); wrong != "" {
			return wrong
		}
		if wrong := w.checkTables(s, m, int(e.relay)); w.OldRows && wrong != "" {
			return wrong
		}
	}
	return ""
}

func (w *world) checkCut(s *state, m *mark) string {
	for p := range data {
		if m.ends[p] > s.part[p].n {
			return fmt.Sprintf("WATERMARK AHEAD: csn %d ends %s at %d, which has %d", m.CSN, partitionName(p), m.ends[p], s.part[p].n)
		}
		for i, e := range s.part[p].log[:s.part[p].n] {
			rec := &w.records[e.what]
			if e.what == 0 {
				continue
			}
			if (rec.CSN <= m.CSN) != (i < int(m.ends[p])) {
				return fmt.Sprintf("CUT: watermark %d has end %d on %s, but offset %d holds csn %d", m.CSN, m.ends[p], partitionName(p), i, rec.CSN)
			}
			if i < int(m.ends[p]) && m.listed>>p&1 == 0 {
				return fmt.Sprintf("UNLISTED: watermark %d does not list %s, which holds csn %d", m.CSN, partitionName(p), rec.CSN)
			}
			if rec.definition != "" && p != schemas && rec.CSN <= m.CSN && !w.defined(s, rec) {
				return fmt.Sprintf("UNDEFINED: watermark %d covers csn %d.%d, whose definition does not stand before it", m.CSN, rec.CSN, rec.Index)
			}
		}
	}
	return ""
}

// defined tells whether a row's definition stands before it.
func (w *world) defined(s *state, row *record) bool {
	for _, e := range s.part[schemas].log[:s.part[schemas].n] {
		if rec := &w.records[e.what]; e.what != 0 && rec.definition == row.definition && rec.Compare(row.Place) < 0 {
			return true
		}
	}
	return false
}

func (w *world) checkPosition(m *mark, l *logged) string {
	if have, want := openXIDs(m), w.openXIDs(m.covers); !slices.Equal(have, want) {
		return fmt.Sprintf("PREPARED: watermark %d covers %s and names the XA transactions %v as open, which are %v", m.CSN, transactions(m.covers), have, want)
	}
	for t := range w.Transactions {
		if m.covers>>t&1 == 0 {
			if l.csn[t] != 0 && l.csn[t] <= m.CSN {
				return fmt.Sprintf("POSITION: watermark %d does not cover T%d, whose csn is %d", m.CSN, t, l.csn[t])
			}
			continue
		}
		if l.csn[t] > m.CSN {
			return fmt.Sprintf("POSITION: watermark %d covers T%d, whose csn is %d", m.CSN, t, l.csn[t])
		}
		have := slices.SortedFunc(slices.Values(l.rows[t]), func(a, b Row) int { return int(a.Index) - int(b.Index) })
		if !slices.Equal(have, delivered(w.Transactions, t)) && (w.Changed == nil || !slices.Equal(have, delivered(w.Changed, t))) {
			return fmt.Sprintf("LOST: watermark %d covers T%d, of which the log has rows %v", m.CSN, t, have)
		}
	}
	return ""
}

// openXIDs returns the XA transactions that a watermark names as open.
func openXIDs(m *mark) (xids []string) {
	for _, p := range m.Position.Prepared {
		xids = append(xids, p.XID)
	}
	slices.Sort(xids)
	return xids
}

// openXIDs returns those that are.
func (w *world) openXIDs(covers uint64) (xids []string) {
	for t, tx := range w.Transactions {
		end := slices.IndexFunc(w.Transactions, func(c Transaction) bool { return c.Commit == tx.Prepare })
		if tx.Prepare != "" && covers>>t&1 == 1 && (end < 0 || covers>>end&1 == 0) {
			xids = append(xids, tx.Prepare)
		}
	}
	slices.Sort(xids)
	return xids
}

// checkTables: a table that a watermark calls whole is what its records up to there make of it (I12).
func (w *world) checkTables(s *state, m *mark, relay int) string {
	progress, err := eventstore.ParseSnapshot(m.Position.Snapshot)
	if err != nil {
		return "SNAPSHOT: " + err.Error()
	}
	server := w.server[relay]
	for p := range schemas {
		if !progress.Complete("shop", server.Table(p)) {
			continue
		}
		have, want := -2, -1
		for _, e := range s.part[p].log[:m.ends[p]] {
			if e.what != 0 {
				have = w.records[e.what].version
			}
		}
		for _, t := range server.Order {
			for _, row := range delivered(server.Transactions, t) {
				if row.Partition == p && m.covers>>t&1 == 1 {
					want = t
				}
			}
		}
		if have != want {
			return fmt.Sprintf("TABLE: watermark %d calls shop.%s whole, and its row of %s is as of T%d, want T%d", m.CSN, server.Table(p), partitionName(p), have, want)
		}
	}
	return ""
}
