package cdc

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/millrace-go/millrace/eventstore"
)

var (
	// ErrChunkStale says that a chunk came to nothing because its table changed its definition meanwhile: it is read again.
	ErrChunkStale = errors.New("the table changed while a chunk of it was read")

	// ErrChunkBounds says that the bounds of a range are of another key than the one by which the table is read: it is read from its beginning.
	ErrChunkBounds = errors.New("the range's bounds are of another key of the table")

	// ErrNoTable says that a table to be read does not exist (any more).
	ErrNoTable = errors.New("no such table")
)

// SnapshotSource is a [Source] whose tables can be read beside its stream: rows that the binlog no longer has come into the log as chunks,
// without a lock and without a pause of the stream.
//
// A chunk is read in a view of its own, between two places of the stream, and becomes part of the stream at a third, which is not before
// the second. What the stream changes between the first and the third is left out of it, since the stream tells it better. See
// docs/decisions/0012-snapshots.md.
type SnapshotSource interface {
	Source
	// Filter returns the choice of tables that is captured.
	Filter() Filter
	// Tables returns the captured tables that exist now, sorted by schema and name (bytes), each once.
	Tables(ctx context.Context) ([]TableSize, error)
	// OpenChunks opens a connection that reads chunks.
	OpenChunks(ctx context.Context) (ChunkReader, error)
}

// RecentSource is what a [SnapshotSource] may be, too, whose transactions can have rows that stand in front of them in its history (XA).
type RecentSource interface {
	SnapshotSource
	// Recent returns where a new log begins whose tables are read: before what is executed now, as far as the rows of transactions
	// need that which are open now.
	Recent(ctx context.Context) (Position, error)
}

// TableSize names a table, with the server's estimate of its rows.
type TableSize struct {
	Schema, Name string
	Rows         uint64
}

// String returns schema.name.
func (t TableSize) String() string { return t.Schema + "." + t.Name }

// ChunkReader reads chunks over one connection. It is not safe for concurrent use, but Close may be called at any time and makes the
// others return. After an error that wraps [ErrUnavailable] it is useless.
type ChunkReader interface {
	// Split divides a table into at most n ranges, of about as many rows each as far as the server's statistics tell.
	Split(ctx context.Context, schema, table string, n int) ([]ChunkRange, error)
	// Read reads a chunk. Errors besides those that may pass: [ErrChunkStale], [ErrChunkBounds], [ErrNoTable], [*DecodeError].
	Read(ctx context.Context, req ChunkRequest) (*Chunk, error)
	Close() error
}

// ChunkRange is a part of a table in the order of its primary key. See [eventstore.SnapshotRange].
type ChunkRange = eventstore.SnapshotRange

// ChunkRequest says what to read.
type ChunkRequest struct {
	Schema, Table string
	Range         ChunkRange
	// Where is a condition in SQL on the rows to read; empty for all.
	Where string
	// MaxRows and MaxBytes (of keys and images) bound the chunk; one row it may always have.
	MaxRows, MaxBytes int
	// Delivered is what the stream has delivered. The chunk must show all of it: a transaction can be delivered before it is visible, so
	// the reader waits.
	Delivered Position
}

// Chunk is what was read of a table in one view of it.
type Chunk struct {
	Table *Table
	// Rows are the rows, each with Op [Read], Key and After. They belong to the chunk.
	Rows []Change
	// Rest is what of the range was not read, and Done is set when there is none.
	Rest ChunkRange
	Done bool
	// High is a place of the binlog that has all that the view showed: it may be further on.
	High Coordinates
	// Low, where it is set, is a place that the view is claimed to cover, at or behind Delivered. The claim holds if a transaction ends
	// there; else the chunk may show less than Delivered, and is worth nothing.
	Low *Coordinates
	// Shared says that two rows may have the same Key, because it is not of a unique index.
	Shared bool
	// Unseen are the XIDs of transactions that may not have been visible although the stream had their XA COMMIT.
	Unseen []string
}

// bytes is how much the rows take.
func (c *Chunk) bytes() (n int) {
	for i := range c.Rows {
		n += len(c.Rows[i].Key) + len(c.Rows[i].After)
	}
	return n
}

// Coordinates are a place in a server's binlog.
type Coordinates struct {
	Server string
	File   string
	Offset uint64
}

// Compare orders two places in the binlog of one server: -1, 0 or 1. The numbers at the end of the files' names count, of whatever length.
func (p Coordinates) Compare(q Coordinates) int {
	return cmp.Or(cmp.Compare(len(p.File), len(q.File)), strings.Compare(p.File, q.File), cmp.Compare(p.Offset, q.Offset))
}

// MarkedStream is a [Stream] that can say where it is between two transactions.
type MarkedStream interface {
	Stream
	// Marks makes Next return marks, too, from now on or not any more: slices of which only Server, File and Offset are set, when the
	// stream has passed what is not a transaction (the end of a file, a heartbeat). Not to be called during Next.
	Marks(on bool)
}
