package binlog

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/gtid"
)

// The flavors of a server.
const (
	MySQL   = gtid.MySQL
	MariaDB = gtid.MariaDB
)

// Config says which server to follow, and how. Addr and User are needed, the rest has defaults.
type Config struct {
	// Addr is host:port.
	Addr string
	// Addrs are further servers with the same history, host:port each: replicas of Addr that write what they replicate to their own binlog
	// (log_replica_updates). They are taken in this order when the one before is down, refuses, lags behind what the log holds, or has
	// purged what comes next; see [cdc.Topology]. All take the same account.
	Addrs []string
	// User and Password are the account's. It needs REPLICATION SLAVE, REPLICATION CLIENT (MariaDB: BINLOG MONITOR), and SELECT on
	// the captured tables; [Source.Check] says what is missing.
	User, Password string
	// TLS encrypts the connections; nil means plain text. A ServerName that is not set is taken from the address.
	TLS *tls.Config
	// Flavor is [MySQL], [MariaDB], or empty: then the server is asked.
	Flavor string
	// ServerID is the id as a replica, which no other replica of the server may have. 0 chooses one at random for each stream, from
	// the upper half of the range.
	ServerID uint32
	// Filter chooses tables.
	Filter cdc.Filter
	// Columns chooses columns of the captured tables, and masks values. The zero value takes all as they are. Check logs a warning of each
	// pattern that matches no column: it may be a typo, or about a column that only older changes have.
	Columns cdc.Columns
	// Keys chooses the columns of the records' keys. A table that it does not name needs a primary key, which is its key then. A
	// chosen key should not change and tell rows apart: an update that changes it is a delete and a create, and of rows with one key
	// consumers that keep the last value of a key keep one.
	Keys cdc.Keys
	// PartialRows accepts row images that lack columns: binlog_row_image MINIMAL and NOBLOB. What a change lacks is listed in its Absent;
	// projectors and row filters refuse such changes. MariaDB's images other than FULL lack some values that have changed, and do not
	// tell: see docs/wire-format.md. Without PartialRows they are refused at start, and when a session has chosen them for itself.
	PartialRows bool
	// MaxSliceBytes bounds a slice; a transaction that needs more comes as several. A single row may exceed it. Default: a
	// sixteenth of the relay's MaxBytes, 4 MiB.
	MaxSliceBytes int
	// SpillBytes bounds the memory of events that have to wait for what becomes of their transaction: XA transactions between PREPARE
	// and COMMIT, transactions with savepoints, and MariaDB's (each until its end). What is more waits in files in SpillDir, and
	// so does a compressed transaction of MySQL that is larger. Each transaction that waits in a file takes a file descriptor, the
	// largest go there first. Another event alone may exceed it. Default: an eighth of the relay's MaxBytes, 8 MiB.
	SpillBytes int
	// SpillDir is the directory of those files. They need as much space as the open XA transactions and the one that is being read
	// have in the binlog; nobody else can read them, and they go when they are not needed any more, at the latest with the process
	// (where a file in use cannot lose its name: with Close). Default [os.TempDir].
	SpillDir string
	// HeartbeatPeriod is how often the server shows that the connection lives when it has nothing to send. After three of them
	// without a byte the connection counts as lost. Default 5 s, from 1 ms to 1 h.
	HeartbeatPeriod time.Duration
	// Logger receives what is worth knowing but no error; nil means nobody.
	Logger *slog.Logger
}

const (
	defaultMaxBytes        = 64 << 20
	defaultHeartbeatPeriod = 5 * time.Second
	maxHeartbeatPeriod     = time.Hour
)

// withDefaults checks all fields and fills in the defaults.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		errs = append(errs, fmt.Errorf("Addr %q: want host:port", c.Addr))
	}
	for i, addr := range c.Addrs {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			errs = append(errs, fmt.Errorf("Addrs %q: want host:port", addr))
		} else if addr == c.Addr || slices.Contains(c.Addrs[:i], addr) {
			errs = append(errs, fmt.Errorf("Addrs %q: it is given twice", addr))
		}
	}
	if c.User == "" {
		errs = append(errs, errors.New("User: want the name of an account"))
	}
	if c.Flavor != "" && c.Flavor != MySQL && c.Flavor != MariaDB {
		errs = append(errs, fmt.Errorf("Flavor %q: want %q, %q, or nothing", c.Flavor, MySQL, MariaDB))
	}
	if err := c.Filter.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("Filter: %w", err))
	}
	c.Filter = cdc.Filter{Include: slices.Clone(c.Filter.Include), Exclude: slices.Clone(c.Filter.Exclude)}
	c.Columns = cdc.Columns{Include: slices.Clone(c.Columns.Include), Exclude: slices.Clone(c.Columns.Exclude), Masks: slices.Clone(c.Columns.Masks)}
	c.Keys = slices.Clone(c.Keys)
	for i := range c.Keys {
		c.Keys[i].Columns = slices.Clone(c.Keys[i].Columns)
	}
	if err := c.Columns.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("Columns: %w", err))
	}
	if err := c.Keys.Validate(); err != nil {
		errs = append(errs, err)
	}
	if c.MaxSliceBytes < 0 {
		errs = append(errs, fmt.Errorf("MaxSliceBytes %d: want a positive number, or 0 for a sixteenth of the relay's MaxBytes", c.MaxSliceBytes))
	}
	if c.SpillBytes < 0 {
		errs = append(errs, fmt.Errorf("SpillBytes %d: want a positive number, or 0 for an eighth of the relay's MaxBytes", c.SpillBytes))
	}
	if c.SpillDir != "" {
		if info, err := os.Stat(c.SpillDir); err != nil {
			errs = append(errs, fmt.Errorf("SpillDir: %w", err))
		} else if !info.IsDir() {
			errs = append(errs, fmt.Errorf("SpillDir %s: want a directory", c.SpillDir))
		}
	}
	if c.HeartbeatPeriod < 0 || c.HeartbeatPeriod > maxHeartbeatPeriod || c.HeartbeatPeriod > 0 && c.HeartbeatPeriod < time.Millisecond {
		errs = append(errs, fmt.Errorf("HeartbeatPeriod %v: want 1ms to %v, or 0 for %v", c.HeartbeatPeriod, maxHeartbeatPeriod, defaultHeartbeatPeriod))
	}
	if len(errs) > 0 {
		return c, fmt.Errorf("binlog config: %w", errors.Join(errs...))
	}
	if c.HeartbeatPeriod == 0 {
		c.HeartbeatPeriod = defaultHeartbeatPeriod
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func (c *Config) choice() choice { return choice{c.Columns, c.Keys} }

// addresses are those of all servers.
func (c Config) addresses() []string { return slices.Concat([]string{c.Addr}, c.Addrs) }

// forServer is the configuration of the one server at Addr.
func (c Config) forServer() Config {
	if c.TLS != nil && c.TLS.ServerName == "" && !c.TLS.InsecureSkipVerify {
		c.TLS = c.TLS.Clone()
		c.TLS.ServerName, _, _ = net.SplitHostPort(c.Addr)
	}
	return c
}
