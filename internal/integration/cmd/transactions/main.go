// Command transactions checks, on one database server or both, that the log has every committed change once, in commit order, and nothing else: whatever
// kind of transaction it was, and whoever was killed. See package internal/integration/transactions.
//
//	SEED=7 KILLS=20 DB=both transactions
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

	"github.com/millrace-go/millrace/internal/integration/environ"
	"github.com/millrace-go/millrace/internal/integration/transactions"
)

func main() { os.Exit(run()) }

func run() int {
	if len(os.Args) == 2 && os.Args[1] == transactions.RelayChild {
		return transactions.Child()
	}
	cfg := transactions.Config{Out: os.Stdout}
	var settings environ.Settings
	var seed, loud int
	settings.Number(&seed, "SEED", 0, "seed of load and kills; default by chance")
	settings.Number(&cfg.Kills, "KILLS", 20, "how often the relay is killed; default 20")
	settings.Number(&cfg.Restarts, "RESTARTS", 4, "how often each server is restarted; default 4")
	settings.Number(&cfg.Transactions, "TRANSACTIONS", 12_000, "how many each server's clients begin; default 12000")
	settings.Number(&loud, "VERBOSE", 0, "1: the relay's own log on standard error")
	cfg.Seed, cfg.Break = uint64(seed), os.Getenv("BREAK")
	if loud > 0 {
		cfg.Log = os.Stderr
	}
	kinds := settings.Databases()
	if err := settings.Err("transactions"); err != nil {
		fmt.Fprintln(os.Stderr, "transactions:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	total, judged := &transactions.Report{}, 0
	var problems []error
	for _, kind := range kinds {
		cfg.Kind = kind
		report, err := transactions.Run(ctx, cfg)
		if report != nil {
			fmt.Printf("%s: %s\n", kind, report)
			total.Add(report)
			judged++
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	if judged == len(kinds) {
		fmt.Println(total)
	}
	if err := errors.Join(problems...); err != nil {
		fmt.Fprintln(os.Stderr, "transactions:", err)
		return 1
	}
	return 0
}
