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
	"fmt"
	"os"
	"time"

	"github.com/millrace-go/millrace/internal/integration/documents"
	"github.com/millrace-go/millrace/internal/integration/environ"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

func main() { os.Exit(run()) }

func run() int {
	if len(os.Args) == 2 && os.Args[1] == documents.ProjectorChild {
		return documents.Child()
	}
	cfg := documents.Config{Out: os.Stdout, Break: os.Getenv("BREAK")}
	var settings environ.Settings
	settings.Seed(&cfg.Seed, "load and disturbances")
	settings.Number(&cfg.Transactions, "TRANSACTIONS", 20_000, "how many each server's clients begin; default 20000")
	settings.Number(&cfg.Scale, "SCALE", 3000, "products; the other tables follow; default 3000")
	settings.Number(&cfg.Cuts, "CUTS", 10, "cuts on the way; default 10")
	settings.Number(&cfg.Kills, "KILLS", 12, "how often the projector is killed; default 12")
	settings.Number(&cfg.Pauses, "PAUSES", 6, "how often it is stopped; default 6")
	settings.Number(&cfg.Losses, "LOSSES", 12, "how often its local state is lost or damaged; default 12")
	settings.Number(&cfg.Rivals, "RIVALS", 4, "how often a second projector works beside it; default 4")
	settings.Duration(&cfg.Deadline, "DEADLINE", 30, time.Minute, "minutes for each server; default 30")
	settings.Verbose(&cfg.Log, "the projector's")
	kinds := settings.Databases()
	return settings.Run("documents", func(ctx context.Context) error {
		reports, err := environ.Each(ctx, kinds, func(kind servers.Kind) (*documents.Report, error) {
			cfg.Kind = kind
			return documents.Run(ctx, cfg)
		})
		if len(reports) == len(kinds) {
			fmt.Println(environ.Total(reports))
		}
		return err
	})
}
