// Command snapshot checks, on one database server or both, that a log which begins with a snapshot has the tables: the last state of every row, and a
// history that is possible at every place. See package internal/integration/snapshot.
//
//	SEED=7 KILLS=20 ROWS=1000000 DB=both snapshot [tables] [pace] [size] [list]
//
// Without arguments it does all four: tables under load and kills, the pace of a steady stream beside a snapshot, a table that is larger
// than memory, and the list of fifty thousand tables. It prints what happens and a line of figures for each, and exits non-zero when something is wrong, or when too little happened to say so.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/millrace-go/millrace/internal/integration/environ"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/snapshot"
)

func main() { os.Exit(run()) }

// command is what to run.
type command struct {
	cfg   snapshot.Config
	kinds []servers.Kind
	// Of the parts.
	sizeRows, sizeRate, paceRate, listTables int
}

func run() int {
	if len(os.Args) == 2 && os.Args[1] == snapshot.RelayChild {
		return snapshot.Child()
	}
	c := command{cfg: snapshot.Config{Out: os.Stdout}}
	var parts []string
	var eager int
	var settings environ.Settings
	settings.Seed(&c.cfg.Seed, "load and kills")
	settings.Number(&c.cfg.Rows, "ROWS", 1_000_000, "rows of each large table; default 1000000")
	settings.Number(&c.sizeRows, "SIZE", 10_000_000, "rows of the table that is larger than memory; default 10000000")
	settings.Number(&c.sizeRate, "LIMIT", 50_000, "limit on the rows a second of that one; default 50000")
	settings.Number(&c.paceRate, "PACE", 0, "limit on the rows a second beside the steady stream; default none")
	settings.Number(&c.listTables, "TABLES", 50_000, "tables that are listed; default 50000")
	settings.Number(&c.cfg.Kills, "KILLS", 20, "how often the relay is killed; default 20")
	settings.Number(&c.cfg.Hot, "HOT", 2000, "rows of each small table; default 2000")
	settings.Number(&c.cfg.ChunkRows, "CHUNK", 0, "rows of a chunk; default the relay's")
	settings.Number(&c.cfg.Readers, "READERS", 0, "chunks read at a time; default the relay's")
	settings.Number(&c.cfg.Clients, "CLIENTS", 6, "connections that change rows; default 6")
	settings.Number(&c.cfg.BinlogBytes, "BINLOG", 0, "bytes of a binlog file; default 16 MiB, of tables 1 MiB")
	settings.Number(&c.cfg.Again, "AGAIN", 50, "how often a small table is read again under load; default 50")
	settings.Number(&eager, "EAGER", 0, "1: chunks do not yield to the stream")
	settings.Duration(&c.cfg.Quiet, "QUIET", 40, time.Second, "seconds of the steady stream without a snapshot; default 40")
	settings.Verbose(&c.cfg.Log, "the relay's")
	settings.Parts(&parts, "tables", "pace", "size", "list")
	c.cfg.Eager, c.kinds = eager > 0, settings.Databases()
	return settings.Run("snapshot", func(ctx context.Context) error {
		var err error
		for _, part := range parts {
			err = errors.Join(err, c.part(ctx, part))
		}
		return err
	})
}

// part does one part on every server, and prints the figures.
func (c command) part(ctx context.Context, part string) error {
	switch part {
	case "tables":
		reports, err := each(ctx, c, snapshot.Run)
		if len(reports) > 1 {
			fmt.Println(environ.Total(reports))
		}
		return err
	case "pace":
		c.cfg.RowsPerSecond = c.paceRate
		_, err := each(ctx, c, snapshot.RunPace)
		return err
	case "size":
		c.cfg.Rows, c.cfg.RowsPerSecond = c.sizeRows, c.sizeRate
		_, err := each(ctx, c, snapshot.RunSize)
		return err
	default:
		_, err := each(ctx, c, func(ctx context.Context, cfg snapshot.Config) (*snapshot.List, error) {
			return snapshot.RunList(ctx, cfg, c.listTables)
		})
		return err
	}
}

func each[R interface {
	comparable
	fmt.Stringer
}](ctx context.Context, c command, run func(context.Context, snapshot.Config) (R, error)) ([]R, error) {
	return environ.Each(ctx, c.kinds, func(kind servers.Kind) (R, error) {
		c.cfg.Kind = kind
		return run(ctx, c.cfg)
	})
}
