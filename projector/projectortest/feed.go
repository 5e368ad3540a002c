package projectortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// Feed writes committed transactions into a log, as a relay does: it takes the place of a database in tests of read models. It keeps
// its tables, so that changes get their before images. It is not safe for concurrent use.
type Feed struct {
	// Keys names the primary key's columns of tables; "id" where a table is not in it.
	Keys map[string][]string
	// Routes say to which topics tables go; give the same to [projector.Config]. They may be changed between commits.
	Routes eventstore.Routes
	// Snapshot is what watermarks say of tables that are still being read.
	Snapshot eventstore.SnapshotProgress

	log    eventstore.Log
	writer eventstore.Writer
	csn    eventstore.CSN
	tables map[string]map[string][]byte // table, key, row
}

// Change is a change of one row, made by [Put], [Del] and [Rekey], a row that is read, made by [Read], an event, made by [Emit], or a change of a table as a whole, made by [Execute].
type Change struct {
	table    string
	old, row any
	op       eventstore.SchemaOp
	read     bool
	event    bool
	key      string // of an event
}

// Put inserts a row, or updates the one with the same key. table is schema.table; row is marshalled by encoding/json.
func Put(table string, row any) Change { return Change{table: table, row: row} }

// Del deletes the row with row's key; other columns do not matter.
func Del(table string, row any) Change { return Change{table: table, old: row} }

// Rekey updates the row with old's key to row, which has another key.
func Rekey(table string, old, row any) Change { return Change{table: table, old: old, row: row} }

// Read has a snapshot read a row: what the table has, or has had before the feed began, stands in the log once more.
func Read(table string, row any) Change { return Change{table: table, row: row, read: true} }

// Emit adds an event to a topic: a record with this key whose value is what encoding/json makes of event.
func Emit(topic, key string, event any) Change {
	return Change{table: topic, key: key, row: event, event: true}
}

// Execute changes a table as a whole, as a statement does. [eventstore.SchemaTruncate] and [eventstore.SchemaDrop] empty it; "shop." drops
// the schema shop with all its tables. [eventstore.SchemaCreate] makes it anew; rows that it still has, have gone with a rename.
func Execute(op eventstore.SchemaOp, table string) Change { return Change{table: table, op: op} }

// NewFeed begins writing to an empty log.
func NewFeed(ctx context.Context, log eventstore.Log) (*Feed, error) {
	w, err := log.Begin(ctx)
	if err != nil {
		return nil, err
	}
	if w.Start().Found {
		return nil, errors.New("feed: the log is not empty")
	}
	if err := w.Watermark(ctx, eventstore.Watermark{Position: eventstore.Position{Flavor: flavor}}); err != nil {
		return nil, err
	}
	return &Feed{log: log, writer: w, tables: map[string]map[string][]byte{}}, nil
}

const flavor = "mariadb"

// GTID returns the id of the transaction that [Feed.Commit] has given a csn.
func GTID(csn eventstore.CSN) string { return fmt.Sprintf("0-1-%d", csn) }

// CSN returns the last transaction's csn.
func (f *Feed) CSN() eventstore.CSN { return f.csn }

// Commit appends one transaction and its watermark, and returns its csn. A transaction without changes moves the log on.
func (f *Feed) Commit(ctx context.Context, changes ...Change) (eventstore.CSN, error) {
	if err := f.Append(ctx, changes...); err != nil {
		return 0, err
	}
	return f.csn, f.Watermark(ctx)
}

// Append appends one transaction without a watermark: readers do not see it before the next [Feed.Watermark].
func (f *Feed) Append(ctx context.Context, changes ...Change) error {
	f.csn++
	flush := &eventstore.Flush{Stamp: eventstore.Stamp{Runs: []eventstore.Run{{First: f.csn, Count: 1, ID: GTID(f.csn)}}}}
	for i, c := range changes {
		if err := f.change(flush, uint64(i), c); err != nil {
			return err
		}
	}
	return f.writer.Append(ctx, flush)
}

// Watermark lets readers see everything that was appended.
func (f *Feed) Watermark(ctx context.Context) error {
	return f.writer.Watermark(ctx, eventstore.Watermark{CSN: f.csn, Time: time.Now(), Position: eventstore.Position{
		Flavor: flavor, GTIDs: GTID(f.csn), Snapshot: f.Snapshot.Text(), File: "binlog.000001", Offset: uint64(f.csn) * 100}})
}

