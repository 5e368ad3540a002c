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
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"time"

	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/snapshot"
)

func main() { os.Exit(run()) }

func run() int {
	if len(os.Args) == 2 && os.Args[1] == snapshot.RelayChild {
		return snapshot.Child()
	}
	var problems []error
	number := func(name string, byDefault int, usage string) int {
		usages += fmt.Sprintf("  %-7s %s; default %d\n", name, usage, byDefault)
		text := os.Getenv(name)
		if text == "" {
			return byDefault
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			problems = append(problems, fmt.Errorf("%s=%s: want a number", name, text))
		}
		return n
	}
	cfg := snapshot.Config{Out: os.Stdout}
	cfg.Seed = uint64(number("SEED", 0, "seed of load and kills, 0 by chance"))
	cfg.Rows = number("ROWS", 1_000_000, "rows of each large table")
	sizeRows = number("SIZE", 10_000_000, "rows of the table that is larger than memory")
	paceRate = number("PACE", 0, "limit on the rows a second beside the steady stream, 0 for none")
	sizeRate = number("LIMIT", 50_000, "limit on the rows a second of that one")
	listTables = number("TABLES", 50_000, "tables that are listed")
	cfg.Kills = number("KILLS", 20, "how often the relay is killed")
	cfg.Hot = number("HOT", 2000, "rows of each small table")
	cfg.ChunkRows = number("CHUNK", 0, "rows of a chunk, 0 for the relay's default")
	cfg.Readers = number("READERS", 0, "chunks read at a time, 0 for the relay's default")
	cfg.Clients = number("CLIENTS", 6, "connections that change rows")
	cfg.BinlogBytes = number("BINLOG", 0, "bytes of a binlog file, 0 for 16 MiB")
	cfg.Again = number("AGAIN", 50, "how often a small table is read again under load")
	cfg.Eager = number("EAGER", 0, "1: chunks do not yield to the stream") > 0
	cfg.Quiet = time.Duration(number("QUIET", 40, "seconds of the steady stream without a snapshot")) * time.Second
	if number("VERBOSE", 0, "1: the relay's own log on standard error") > 0 {
		cfg.Log = os.Stderr
	}
	kinds := []servers.Kind{servers.MySQL, servers.MariaDB}
	switch db := os.Getenv("DB"); db {
	case "", "both":
	case string(servers.MySQL), string(servers.MariaDB):
		kinds = []servers.Kind{servers.Kind(db)}
	default:
		problems = append(problems, fmt.Errorf("DB=%s: want mysql, mariadb or both", db))
	}
	flag.Usage = func() {
		_, _ = io.WriteString(os.Stderr, "snapshot [tables] [pace] [size] [list] takes its settings from the environment:\n"+usages)
	}
	flag.Parse()
	parts := flag.Args()
	if len(parts) == 0 {
		parts = []string{"tables", "pace", "size", "list"}
	}
	for _, part := range parts {
		if !slices.Contains([]string{"tables", "pace", "size", "list"}, part) {
			problems = append(problems, fmt.Errorf("argument %q: want tables, pace, size or list", part))
		}
	}
	if err := errors.Join(problems...); err != nil {
		fmt.Fprintln(os.Stderr, "snapshot:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for _, part := range parts {
		if err := each(ctx, part, cfg, kinds); err != nil {
			problems = append(problems, err)
		}
	}
	if err := errors.Join(problems...); err != nil {
		fmt.Fprintln(os.Stderr, "snapshot:", err)
		return 1
	}
	return 0
}

var (
	usages                                   string
	sizeRows, sizeRate, paceRate, listTables int
)

// each does one part on every server, and prints the figures.
func each(ctx context.Context, part string, cfg snapshot.Config, kinds []servers.Kind) error {
	var errs []error
	total := &snapshot.Report{}
	for _, kind := range kinds {
		cfg.Kind = kind
		var report fmt.Stringer
		var err error
		switch part {
		case "tables":
			var r *snapshot.Report
			if r, err = snapshot.Run(ctx, cfg); r != nil {
				total.Add(r)
				report = r
			}
		case "pace":
			cfg.RowsPerSecond = paceRate
			var p *snapshot.Pace
			if p, err = snapshot.RunPace(ctx, cfg); p != nil {
				report = p
			}
		case "size":
			cfg.Rows, cfg.RowsPerSecond = sizeRows, sizeRate
			var s *snapshot.Size
			if s, err = snapshot.RunSize(ctx, cfg); s != nil {
				report = s
			}
		case "list":
			var l *snapshot.List
			if l, err = snapshot.RunList(ctx, cfg, listTables); l != nil {
				report = l
			}
		}
		if report != nil {
			fmt.Printf("%s: %s\n", kind, report)
		}
		errs = append(errs, err)
	}
	if part == "tables" && total.Rows > 0 && len(kinds) > 1 {
		fmt.Println(total)
	}
	return errors.Join(errs...)
}
