package snapshot

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// Config says what to run on one server. Kind is needed, the rest has defaults.
type Config struct {
	Kind servers.Kind // servers.MySQL or servers.MariaDB
	// Seed decides what the load does and when the relay is killed. 0 is a seed by chance. It is printed.
	Seed uint64
	// Rows is how many each of the five large tables has at the beginning. Default 1,000,000.
	Rows int
	// Hot is how many rows each of the small tables has. Default 2,000.
	Hot int
	// ChunkRows bounds a chunk. Default: the relay's.
	ChunkRows int
	// FlushBytes bounds a flush. Default: the relay's.
	FlushBytes int
	// Readers is how many chunks are read at a time. Default: the relay's.
	Readers int
	// Eager: chunks do not yield to the stream. [Run] and [RunSize] always have them so: several are on their way at a time then.
	Eager bool
	// Again is how often the hot table is snapshotted again, while the load goes on. Default 50.
	Again int
	// Kills is how often the relay is killed during the snapshot. 0 means never.
	Kills int
	// Clients is how many connections change rows. Default 6.
	Clients int
	// Pause is how long a client waits between two transactions. Default: not at all.
	Pause time.Duration
	// DDLPause is about how long passes between two changes of schemas or binlog files. Default 1 s.
	DDLPause time.Duration
	// BinlogBytes is how large a binlog file becomes. Default 16 MiB; in [Run] 1 MiB, since where files end is where MariaDB's views are hard to place.
	BinlogBytes int
	// Quiet is how long the stream of [RunPace] is measured without a snapshot, in twenty parts. Default 40 s.
	Quiet time.Duration
	// RowsPerSecond limits the relay's snapshots. 0 means that it does not, 50,000 in [RunSize].
	RowsPerSecond int
	// MaxLag is how far the stream may be behind. Default 2 s.
	MaxLag time.Duration
	// PeakBound is what the relay of [RunSize] may take of memory, in bytes. Default 200 MB.
	PeakBound uint64
	// Deadline is for everything but the installation. Default 40 minutes.
	Deadline time.Duration

	Out io.Writer // what happens, line by line
	Log io.Writer // the relay's own log; nil: nowhere
}

func (c Config) withDefaults() (Config, error) {
	var problems []error
	if c.Kind != servers.MySQL && c.Kind != servers.MariaDB {
		problems = append(problems, fmt.Errorf("Kind %q: want %s or %s", c.Kind, servers.MySQL, servers.MariaDB))
	}
	for _, n := range []struct {
		name  string
		value *int
		byDef int
	}{
		{"Rows", &c.Rows, 1_000_000}, {"Hot", &c.Hot, 2000}, {"ChunkRows", &c.ChunkRows, 0}, {"FlushBytes", &c.FlushBytes, 0}, {"Readers", &c.Readers, 0}, {"Again", &c.Again, 50}, {"Kills", &c.Kills, 0},
		{"Clients", &c.Clients, 6}, {"BinlogBytes", &c.BinlogBytes, 16 << 20},
	} {
		if *n.value < 0 {
			problems = append(problems, fmt.Errorf("%s is %d, want 0 or more", n.name, *n.value))
		}
		if *n.value == 0 {
			*n.value = n.byDef
		}
	}
	if c.Seed == 0 {
		c.Seed = rand.Uint64N(1e9) + 1
	}
	if c.DDLPause == 0 {
		c.DDLPause = time.Second
	}
	if c.Quiet == 0 {
		c.Quiet = 40 * time.Second
	}
	if c.MaxLag == 0 {
		c.MaxLag = 2 * time.Second
	}
	if c.PeakBound == 0 {
		c.PeakBound = 200 * mb
	}
	if c.Deadline == 0 {
		c.Deadline = 40 * time.Minute
	}
	if c.Out == nil {
		c.Out = io.Discard
	}
	if c.Log == nil {
		c.Log = io.Discard
	}
	return c, errors.Join(problems...)
}
