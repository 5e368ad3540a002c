// Command takeover measures how long nobody appends when the relay that leads is killed, stopped, or cut off from Kafka, with three relays at their default
// settings under load, and compares the log with the table. See package internal/integration/standby.
//
//	DB=both KILLS=10 STOPS=5 CUTS=5 STOP_FOR=60 takeover
//
// A stopped leader wakes up when another one leads, and not before STOP_FOR seconds; so with one that is cut off.
//
// It exits non-zero when something is wrong, or when a takeover took longer than 5 s.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/millrace-go/millrace/internal/integration/environ"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/standby"
)

// limit is the longest that a takeover may take.
const limit = 5 * time.Second

func main() { os.Exit(run()) }

func run() int {
	if len(os.Args) == 2 && os.Args[1] == standby.RelayChild {
		return standby.Child()
	}
	cfg := standby.Config{Out: os.Stdout}
	var settings environ.Settings
	settings.Number(&cfg.Kills, "KILLS", 10, "how often the leader is killed; default 10")
	settings.Number(&cfg.Stops, "STOPS", 5, "how often it is stopped; default 5")
	settings.Number(&cfg.Cuts, "CUTS", 5, "how often it is cut off; default 5")
	settings.Duration(&cfg.StopFor, "STOP_FOR", 0, time.Second, "seconds that it is stopped or cut off at least; default 0")
	settings.Verbose(&cfg.Log, "the relays'")
	kinds := settings.Databases()
	return settings.Run("takeover", func(ctx context.Context) error {
		_, err := environ.Each(ctx, kinds, func(kind servers.Kind) (*standby.Report, error) {
			cfg.Kind = kind
			report, err := standby.Run(ctx, cfg)
			if report != nil && report.Slowest() > limit {
				err = errors.Join(err, fmt.Errorf("%s: nobody appended for %v, the limit is %v", kind, report.Slowest(), limit))
			}
			return report, err
		})
		return err
	})
}
