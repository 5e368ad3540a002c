// Command exactlyonce kills relays, brokers and databases, stops them, spoils the networks between them, and checks that the log has every committed
// change once, in commit order, whole. See package internal/integration/exactlyonce.
//
//	SEED=7 KILLS=50 DB=both exactlyonce
//
// It prints what happens, a line of figures for each database server and one for all, which ends with what was found. It exits non-zero when something is
// wrong, or when too little happened to say so. A seed that failed is run again with SEED: the same faults in the same order.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/millrace-go/millrace/internal/integration/environ"
	"github.com/millrace-go/millrace/internal/integration/exactlyonce"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

func main() { os.Exit(run()) }

func run() int {
	if len(os.Args) == 2 && os.Args[1] == exactlyonce.RelayChild {
		return exactlyonce.Child()
	}
	cfg := exactlyonce.Config{Out: os.Stdout}
	var outage exactlyonce.Outage
	var settings environ.Settings
	settings.Seed(&cfg.Seed, "load and faults")
	settings.Number(&cfg.Kills, "KILLS", 50, "how often a relay is killed or replaced on each server, beside half as many other faults; default 50")
	settings.Number(&cfg.Changes, "CHANGES", 0, "rows that each server's clients change, at least; default 110000")
	settings.Duration(&cfg.Deadline, "DEADLINE", 60, time.Minute, "minutes that each server's run may take; default 60")
	settings.Verbose(&cfg.Log, "the relays'")
	settings.Duration(&cfg.Patience, "PATIENCE", 180, time.Second, "seconds that the relays may take for anything; default 180")
	settings.Duration(&cfg.Stop, "STOP", 60, time.Second, "seconds that a leader is stopped which a standby has replaced; default 60")
	settings.Duration(&outage.For, "OUTAGE", 0, time.Second, "seconds that Kafka is down as a whole under load, instead of the other faults")
	settings.Number(&outage.Rows, "OUTAGE_ROWS", 60_000, "rows of 3,500 bytes that the clients commit meanwhile, at least; default 60000")
	kinds := settings.Databases()
	return settings.Run("exactlyonce", func(ctx context.Context) error { return check(ctx, cfg, kinds, outage) })
}

func check(ctx context.Context, cfg exactlyonce.Config, kinds []servers.Kind, outage exactlyonce.Outage) (err error) {
	brokers, err := exactlyonce.StartBrokers(ctx, func(format string, args ...any) { fmt.Printf(format+"\n", args...) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, brokers.Close()) }()
	run, details := exactlyonce.Run, (*exactlyonce.Report).Details
	if outage.For > 0 {
		run = func(ctx context.Context, brokers *exactlyonce.Brokers, cfg exactlyonce.Config) (*exactlyonce.Report, error) {
			return exactlyonce.RunOutage(ctx, brokers, cfg, outage)
		}
		details = (*exactlyonce.Report).Memory
	}
	reports, err := environ.Each(ctx, kinds, func(kind servers.Kind) (*exactlyonce.Report, error) {
		cfg.Kind = kind
		report, err := run(ctx, brokers, cfg)
		if report != nil {
			fmt.Printf("%s: %s\n", kind, details(report))
		}
		return report, err
	})
	if len(reports) == len(kinds) {
		fmt.Println(environ.Total(reports))
	}
	return err
}
