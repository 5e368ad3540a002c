package cdc

import (
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// flush collects the records of a run of transactions, or of a slice of one.
type flush struct {
	eventstore.Flush
	arena        arena
	bytes        int
	transactions int
	chunks       int // of the transactions
	// complete: the last transaction in the flush is whole. Only then may a watermark follow.
	complete bool
	// csn, time and place of the last transaction; server, file and offset are set when it is complete.
	csn    eventstore.CSN
	time   time.Time
	server string
	file   string
	offset uint64

	rules    *rules
	places   map[*Table]place
	verdicts []verdict // of the slice that judge was given last; empty when all rows pass

	definitions *definitions // shared by the flushes of a session
	defines     bool         // the flush has definitions
}

type tableName struct{ schema, table string }

// maxTransactions bounds the stamp of a flush of transactions without rows.
const maxTransactions = 1 << 16

// recordBytes is what a record costs in memory besides key and value.
const recordBytes = 128

func newFlush(config string, rules *rules, tables *definitions) *flush {
	return &flush{Flush: eventstore.Flush{Stamp: eventstore.Stamp{Config: config}}, rules: rules, places: map[*Table]place{}, definitions: tables}
}

func (f *flush) reset() {
	clear(f.Records)
	f.Records, f.Stamp.Runs = f.Records[:0], f.Stamp.Runs[:0]
	f.arena.reset()
	f.bytes, f.transactions, f.chunks, f.complete, f.defines = 0, 0, 0, false, false
	if len(f.places) > 10_000 {
		clear(f.places)
	}
}

func (f *flush) empty() bool { return f.transactions == 0 && len(f.Records) == 0 }

// accepts tells whether slice may join what is in the flush already: whole transactions up to the byte limit, or one slice of a
// larger one alone.
func (f *flush) accepts(slice *Slice, limit int) bool {
	if f.empty() {
		return true
	}
	if f.defines && slice.IsChunk() && len(slice.Changes) > 0 {
		return false // what it needs may be among the definitions: see queue.add
	}
	return f.complete && slice.First && slice.Last && f.bytes < limit && f.transactions < maxTransactions
}

// add renders slice, which judge has seen, under csn. skip tells which records to leave out; nil means none.
func (f *flush) add(slice *Slice, csn eventstore.CSN, connector string, skip func(*eventstore.Record) bool) {
	if slice.First || f.empty() {
		f.transactions++
	}
	if slice.IsChunk() && slice.define == nil {
		f.chunks++
	}
	f.csn, f.time, f.complete = csn, slice.Time, slice.Last
	if slice.Last {
		f.server, f.file, f.offset = slice.Server, slice.File, slice.Offset
	}
	if slice.define != nil {
		f.define(f.definitions.of(slice.define), slice, 0, skip)
	}
	schema := slice.Schema
	for i := range slice.Changes {
		c := &slice.Changes[i]
		for len(schema) > 0 && schema[0].Row < c.Row {
			f.schemaChange(slice, &schema[0], connector, skip)
			schema = schema[1:]
		}
		if len(f.verdicts) > 0 {
			c = f.verdicts[i].narrowed(c)
		}
		if c != nil {
			f.change(slice, c, csn, connector, skip)
		}
	}
	for i := range schema {
		f.schemaChange(slice, &schema[i], connector, skip)
	}
}

// placeOf returns what the rules say of a table.
func (f *flush) placeOf(t *Table) place {
	p, known := f.places[t]
	if !known {
		p = f.rules.of(t.Schema, t.Name)
		f.places[t] = p
	}
	return p
}

// change appends a row's records: the change, after a delete a tombstone; a changed key is a delete and a create.
func (f *flush) change(slice *Slice, c *Change, csn eventstore.CSN, connector string, skip func(*eventstore.Record) bool) {
	topic, table := f.placeOf(c.Table).topic, f.definitions.of(c.Table)
	f.define(table, slice, c.Row, skip)
	row := eventstore.RowChange{Op: byte(c.Op), Schema: c.Table.Schema, Table: c.Table.Name, Before: c.Before, After: c.After,
		Absent: c.Absent, Connector: connector, GTID: slice.ID, Definition: table.id, Time: slice.Time}
	place := func(record uint64) eventstore.Place {
		return eventstore.Place{CSN: csn, Index: eventstore.RowIndex(c.Row, record)}
	}
	switch {
	case c.OldKey != nil:
		row.Op, row.After, row.Place = byte(Delete), nil, place(eventstore.RowRecord)
		f.record(topic, c.OldKey, &row, skip)
		f.tombstone(topic, c.OldKey, place(eventstore.TombstoneRecord), slice.Time, skip)
		row.Op, row.Before, row.After, row.Place = byte(Create), nil, c.After, place(eventstore.RekeyRecord)
		f.record(topic, c.Key, &row, skip)
	case c.Op == Delete:
		row.Place = place(eventstore.RowRecord)
		f.record(topic, c.Key, &row, skip)
		f.tombstone(topic, c.Key, place(eventstore.TombstoneRecord), slice.Time, skip)
	default:
		row.Place = place(eventstore.RowRecord)
		f.record(topic, c.Key, &row, skip)
	}
}

func (f *flush) record(topic string, key []byte, row *eventstore.RowChange, skip func(*eventstore.Record) bool) {
	rec := eventstore.Record{Place: row.Place, Topic: topic, Key: key, Time: row.Time}
	if skips(skip, rec) {
		return
	}
	rec.Key = f.copy(key)
	size := len(row.Before) + len(row.After) + len(row.Schema) + len(row.Table) + len(row.GTID) + envelopeBytes
	rec.Value = f.arena.keep(eventstore.AppendRow(f.arena.room(size), row))
	f.bytes += len(rec.Key) + len(rec.Value) + recordBytes
	f.Records = append(f.Records, rec)
}

func (f *flush) tombstone(topic string, key []byte, place eventstore.Place, at time.Time, skip func(*eventstore.Record) bool) {
	rec := eventstore.Record{Place: place, Topic: topic, Key: key, Time: at}
	if skips(skip, rec) {
		return
	}
	rec.Key = f.copy(key)
	f.bytes += len(rec.Key) + recordBytes
	f.Records = append(f.Records, rec)
}

// skips asks skip about a copy, which is made on the heap: most flushes have no skip.
func skips(skip func(*eventstore.Record) bool, rec eventstore.Record) bool {
	if skip == nil {
		return false
	}
	asked := rec
	return skip(&asked)
}

// envelopeBytes is more than an envelope has besides images and names: a huge value that outgrew its room would be copied.
const envelopeBytes = 1024

func (f *flush) copy(b []byte) []byte { return f.arena.keep(append(f.arena.room(len(b)), b...)) }

func (f *flush) info() FlushInfo {
	return FlushInfo{CSN: f.csn, Transactions: f.transactions, Records: len(f.Records), Bytes: f.bytes - recordBytes*len(f.Records),
		Committed: f.time, Recorded: f.complete}
}
