package cdc

import "github.com/millrace-go/millrace/eventstore"

// SchemaChange is what a statement did to a table as a whole. A statement about several tables is several changes.
type SchemaChange struct {
	// Op is any but [eventstore.SchemaDefine].
	Op eventstore.SchemaOp
	// Row is the change's position in its transaction: it counts as a row.
	Row uint64
	// Schema and Table name the table as it was called before. Table is empty when a whole schema was dropped.
	Schema, Table string
	// ToSchema and ToTable are the new name; of a rename only.
	ToSchema, ToTable string
	// IfNotExists is set on a create that leaves a table of that name as it is.
	IfNotExists bool
	// Statement is the statement's text, bounded by the source, without passwords; empty where [Columns] leaves out or masks columns of one
	// of its tables.
	Statement string
}

// endsRows tells whether the table has lost its rows: a truncate stands in its topic then.
func (c *SchemaChange) endsRows() bool {
	return c.Table != "" && (c.Op == eventstore.SchemaTruncate || c.Op == eventstore.SchemaDrop)
}

// captured tells whether the filter takes the change: its table, or what its table is called afterwards.
func (c *SchemaChange) captured(f Filter) bool {
	if c.Table == "" {
		return f.MatchSchema(c.Schema)
	}
	return f.Match(c.Schema, c.Table) || c.ToTable != "" && f.Match(c.ToSchema, c.ToTable)
}

// Captured returns those of changes that the filter takes: whose table it matches, before or after a rename.
func (f Filter) Captured(changes []SchemaChange) []SchemaChange {
	var taken []SchemaChange
	for _, c := range changes {
		if c.captured(f) {
			taken = append(taken, c)
		}
	}
	return taken
}

// definitions are those of the tables of a relay's session.
type definitions struct {
	tables  map[*Table]*definition
	written map[string]bool // by id: their schema records are in the log, or on their way
}

// definition is a table as the log has it.
type definition struct {
	eventstore.TableDefinition
	id string
}

// maxDefinitions bounds what a session keeps. To forget costs a repeated schema record.
const maxDefinitions = 10_000

func newDefinitions() *definitions {
	return &definitions{tables: map[*Table]*definition{}, written: map[string]bool{}}
}

// of returns a table's definition, made once.
func (s *definitions) of(t *Table) *definition {
	if d := s.tables[t]; d != nil {
		return d
	}
	if len(s.tables) >= maxDefinitions {
		clear(s.tables)
	}
	if len(s.written) >= maxDefinitions {
		clear(s.written)
	}
	d := &definition{}
	d.Schema, d.Table = t.Schema, t.Name
	for _, c := range t.Columns {
		d.Columns = append(d.Columns, eventstore.ColumnDefinition{Name: c.Name, Type: c.Type, Mask: c.Mask})
	}
	for _, i := range t.Key {
		if i < len(t.Columns) {
			d.Key = append(d.Key, t.Columns[i].Name)
		}
	}
	d.id = d.ID()
	s.tables[t] = d
	return d
}

// define appends the schema record of a definition, once in a session. A record that skip leaves out is in the log: whoever wrote what
// stands behind it there had written this one before, or found it.
func (f *flush) define(d *definition, slice *Slice, row uint64, skip func(*eventstore.Record) bool) {
	if f.definitions.written[d.id] {
		return
	}
	f.definitions.written[d.id], f.defines = true, true
	f.schemaRecord(slice, row, &eventstore.SchemaChange{Op: eventstore.SchemaDefine, Schema: d.Schema, Table: d.Table, Definition: &d.TableDefinition}, skip)
}

// schemaChange appends the records of a schema change: the schema record, and a truncate where it ended rows.
func (f *flush) schemaChange(slice *Slice, c *SchemaChange, connector string, skip func(*eventstore.Record) bool) {
	f.schemaRecord(slice, c.Row, &eventstore.SchemaChange{Op: c.Op, Schema: c.Schema, Table: c.Table, ToSchema: c.ToSchema, ToTable: c.ToTable,
		IfNotExists: c.IfNotExists, Statement: c.Statement}, skip)
	if !c.endsRows() {
		return
	}
	row := eventstore.RowChange{Op: 't', Schema: c.Schema, Table: c.Table, Connector: connector, GTID: slice.ID, Time: slice.Time,
		Place: eventstore.Place{CSN: f.csn, Index: eventstore.RowIndex(c.Row, eventstore.RowRecord)}}
	f.record(f.rules.of(c.Schema, c.Table).topic, []byte("{}"), &row, skip)
}

// schemaRecord appends a schema record in the place before a row.
func (f *flush) schemaRecord(slice *Slice, row uint64, c *eventstore.SchemaChange, skip func(*eventstore.Record) bool) {
	c.GTID, c.Time, c.Place = slice.ID, slice.Time, eventstore.Place{CSN: f.csn, Index: eventstore.SchemaIndex(row)}
	rec := eventstore.Record{Place: c.Place, Topic: eventstore.SchemaTopic, Key: eventstore.AppendSchemaKey(nil, c.Schema, c.Table), Time: c.Time}
	if skip != nil && skip(&rec) {
		return
	}
	rec.Value = eventstore.AppendSchema(nil, c)
	f.bytes += len(rec.Key) + len(rec.Value) + recordBytes
	f.Records = append(f.Records, rec)
}