// change adds the records of one changed row or table.
func (f *Feed) change(flush *eventstore.Flush, row uint64, c Change) error {
	if c.op != "" {
		f.execute(flush, row, c)
		return nil
	}
	if c.event {
		value, err := json.Marshal(c.row)
		if err != nil {
			return fmt.Errorf("feed: event of topic %s: %w", c.table, err)
		}
		flush.Records = append(flush.Records, eventstore.Record{Topic: c.table, Key: []byte(c.key), Value: value, Time: time.Now(),
			Place: eventstore.Place{CSN: f.csn, Index: eventstore.RowIndex(row, eventstore.RowRecord)}})
		return nil
	}
	rows := f.tables[c.table]
	if rows == nil {
		rows = map[string][]byte{}
		f.tables[c.table] = rows
	}
	var key, oldKey string
	var image []byte
	var err error
	if c.row != nil {
		if image, err = json.Marshal(c.row); err != nil {
			return fmt.Errorf("feed: table %s: %w", c.table, err)
		}
		if key, err = f.key(c.table, image); err != nil {
			return err
		}
		oldKey = key
	}
	if c.old != nil {
		old, err := json.Marshal(c.old)
		if err != nil {
			return fmt.Errorf("feed: table %s: %w", c.table, err)
		}
		if oldKey, err = f.key(c.table, old); err != nil {
			return err
		}
	}
	before := rows[oldKey]
	if c.old != nil && before == nil {
		return fmt.Errorf("feed: table %s has no row %s", c.table, oldKey)
	}
	switch {
	case c.read:
		f.record(flush, c.table, 'r', key, nil, image, eventstore.RowIndex(row, eventstore.RowRecord))
	case image == nil || oldKey != key:
		f.record(flush, c.table, 'd', oldKey, before, nil, eventstore.RowIndex(row, eventstore.RowRecord))
		f.record(flush, c.table, 0, oldKey, nil, nil, eventstore.RowIndex(row, eventstore.TombstoneRecord))
		delete(rows, oldKey)
		if image != nil {
			f.record(flush, c.table, 'c', key, nil, image, eventstore.RowIndex(row, eventstore.RekeyRecord))
		}
	case before == nil:
		f.record(flush, c.table, 'c', key, nil, image, eventstore.RowIndex(row, eventstore.RowRecord))
	default:
		f.record(flush, c.table, 'u', key, before, image, eventstore.RowIndex(row, eventstore.RowRecord))
	}
	if image != nil {
		rows[key] = image
	}
	return nil
}

// execute adds the records of a table that changes as a whole.
func (f *Feed) execute(flush *eventstore.Flush, row uint64, c Change) {
	schema, table := splitTable(c.table)
	change := eventstore.SchemaChange{Op: c.op, Schema: schema, Table: table, Statement: string(c.op), GTID: GTID(f.csn), Time: time.Now(),
		Place: eventstore.Place{CSN: f.csn, Index: eventstore.SchemaIndex(row)}}
	flush.Records = append(flush.Records, eventstore.Record{Place: change.Place, Topic: eventstore.SchemaTopic, Time: change.Time,
		Key: eventstore.AppendSchemaKey(nil, schema, table), Value: eventstore.AppendSchema(nil, &change)})
	if c.op != eventstore.SchemaTruncate && c.op != eventstore.SchemaDrop && c.op != eventstore.SchemaCreate {
		return
	}
	for name := range f.tables {
		if s, _ := splitTable(name); name == c.table || table == "" && s == schema {
			delete(f.tables, name)
		}
	}
	if table != "" && c.op != eventstore.SchemaCreate {
		f.record(flush, c.table, 't', "{}", nil, nil, eventstore.RowIndex(row, eventstore.RowRecord))
	}
}

// record adds one record; op 0 is a tombstone.
func (f *Feed) record(flush *eventstore.Flush, table string, op byte, key string, before, after []byte, index uint64) {
	schema, name := splitTable(table)
	r := eventstore.RowChange{Op: op, Schema: schema, Table: name, Key: []byte(key), Before: before, After: after, Connector: flavor,
		GTID: GTID(f.csn), Time: time.Now(), Place: eventstore.Place{CSN: f.csn, Index: index}}
	rec := eventstore.Record{Place: r.Place, Topic: f.Routes.Topic(schema, name), Key: r.Key, Time: r.Time}
	if op != 0 {
		rec.Value = eventstore.AppendRow(nil, &r)
	}
	flush.Records = append(flush.Records, rec)
}

// key returns a row's key as it stands in the log.
func (f *Feed) key(table string, row []byte) (string, error) {
	columns := f.Keys[table]
	if columns == nil {
		columns = []string{"id"}
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(row, &values); err != nil {
		return "", fmt.Errorf("feed: table %s: a row is not a JSON object: %w", table, err)
	}
	key := []byte{'{'}
	for i, c := range columns {
		value, ok := values[c]
		if !ok {
			return "", fmt.Errorf("feed: table %s: a row has no key column %q", table, c)
		}
		if i > 0 {
			key = append(key, ',')
		}
		key = fmt.Appendf(key, "%q:%s", c, value)
	}
	return string(append(key, '}')), nil
}

func splitTable(table string) (schema, name string) {
	for i := range len(table) {
		if table[i] == '.' {
			return table[:i], table[i+1:]
		}
	}
	return "", table
}
