// Command documents checks, on one database server or both, that the documents of joins, folds and a query in Elasticsearch and MongoDB are what SQL says,
// at cuts on the way and at the end, while the projector is killed, stopped and robbed of its local state. See package
// internal/integration/documents.
//
//	SEED=7 KILLS=12 DB=both documents
//
// It prints what happens, a line of figures for each server and one for all, which ends with what was found. It exits non-zero when something is wrong,
// or when too little happened to say so.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/millrace-go/millrace/internal/integration/documents"
	"github.com/millrace-go/millrace/internal/integration/environ"
)

func main() { os.Exit(run()) }

func run() int {
	if len(os.Args) == 2 && os.Args[1] == documents.ProjectorChild {
		return documents.Child()
	}
	cfg := documents.Config{Out: os.Stdout}
	var settings environ.Settings
	var seed, loud, deadline int
	settings.Number(&seed, "SEED", 0, "seed of load and disturbances; default by chance")
	settings.Number(&cfg.Transactions, "TRANSACTIONS", 20_000, "how many each server's clients begin; default 20000")
	settings.Number(&cfg.Scale, "SCALE", 3000, "products; the other tables follow; default 3000")
	settings.Number(&cfg.Cuts, "CUTS", 10, "cuts on the way; default 10")
	settings.Number(&cfg.Kills, "KILLS", 12, "how often the projector is killed; default 12")
	settings.Number(&cfg.Pauses, "PAUSES", 6, "how often it is stopped; default 6")
	settings.Number(&cfg.Losses, "LOSSES", 12, "how often its local state is lost or damaged; default 12")
	settings.Number(&cfg.Rivals, "RIVALS", 4, "how often a second projector works beside it; default 4")
	settings.Number(&deadline, "DEADLINE", 30, "minutes for each server; default 30")
	settings.Number(&loud, "VERBOSE", 0, "1: the projector's own log on standard error")
	cfg.Seed, cfg.Break, cfg.Deadline = uint64(seed), os.Getenv("BREAK"), time.Duration(deadline)*time.Minute
	if loud > 0 {
		cfg.Log = os.Stderr
	}
	kinds := settings.Databases()
	if err := settings.Err("documents"); err != nil {
		fmt.Fprintln(os.Stderr, "documents:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	total, judged := &documents.Report{}, 0
	var problems []error
	for _, kind := range kinds {
		cfg.Kind = kind
		report, err := documents.Run(ctx, cfg)
		if report != nil {
			fmt.Printf("%s: %s\n", kind, report)
			total.Add(report)
			judged++
		}
		if err != nil {
			problems = append(problems, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	if judged == len(kinds) {
		fmt.Println(total)
	}
	if err := errors.Join(problems...); err != nil {
		fmt.Fprintln(os.Stderr, "documents:", err)
		return 1
	}
	return 0
}
