package eventstore

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// SchemaTopic is the topic of the schema records: what the tables of the log looked like, and what changed them. It is no table's
// topic, since those have a dot.
const SchemaTopic = "schema"

// SchemaOp says what a schema record is about.
type SchemaOp string

// The kinds of schema records. All but SchemaDefine are statements.
const (
	// SchemaDefine is a table's definition. It stands before the first row that refers to it, and may be repeated.
	SchemaDefine SchemaOp = "define"
	// SchemaCreate is a table that was created. CREATE OR REPLACE is a drop and a create.
	SchemaCreate SchemaOp = "create"
	// SchemaAlter is a table whose columns, keys or options changed. Its rows are not written again.
	SchemaAlter SchemaOp = "alter"
	// SchemaRename is a table that has another name since. Its rows stay where they are in the log.
	SchemaRename SchemaOp = "rename"
	// SchemaTruncate is a table that was emptied. A truncate stands in its topic, too.
	SchemaTruncate SchemaOp = "truncate"
	// SchemaDrop is a table that was dropped, with its rows: a truncate stands in its topic, too. Without a table it is all tables of the
	// schema, and nothing stands in their topics.
	SchemaDrop SchemaOp = "drop"
)

// SchemaChange is a record of [SchemaTopic].
type SchemaChange struct {
	Op SchemaOp
	// Schema and Table name the table as it was called before. Table is empty when a whole schema was dropped.
	Schema, Table string
	// ToSchema and ToTable are the new name; set by SchemaRename only.
	ToSchema, ToTable string
	// IfNotExists is set on a create that did nothing if there was such a table. Without it the table begins without rows, also where
	// one of that name was renamed before.
	IfNotExists bool
	// Definition is set by SchemaDefine only.
	Definition *TableDefinition
	// Statement is the text of the statement, cut at 16 KiB for all tables of it, passwords in table options blotted out; empty for SchemaDefine, and where columns
	// of one of its tables are left out or masked.
	Statement string
	// GTID is the transaction's id in the source.
	GTID string
	// Time is the commit time.
	Time time.Time
	Place
}

// TableDefinition says which columns the rows of a table have, as they stand in the log. It must not be modified.
type TableDefinition struct {
	Schema, Table string
	// Columns are in the order of the rows' images.
	Columns []ColumnDefinition
	// Key names the columns of the message key, in its order.
	Key []string
}

// ColumnDefinition is a column of a [TableDefinition].
type ColumnDefinition struct {
	Name string `json:"name"`
	// Type is the column's type as far as the source's events tell, e.g. "int unsigned" or "varchar".
	Type string `json:"type"`
	// Mask is what hides the values, e.g. "hash", "redact" or "truncate(3)"; empty when they are shown. A masked value looks as its mask says, not as Type.
	Mask string `json:"mask,omitempty"`
}

// ID identifies the definition: 16 hexadecimal digits, a hash of all that is in it.
func (d *TableDefinition) ID() string {
	hash := sha256.Sum256(append(d.appendMembers([]byte{'{'}), '}'))
	return hex.EncodeToString(hash[:8])
}

// Schemas knows the definitions of the tables whose rows stand in a log. It is not safe for concurrent use. The zero value knows
// nothing and is ready to observe.
type Schemas struct {
	byID map[string]*TableDefinition
}

// Observe takes what a schema record says. Repeats change nothing.
func (s *Schemas) Observe(c *SchemaChange) {
	if c == nil || c.Definition == nil {
		return
	}
	if s.byID == nil {
		s.byID = map[string]*TableDefinition{}
	}
	s.byID[c.Definition.ID()] = c.Definition
}

// Lookup returns the definition that a row's [RowChange.Definition] names. It is found when the schema topic was observed up to the
// row's transaction.
func (s *Schemas) Lookup(id string) (d *TableDefinition, ok bool) {
	d, ok = s.byID[id]
	return d, ok
}
