package cdc

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// SnapshotMode says whether a relay reads tables beside the stream.
type SnapshotMode int

const (
	// SnapshotMissing reads what the log lacks of the captured tables: all of them when a new log begins on a server that no longer has its
	// whole binlog, and those that join the filter later. It needs a [SnapshotSource]; with any other source it is SnapshotNever.
	SnapshotMissing SnapshotMode = iota
	// SnapshotNever reads no tables. A new log needs a server that has its whole binlog, else it is [ErrPositionLost].
	SnapshotNever
)

// SnapshotConfig configures the snapshots of a [Relay]. The zero value means the defaults.
type SnapshotConfig struct {
	// Mode says whether tables are read at all. Default [SnapshotMissing].
	Mode SnapshotMode
	// Readers is how many chunks are read at a time, each over a connection of its own, of several tables or of one. Default 2.
	Readers int
	// ChunkRows bounds the rows of a chunk. Default 2,000. Its bytes are bounded by the relay's MaxBytes.
	ChunkRows int
	// Eager: chunks do not yield to the stream. By default, while the stream has transactions, one chunk is read at a time, whatever
	// Readers says, and after it none for as long as it took until the log had it, a second at most; and chunks are as small as needed (between ChunkRows/16 and
	// ChunkRows/8) for a flush with one to take hardly longer than two without. Eager is faster, and commits take longer to reach the log meanwhile.
	Eager bool
	// RowsPerSecond bounds what all readers read. 0: no limit.
	RowsPerSecond int
	// MaxLag is how far the stream may be behind the server's commits while chunks are read: they wait while it is further behind. The
	// clocks of server and relay are compared. Default 10 s.
	MaxLag time.Duration
	// Signals is a captured table, "schema.table", whose new rows ask for a snapshot as [Relay.Snapshot] does, in the order of the commits and
	// exactly once. Its columns: id (the key, of any type), schema_name, table_name, row_filter (a condition in SQL, or empty). Whoever
	// may insert there can have any row of the captured tables read. Empty: none.
	Signals string
}

func (c *SnapshotConfig) validate(source Source) error {
	var problems []error
	if c.Signals != "" {
		schema, table, ok := strings.Cut(c.Signals, ".")
		reads, can := snapshotSource(source)
		if !ok || schema == "" || table == "" {
			problems = append(problems, fmt.Errorf("Snapshot.Signals is %q, want schema.table", c.Signals))
		} else if !can {
			problems = append(problems, fmt.Errorf("Snapshot.Signals needs a Source that is a SnapshotSource, %T is none", source))
		} else if filter := reads.Filter(); !filter.Match(schema, table) {
			problems = append(problems, fmt.Errorf("Snapshot.Signals: the source's filter does not capture %s", c.Signals))
		} else if c.Mode == SnapshotNever {
			problems = append(problems, errors.New("Snapshot.Signals needs Snapshot.Mode SnapshotMissing: with SnapshotNever nothing is read"))
		}
	}
	if c.Mode < SnapshotMissing || c.Mode > SnapshotNever {
		problems = append(problems, fmt.Errorf("Snapshot.Mode is %d, want SnapshotMissing or SnapshotNever", c.Mode))
	}
	for _, n := range []struct {
		name  string
		value *int
		byDef int
	}{{"Readers", &c.Readers, 2}, {"ChunkRows", &c.ChunkRows, 2000}, {"RowsPerSecond", &c.RowsPerSecond, 0}} {
		if *n.value < 0 {
			problems = append(problems, fmt.Errorf("Snapshot.%s is %d, want a number, or 0 for the default", n.name, *n.value))
		} else if *n.value == 0 {
			*n.value = n.byDef
		}
	}
	if c.MaxLag < 0 {
		problems = append(problems, fmt.Errorf("Snapshot.MaxLag is %v, want a duration, or 0 for the default", c.MaxLag))
	} else if c.MaxLag == 0 {
		c.MaxLag = 10 * time.Second
	}
	return errors.Join(problems...)
}
