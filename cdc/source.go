package cdc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// Position is a place in a source's history. See [eventstore.Position].
type Position = eventstore.Position

var (
	// ErrUnavailable marks errors of a source that may pass: unreachable, cut off, shutting down. The relay retries them.
	ErrUnavailable = errors.New("source unavailable")

	// ErrPositionLost says that the server no longer has the binlog of a position. Something would be missing, so the relay stops.
	ErrPositionLost = errors.New("position lost: the server no longer has the binlog from there on")
)

// Source is a database whose commits can be followed. It is safe for concurrent use.
type Source interface {
	// Check verifies the server's settings and the account's grants. What is wrong it reports in one [*CheckError].
	Check(ctx context.Context) error

	// ConfigID identifies everything that decides which changes a transaction has and how they are rendered (filter,
	// columns, keys, renderer version). It goes into the log with the data; see [eventstore.Stamp].
	ConfigID() string

	// Oldest returns the position before the server's first transaction, when the server still has everything from there on.
	// Otherwise the error wraps [ErrPositionLost].
	Oldest(ctx context.Context) (Position, error)

	// Executed returns what the server has executed now.
	Executed(ctx context.Context) (Position, error)

	// Open starts a stream of everything after from. A purged position is [ErrPositionLost].
	Open(ctx context.Context, from Position) (Stream, error)
}

// BoundedSource is what a [Source] may be, too, whose streams' memory the relay can bound.
type BoundedSource interface {
	Source
	// OpenBounded is Open with the relay's Config.MaxBytes, from which the stream takes its limits as far as its own configuration
	// leaves them open: a slice should have a sixteenth at most, all that waits in memory an eighth.
	OpenBounded(ctx context.Context, from Position, maxBytes int) (Stream, error)
}

// Stream is one pass over a source's commits. It is not safe for concurrent use, but Close may be called at any time and makes
// Next return.
type Stream interface {
	// Next blocks for the next slice. The slice and everything in it are valid until the next call. After a call whose context ended the
	// next one goes on, nothing is lost.
	Next(ctx context.Context) (*Slice, error)
	Close() error
}

// Releaser is what a [Stream] may be, too, that holds much memory for a slice with a huge row.
type Releaser interface {
	// Release lets go of the last slice before the next call of Next: the slice is not valid any more.
	Release()
}

// Slice is a run of the changes of one transaction. First and Last are both set on a transaction that is one slice. Slices of
// two transactions never mix.
type Slice struct {
	// ID is the transaction's id in the source's notation: its GTID. That of a chunk begins with [ChunkPrefix] and is never used again.
	ID          string
	First, Last bool
	// Changes are the rows that passed the filter, in the transaction's order. May be empty.
	Changes []Change
	// Schema are the changes of tables that passed the filter, in the transaction's order; Row says where among Changes.
	Schema []SchemaChange
	// Time is the commit time, as precise as the source has it.
	Time time.Time
	// Server, File and Offset are the binlog coordinates after the transaction's end; set on the last slice.
	Server string
	File   string
	Offset uint64
	// Prepared is set on the last slice of an XA PREPARE, which has no changes: its rows are those of the transaction that commits it.
	Prepared *eventstore.Prepare
	// Completed is set on the last slice of an XA COMMIT or XA ROLLBACK: the XID of what it ends.
	Completed string
	// Snapshot, set on a last slice, is how far snapshots are behind it: it becomes [eventstore.Position].Snapshot. Nil: no change.
	Snapshot *string

	// define is a table whose definition is written with a chunk's slice that has no rows: see queue.add.
	define *Table
}

// ChunkPrefix begins the id of a chunk, which is a transaction in the log but none of the source: no executed set has it.
const ChunkPrefix = "snapshot/"

// IsChunk tells whether the slice is of a chunk: rows that a snapshot has read.
func (s *Slice) IsChunk() bool { return isChunk(s.ID) }

func isChunk(id string) bool { return strings.HasPrefix(id, ChunkPrefix) }

// Op is what happened to a row, as one letter of the wire format.
type Op byte

// The operations. Tables that are emptied are a [SchemaChange].
const (
	Create Op = 'c'
	Update Op = 'u'
	Delete Op = 'd'
	Read   Op = 'r' // the row as a snapshot has read it: After has the image
)

// Change is one changed row. Its images are JSON objects as docs/types.md says.
type Change struct {
	Table *Table
	Op    Op
	// Row is the row's position among all rows of its transaction, those that the filter drops included, from 0.
	Row uint64
	// Key is the key columns of the row after the change (before it, for a delete), as a JSON object.
	Key []byte
	// OldKey is the key before an update that changed it, else nil.
	OldKey []byte
	// Before and After are the row's images; nil where there is none.
	Before, After []byte
	// Absent names the columns that the images lack because the source left them out of its binlog; nil when they have all. It must
	// not be modified.
	Absent *eventstore.Absent
}

// Table is a table as it was at an event's position. It must not be modified.
type Table struct {
	Schema, Name string
	// Columns are those that are captured.
	Columns []Column
	// Key holds the indexes into Columns of the record key, in the key's order: the primary key's, or those chosen by [Keys].
	Key []int
}

// String returns schema.name.
func (t *Table) String() string { return t.Schema + "." + t.Name }

// Column is a column of a [Table].
type Column struct {
	Name string
	// Type is the column's type as far as the event tells, e.g. "int unsigned" or "varchar".
	Type string
	// Mask is what hides the values, as [Mask.String] says it; empty when they are shown.
	Mask string
}

// CheckError lists everything that is wrong with a server's settings or an account's grants.
type CheckError struct {
	Server   string // host:port
	Problems []Problem
}

// Problem is one wrong setting or missing grant and the statement that mends it.
type Problem struct {
	What string // e.g. "binlog_format is MIXED, want ROW"
	Fix  string // e.g. "SET GLOBAL binlog_format = 'ROW'"
}

func (e *CheckError) Error() string {
	text := fmt.Sprintf("server %s cannot be captured:", e.Server)
	for _, p := range e.Problems {
		text += fmt.Sprintf("\n  - %s. Fix: %s", p.What, p.Fix)
	}
	return text
}

// DecodeError says what of the source could not be read, and where. It never holds row data.
type DecodeError struct {
	Table    string // schema.table, when known
	Column   string // when known
	Position Position
	Err      error
}

func (e *DecodeError) Error() string {
	where := e.Position.String()
	if e.Table != "" {
		where += " table " + e.Table
	}
	if e.Column != "" {
		where += " column " + e.Column
	}
	return fmt.Sprintf("decode at %s: %v", where, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }
