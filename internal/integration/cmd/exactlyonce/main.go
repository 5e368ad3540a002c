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
	"os/signal"
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
	var settings environ.Settings
	var seed, loud, minutes, patience, stop, down, downRows int
	settings.Number(&seed, "SEED", 0, "seed of load and faults; default by chance")
	settings.Number(&cfg.Kills, "KILLS", 50, "how often a relay is killed or replaced on each server, beside half as many other faults; default 50")
	settings.Number(&cfg.Changes, "CHANGES", 0, "rows that each server's clients change, at least; default 110000")
	settings.Number(&minutes, "DEADLINE", 60, "minutes that each server's run may take; default 60")
	settings.Number(&loud, "VERBOSE", 0, "1: the relays' own log on standard error")
	settings.Number(&patience, "PATIENCE", 180, "seconds that the relays may take for anything; default 180")
	settings.Number(&stop, "STOP", 60, "seconds that a leader is stopped which a standby has replaced; default 60")
	settings.Number(&down, "OUTAGE", 0, "seconds that Kafka is down as a whole under load, instead of the other faults")
	settings.Number(&downRows, "OUTAGE_ROWS", 60_000, "rows of 3,500 bytes that the clients commit meanwhile, at least; default 60000")
	cfg.Patience = time.Duration(patience) * time.Second
	cfg.Seed, cfg.Stop, cfg.Deadline = uint64(seed), time.Duration(stop)*time.Second, time.Duration(minutes)*time.Minute
	if loud > 0 {
		cfg.Log = os.Stderr
	}
	kinds := settings.Databases()
	if err := settings.Err("exactlyonce"); err != nil {
		fmt.Fprintln(os.Stderr, "exactlyonce:", err)
		return 2
	}
	ctx, end := signal.NotifyContext(context.Background(), os.Interrupt)
	defer end()
	if err := check(ctx, cfg, kinds, exactlyonce.Outage{For: time.Duration(down) * time.Second, Rows: downRows}); err != nil {
		fmt.Fprintln(os.Stderr, "exactlyonce:", err)
		return 1
	}
	return 0
}

func check(ctx context.Context, cfg exactlyonce.Config, kinds []servers.Kind, outage exactlyonce.Outage) (err error) {
	brokers, err := exactlyonce.StartBrokers(ctx, func(format string, args ...any) { fmt.Printf(format+"\n", args...) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, brokers.Close()) }()
	total, judged := &exactlyonce.Report{}, 0
	for _, kind := range kinds {
		cfg.Kind = kind
		var report *exactlyonce.Report
		var failed error
		if outage.For > 0 {
			report, failed = exactlyonce.RunOutage(ctx, brokers, cfg, outage)
		} else {
			report, failed = exactlyonce.Run(ctx, brokers, cfg)
		}
		if report != nil {
			details := report.Details()
			if outage.For > 0 {
				details = report.Memory()
			}
			fmt.Printf("%s: %s\n%s: %s\n", kind, details, kind, report)
			total.Add(report)
			judged++
		}
		err = errors.Join(err, failed)
		if ctx.Err() != nil {
			return err
		}
	}
	if judged == len(kinds) {
		fmt.Println(total)
	}
	return err
}
