package cdc

import (
	"context"
	"fmt"
	"time"
)

// Horizon says how long a server is going to keep the binlog that a reader at some position still needs.
type Horizon struct {
	Server string // host:port
	// Oldest is the first binlog file that the server has, File the one with what comes behind the position.
	Oldest, File string
	// Closed is when the server went on from File to the next one, by its own clock; zero while it still writes File.
	Closed time.Time
	// Expiry is how long the server keeps a file that it has closed. 0: it has no such limit, and Left says nothing.
	Expiry time.Duration
	// Left is the time until the server may purge File. It is an estimate: Closed + Expiry - now, and all of Expiry while the file is still
	// being written. Servers purge when they begin a new file, so it may last longer; what an operator, a full disk or a limit of
	// bytes (max_binlog_total_size) purges is not foreseen. Below 0: at the next change of files.
	Left time.Duration
}

// Expires tells whether the server purges by age at all.
func (h Horizon) Expires() bool { return h.Expiry > 0 }

// String says it in one line.
func (h Horizon) String() string {
	if !h.Expires() {
		return fmt.Sprintf("%s needs %s, has %s on, and purges nothing by age", h.Server, h.File, h.Oldest)
	}
	return fmt.Sprintf("%s may purge %s in %s (oldest file %s, files are kept %s)", h.Server, h.File, h.Left.Round(time.Second), h.Oldest, h.Expiry)
}

// HorizonSource is a [Source] whose server forgets. A position that is lost already is [ErrPositionLost].
type HorizonSource interface {
	Source
	Horizon(ctx context.Context, from Position) (Horizon, error)
}
