package check

import (
	"fmt"
	"maps"

	"github.com/millrace-go/millrace/internal/integration/history"
)

// Histories is the outcome of comparing the log with the binlog.
type Histories struct {
	Changes    int // rows of the binlog
	Lost       int // records that a row of the binlog should have, and the log does not
	Duplicated int // records of a row beyond the first
	Reordered  int // records or transactions that stand before something that was committed earlier
	Invented   int // records of no row of the binlog
	Different  int // records with another key, image or place than their row
	// Examples say where, for the first few of each kind, without row data.
	Examples []string
}

// OK tells whether nothing is wrong.
func (h *Histories) OK() bool {
	return h.Lost+h.Duplicated+h.Reordered+h.Invented+h.Different == 0
}

// String is the first half of the check's last line.
func (h *Histories) String() string {
	text := fmt.Sprintf("changes %d lost %d duplicated %d reordered %d", h.Changes, h.Lost, h.Duplicated, h.Reordered)
	if h.Invented+h.Different > 0 {
		text += fmt.Sprintf(" invented %d different %d", h.Invented, h.Different)
	}
	return text
}

func (h *Histories) found(count *int, kind, format string, args ...any) {
	if *count++; *count <= 5 {
		h.Examples = append(h.Examples, kind+": "+fmt.Sprintf(format, args...))
	}
}

type partition struct {
	topic  string
	number int32
}

// place names a record by its transaction and index, whatever its number is.
type place struct {
	gtid  string
	index uint64
}

// CompareHistories compares the binlog's transactions that touch a schema with the log's records. tables are that schema's, topic says
// where a table's records belong.
func CompareHistories(binlog []history.Transaction, log []history.Record, schema string, tables map[string]Table, topic func(table string) string) *Histories {
	h := &Histories{}
	gtids := h.numbers(log)
	h.partitions(log)
	records := map[place]*history.Record{}
	for i := range log {
		r := &log[i]
		p := place{gtids[r.CSN], r.Index}
		if p.gtid == "" {
			h.found(&h.Invented, "invented", "%s has a number that no change has", r.At())
		} else if first := records[p]; first != nil {
			h.found(&h.Duplicated, "duplicated", "%s stands already at %s", r.At(), first.At())
		} else {
			records[p] = r
		}
	}
	last := uint64(0)
	for _, t := range binlog {
		csn := uint64(0)
		for i, row := range t.Rows {
			if row.Schema != schema {
				continue
			}
			h.Changes++
			wanted, err := expect(t.GTID, uint64(i), row, tables[row.Table])
			if err != nil {
				h.found(&h.Different, "different", "%s row %d of %s: %v", t.GTID, i, row.Table, err)
				continue
			}
			for _, want := range wanted {
				p := place{t.GTID, want.Index}
				got := records[p]
				if got == nil {
					h.found(&h.Lost, "lost", "%s index %d of table %s", t.GTID, want.Index, row.Table)
					continue
				}
				delete(records, p)
				csn = got.CSN
				tables[row.Table].plain(got.Before)
				tables[row.Table].plain(got.After)
				if got.Topic != topic(row.Table) || !same(&want, got) {
					h.found(&h.Different, "different", "%s is not what row %d of %s says", got.At(), i, t.GTID)
				}
			}
		}
		if csn == 0 {
			continue
		}
		if csn <= last {
			h.found(&h.Reordered, "reordered", "transaction %s has csn %d, after csn %d", t.GTID, csn, last)
		}
		last = max(last, csn)
	}
	for _, r := range records {
		h.found(&h.Invented, "invented", "%s belongs to no row", r.At())
	}
	return h
}

// numbers returns which transaction a csn is. No csn may be two transactions.
func (h *Histories) numbers(log []history.Record) map[uint64]string {
	gtids := map[uint64]string{}
	for i := range log {
		r := &log[i]
		if r.Tombstone {
			continue
		}
		if id := gtids[r.CSN]; id != "" && id != r.GTID {
			h.found(&h.Different, "different", "%s has the csn of transaction %s", r.At(), id)
			continue
		}
		gtids[r.CSN] = r.GTID
	}
	return gtids
}

// partitions checks that the records of each partition stand in order, and that a key stays in its partition.
func (h *Histories) partitions(log []history.Record) {
	last := map[partition]*history.Record{}
	home := map[string]int32{}
	for i := range log {
		r := &log[i]
		p := partition{r.Topic, r.Partition}
		if before := last[p]; before != nil && (r.CSN < before.CSN || r.CSN == before.CSN && r.Index < before.Index) {
			h.found(&h.Reordered, "reordered", "%s stands after %s", r.At(), before.At())
		}
		last[p] = r
		key := r.Topic + fmt.Sprint(r.Key) // fmt sorts maps
		if number, ok := home[key]; ok && number != r.Partition {
			h.found(&h.Reordered, "reordered", "%s: its key was in partition %d before", r.At(), number)
		}
		home[key] = r.Partition
	}
}

// The records of a row: the low two bits of an index, which counts rows from 1. A changed primary key is a delete, a tombstone and a create.
const (
	changeRecord = iota
	tombstoneRecord
	createRecord
)

// expect returns the records that a row of the binlog must have.
func expect(gtid string, number uint64, row history.Row, t Table) ([]history.Record, error) {
	before, err1 := t.object(row.Before)
	after, err2 := t.object(row.After)
	if err1 != nil {
		return nil, err1
	}
	if err2 != nil {
		return nil, err2
	}
	record := func(kind uint64, op byte, key, before, after map[string]history.Value) history.Record {
		return history.Record{Index: (number+1)<<2 | kind, Tombstone: kind == tombstoneRecord, Op: op, GTID: gtid,
			Schema: row.Schema, Table: row.Table, Key: key, Before: before, After: after}
	}
	switch {
	case row.Op == 'c':
		return []history.Record{record(changeRecord, 'c', t.key(after), nil, after)}, nil
	case row.Op == 'd':
		return []history.Record{record(changeRecord, 'd', t.key(before), before, nil), record(tombstoneRecord, 0, t.key(before), nil, nil)}, nil
	case maps.Equal(t.key(before), t.key(after)):
		return []history.Record{record(changeRecord, 'u', t.key(after), before, after)}, nil
	default:
		return []history.Record{
			record(changeRecord, 'd', t.key(before), before, nil),
			record(tombstoneRecord, 0, t.key(before), nil, nil),
			record(createRecord, 'c', t.key(after), nil, after),
		}, nil
	}
}

// same compares what a record must say with what one says.
func same(r, got *history.Record) bool {
	if r.Tombstone != got.Tombstone || !maps.Equal(r.Key, got.Key) {
		return false
	}
	return r.Tombstone || r.Op == got.Op && r.Schema == got.Schema && r.Table == got.Table &&
		(r.Before == nil) == (got.Before == nil) && (r.After == nil) == (got.After == nil) &&
		maps.Equal(r.Before, got.Before) && maps.Equal(r.After, got.After)
}
