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
	"os/signal"
	"strconv"
	"time"

	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/standby"
)

// limit is the longest that a takeover may take.
const limit = 5 * time.Second

func main() {
	if len(os.Args) == 2 && os.Args[1] == standby.RelayChild {
		os.Exit(standby.Child())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "takeover:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	kills, err1 := number("KILLS", 10)
	stops, err2 := number("STOPS", 5)
	stopFor, err4 := number("STOP_FOR", 0)
	cuts, err6 := number("CUTS", 5)
	verbose, err5 := number("VERBOSE", 0) // 1: the relays' own logs on standard error
	kinds := []servers.Kind{servers.MySQL, servers.MariaDB}
	var err3 error
	switch db := os.Getenv("DB"); db {
	case "", "both":
	case string(servers.MySQL), string(servers.MariaDB):
		kinds = []servers.Kind{servers.Kind(db)}
	default:
		err3 = fmt.Errorf("DB=%s: want mysql, mariadb or both", db)
	}
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return err
	}
	var problems []error
	for _, kind := range kinds {
		cfg := standby.Config{Kind: kind, Kills: kills, Stops: stops, Cuts: cuts, StopFor: time.Duration(stopFor) * time.Second, Out: os.Stdout}
		if verbose > 0 {
			cfg.Log = os.Stderr
		}
		report, err := standby.Run(ctx, cfg)
		problems = append(problems, err)
		if report == nil {
			continue
		}
		fmt.Printf("%s: %s\n", kind, report)
		if slowest := report.Slowest(); slowest > limit {
			problems = append(problems, fmt.Errorf("%s: nobody appended for %v, the limit is %v", kind, slowest, limit))
		}
	}
	return errors.Join(problems...)
}

// number reads a number from the environment.
func number(name string, byDefault int) (int, error) {
	text := os.Getenv(name)
	if text == "" {
		return byDefault, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s=%s: want a number", name, text)
	}
	return n, nil
}
