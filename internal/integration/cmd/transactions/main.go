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
	"fmt"
	"os"

	"github.com/millrace-go/millrace/internal/integration/environ"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/transactions"
)

func main() { os.Exit(run()) }

func run() int {
	if len(os.Args) == 2 && os.Args[1] == transactions.RelayChild {
		return transactions.Child()
	}
	cfg := transactions.Config{Out: os.Stdout, Break: os.Getenv("BREAK")}
	var settings environ.Settings
	settings.Seed(&cfg.Seed, "load and kills")
	settings.Number(&cfg.Kills, "KILLS", 20, "how often the relay is killed; default 20")
	settings.Number(&cfg.Restarts, "RESTARTS", 4, "how often each server is restarted; default 4")
	settings.Number(&cfg.Transactions, "TRANSACTIONS", 12_000, "how many each server's clients begin; default 12000")
	settings.Verbose(&cfg.Log, "the relay's")
	kinds := settings.Databases()
	return settings.Run("transactions", func(ctx context.Context) error {
		reports, err := environ.Each(ctx, kinds, func(kind servers.Kind) (*transactions.Report, error) {
			cfg.Kind = kind
			return transactions.Run(ctx, cfg)
		})
		if len(reports) == len(kinds) {
			fmt.Println(environ.Total(reports))
		}
		return err
	})
}
