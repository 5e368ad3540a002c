package eventstore

import "time"

// RowChange is a changed row as it stands in the log: the value of a record of a row topic.
type RowChange struct {
	// Op is 'c' (insert), 'u' (update), 'd' (delete), 'r' (read by a snapshot) or 't' (truncate).
	Op            byte
	Schema, Table string
	// Key, Before and After are JSON objects; Before and After are nil where there is no image.
	Key, Before, After []byte
	// Absent names the columns that the images lack; nil when they have all.
	Absent *Absent
	// Connector is "mysql" or "mariadb".
	Connector string
	// GTID is the transaction's id in the source.
	GTID string
	// Definition names the columns that the table had: see [Schemas.Lookup]. Empty where the writer does not say.
	Definition string
	// Time is the commit time.
	Time time.Time
	Place
}

// Absent names columns that a row's images lack because the source left them out of its binlog (binlog_row_image MINIMAL and NOBLOB of
// MySQL and MariaDB). Absent is not null: docs/wire-format.md says what can be known of the values. Each list has the order of the table,
// and is nil when its image has all columns.
type Absent struct {
	Before []string `json:"before,omitempty"`
	After  []string `json:"after,omitempty"`
}

// The records of one row, as the low two bits of a record's index: a row's position among all rows of its transaction, from 0, is
// Index>>2 - 1. A truncate counts as a row.
const (
	RowRecord       = 0 // the change; with a changed key, the delete under the old key
	TombstoneRecord = 1 // the null value after a delete
	RekeyRecord     = 2 // with a changed key, the create under the new key
)

// RowIndex returns the index of one of a row's records.
func RowIndex(row uint64, record uint64) uint64 { return (row+1)<<2 | record }

// SchemaIndex returns the index of the schema record that stands before a row's records.
func SchemaIndex(row uint64) uint64 { return row<<2 | 3 }
