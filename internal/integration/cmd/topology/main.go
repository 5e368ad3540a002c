// Command topology runs package topology on MariaDB and MySQL: everything that happens to the servers of a source, and then the comparison. SEED
// and DB (mariadb, mysql, both) in the environment choose; its last line is lost 0 duplicated 0 reordered 0, or it ends with an error.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/millrace-go/millrace/internal/integration/environ"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/topology"
)

func main() { os.Exit(run()) }

func run() int {
	var settings environ.Settings
	var seed uint64
	settings.Seed(&seed, "the load")
	kinds := settings.Databases()
	return settings.Run("topology", func(ctx context.Context) error { return check(ctx, cmp.Or(seed, uint64(time.Now().Unix())), kinds) })
}

func check(ctx context.Context, seed uint64, kinds []servers.Kind) error {
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
