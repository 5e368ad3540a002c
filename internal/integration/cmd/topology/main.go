// Command topology runs package topology on MariaDB and MySQL: everything that happens to the servers of a source, and then the comparison. SEED
// and DB (mariadb, mysql, both) in the environment choose; its last line is lost 0 duplicated 0 reordered 0, or it ends with an error.
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
	"github.com/millrace-go/millrace/internal/integration/topology"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "topology:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	seed := uint64(time.Now().Unix())
	if text := os.Getenv("SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			return fmt.Errorf("SEED=%q: want a number", text)
		}
	}
	kinds := []servers.Kind{servers.MariaDB, servers.MySQL}
	if text := os.Getenv("DB"); text != "" && text != "both" {
		kind, err := servers.ParseKind(text)
		if err != nil {
			return err
		}
		kinds = []servers.Kind{kind}
	}
	logf := func(format string, args ...any) { fmt.Printf(time.Now().Format("15:04:05 ")+format+"\n", args...) }
	broker, err := servers.Locate(ctx, servers.Kafka, logf)
	if err != nil {
		return err
	}
	sum := &topology.Result{}
	for _, kind := range kinds {
		cfg := topology.Config{Kind: kind, Seed: seed, Burst: 100, Broker: broker.HostPort(), Logf: logf}
		result, err := topology.Run(ctx, cfg)
		if err != nil {
			return fmt.Errorf("%s, SEED=%d: %w", kind, seed, err)
		}
		logf("%s: %d changes, %d commits that clients saw: %v", kind, result.Changes, result.Marks, result)
		sum.Add(result)
		cfg.Burst = 25
		if err := topology.RunLoss(ctx, cfg); err != nil {
			return fmt.Errorf("%s, commits that a failover loses: %w", kind, err)
		}
		if err := topology.RunTLS(ctx, cfg); err != nil {
			return fmt.Errorf("%s, renewed certificate: %w", kind, err)
		}
	}
	for _, example := range sum.Examples {
		fmt.Println(example)
	}
	fmt.Printf("SEED=%d\n%v\n", seed, sum)
	if !sum.OK() {
		return errors.New("the log is not what it should be")
	}
	return nil
}
