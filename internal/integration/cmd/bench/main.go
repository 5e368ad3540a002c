// Command bench measures what Millrace costs. Each part prints a table; BENCH_PART chooses some, in this order:
//
//	relay      a backlog of row changes from a private database into a real broker, beside go-mysql's own decoding
//	documents  read models that follow a backlog into memory: Fold, and Join with its rows in memory and in pebble
//	sinks      Elasticsearch and MongoDB beside a plain bulk loader, by turns
//	rebuild    a read model built anew from Kafka while its predecessor is read
//	latency    commit to document at 1,000 changes/s, through relay, Kafka and projector; writes saved by coalescing
//	scale      one stock change in shops of three sizes
//
// What is measured runs in a process of its own where CPU time and memory are printed. Timings of a shared machine differ from run to run: look at the
// ratios, and at CPU time.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

func main() {
	step := flag.String("job", "", "run one step of a part (used by the command itself)")
	rows := flag.Uint64("rows", 1_000_000, "row changes in the backlog, and products of the largest shop; BENCH_ROWS is the default")
	reps := flag.Int("reps", 2, "repetitions of each step of part relay")
	databases := flag.String("databases", "mariadb,mysql", "databases of part relay; DB is the default")
	parts := flag.String("parts", strings.Join(partNames, ","), "what to measure; BENCH_PART is the default")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := func() error {
		if *step != "" {
			return runJob(ctx, *step)
		}
		b := &bench{rows: *rows, reps: *reps, databases: *databases, started: map[servers.Kind]*servers.Server{}}
		if err := b.settings(parts); err != nil {
			return err
		}
		return b.run(ctx, strings.Split(*parts, ","))
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

var partNames = []string{"relay", "documents", "sinks", "rebuild", "latency", "scale"}

// bench is a run, with the servers that its parts share.
type bench struct {
	rows      uint64
	reps      int
	databases string
	started   map[servers.Kind]*servers.Server
}

const minRows = 10_000

// settings reads the environment where flags are not given.
func (b *bench) settings(parts *string) error {
	if text := os.Getenv("BENCH_ROWS"); text != "" && !flagGiven("rows") {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return fmt.Errorf("BENCH_ROWS=%q, want a number", text)
		}
		b.rows = n
	}
	if b.rows < minRows {
		return fmt.Errorf("%d rows, want at least %d", b.rows, minRows)
	}
	if text := os.Getenv("DB"); text != "" && text != "both" && !flagGiven("databases") {
		b.databases = text
	}
	if text := os.Getenv("BENCH_PART"); text != "" && text != "all" && !flagGiven("parts") {
		*parts = text
	}
	for part := range strings.SplitSeq(*parts, ",") {
		if !slices.Contains(partNames, part) {
			return fmt.Errorf("there is no part %q, want some of %s", part, strings.Join(partNames, ","))
		}
	}
	return nil
}

func (b *bench) run(ctx context.Context, parts []string) (err error) {
	defer func() {
		for _, s := range b.started {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, part := range []struct {
		name string
		run  func(context.Context) error
	}{{"relay", b.relay}, {"documents", b.documents}, {"sinks", b.sinks}, {"rebuild", b.rebuild}, {"latency", b.latency}, {"scale", b.scale}} {
		if !slices.Contains(parts, part.name) {
			continue
		}
		if err := part.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

func (b *bench) logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// server returns a private server that the parts share.
func (b *bench) server(ctx context.Context, kind servers.Kind) (servers.Address, error) {
	if s := b.started[kind]; s != nil {
		return s.Address(), nil
	}
	s, err := servers.Start(ctx, kind, servers.Options{Logf: b.logf})
	if err != nil {
		return servers.Address{}, err
	}
	b.started[kind] = s
	return s.Address(), nil
}

// spawn runs the step in a process of its own.
func (j job) spawn(ctx context.Context) (result, error) {
	self, err := os.Executable()
	if err != nil {
		return result{}, err
	}
	text, err := json.Marshal(j)
	if err != nil {
		return result{}, err
	}
	cmd := exec.CommandContext(ctx, self, "-job", string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return result{}, err
	}
	var r result
	if err := json.Unmarshal(out, &r); err != nil {
		return r, fmt.Errorf("output of the step: %w", err)
	}
	return r, nil
}

func runJob(ctx context.Context, text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	result, err := j.run(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

func flagGiven(name string) bool {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	return given
}
