// Command bench measures what the relay costs. It fills a private database with a backlog of row changes, then, each in a process of its own
// and in turn, on the very same binlog:
//
//	decode  go-mysql alone: reads and decodes, keeps nothing
//	source  cdc/binlog alone: reads and renders JSON, keeps nothing
//	relay   the whole way into a real Kafka broker, until the last watermark
//	cuts    reads the log back, merged into transactions
//
// It prints rows a second, CPU microseconds a row and peak memory of that process, and last the relay's share of go-mysql's speed in
// the same run. Timings of a shared machine differ from run to run: the ratio is what to look at.
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
	"strconv"
	"strings"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

func main() {
	var job job
	flag.StringVar(&job.Step, "step", "", "run one step of a benchmark (used by the command itself)")
	flag.StringVar(&job.DB, "db", "", "address of the database of a step")
	flag.StringVar(&job.Kind, "kind", "", "kind of the database of a step")
	flag.StringVar(&job.Kafka, "kafka", "", "address of the broker of a step")
	flag.StringVar(&job.Pipeline, "pipeline", "", "pipeline of a step")
	flag.Uint64Var(&job.Rows, "rows", 1_000_000, "row changes in the backlog; BENCH_ROWS is the default")
	reps := flag.Int("reps", 2, "repetitions of each step")
	which := flag.String("databases", "mariadb,mysql", "databases to measure; DB is the default")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, &job, *reps, *which); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, job *job, reps int, which string) error {
	if job.Step != "" {
		result, err := job.run(ctx)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(result)
	}
	if text := os.Getenv("BENCH_ROWS"); text != "" && !flagGiven("rows") {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil || n < 2*rowsPerTransaction {
			return fmt.Errorf("BENCH_ROWS=%q, want a number of at least %d", text, 2*rowsPerTransaction)
		}
		job.Rows = n
	}
	if text := os.Getenv("DB"); text != "" && text != "both" && !flagGiven("databases") {
		which = text
	}
	job.Rows -= job.Rows % (2 * rowsPerTransaction)
	logf := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	broker, err := servers.Start(ctx, servers.Kafka, servers.Options{Logf: logf})
	if err != nil {
		return err
	}
	defer broker.Close()
	job.Kafka = broker.Address().Value
	for name := range strings.SplitSeq(which, ",") {
		kind, err := servers.ParseKind(name)
		if err != nil {
			return err
		}
		if err := measure(ctx, *job, kind, reps, logf); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	return nil
}

// measure fills one database and runs every step on it.
func measure(ctx context.Context, job job, kind servers.Kind, reps int, logf func(string, ...any)) (err error) {
	db, err := servers.Start(ctx, kind, servers.Options{Logf: logf})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	job.Kind, job.DB = string(kind), db.Address().HostPort()
	if err := fill(ctx, db.Address().DSN(""), job.Rows); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	fmt.Printf("%s: %d row changes, transactions of %d\n", kind, job.Rows, rowsPerTransaction)
	sums := map[string]result{}
	for rep := range reps {
		job.Pipeline = fmt.Sprintf("bench-%s-%d", kind, rep)
		for _, step := range []string{"decode", "source", "relay", "cuts"} {
			job.Step = step
			got, err := job.spawn(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", step, err)
			}
			fmt.Printf("  %-7s %8.0f rows/s  %6.2f µs CPU a row  %4d MB peak\n", step, got.rate(), got.cpu(), got.Peak>>20)
			sum := sums[step]
			sums[step] = result{Rows: sum.Rows + got.Rows, Seconds: sum.Seconds + got.Seconds, CPU: sum.CPU + got.CPU, Peak: max(sum.Peak, got.Peak)}
		}
	}
	relay, decode := sums["relay"], sums["decode"]
	fmt.Printf("%s relay %.0f rows/s %.2f µs CPU a row %d MB peak; ratio to go-mysql decoding alone: speed %.2f, CPU %.2f\n",
		kind, relay.rate(), relay.cpu(), relay.Peak>>20, relay.rate()/decode.rate(), relay.cpu()/decode.cpu())
	return nil
}

// spawn runs the step in a process of its own, so that its CPU time and memory are its own.
func (j job) spawn(ctx context.Context) (result, error) {
	self, err := os.Executable()
	if err != nil {
		return result{}, err
	}
	cmd := exec.CommandContext(ctx, self, "-step", j.Step, "-db", j.DB, "-kind", j.Kind, "-kafka", j.Kafka, "-pipeline", j.Pipeline,
		"-rows", strconv.FormatUint(j.Rows, 10))
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

func flagGiven(name string) bool {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	return given
}
