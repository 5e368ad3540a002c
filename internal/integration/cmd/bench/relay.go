package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// relay measures what the relay costs, on a database of each kind.
func (b *bench) relay(ctx context.Context) error {
	broker, err := b.server(ctx, servers.Kafka)
	if err != nil {
		return err
	}
	job := job{Rows: b.rows - b.rows%(2*rowsPerTransaction), Kafka: broker.Value}
	for name := range strings.SplitSeq(b.databases, ",") {
		kind, err := servers.ParseKind(name)
		if err != nil {
			return err
		}
		if err := measure(ctx, job, kind, b.reps, b.logf); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	return nil
}

// measure fills one database and runs every step on it.
func measure(ctx context.Context, job job, kind servers.Kind, reps int, logf func(string, ...any)) (err error) {
	db, err := servers.Start(ctx, kind, servers.Options{Logf: logf})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	job.Kind, job.DB = string(kind), db.Address().HostPort()
	if err := fill(ctx, db.Address().DSN(""), job.Rows); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	fmt.Printf("%s: %d row changes, transactions of %d\n", kind, job.Rows, rowsPerTransaction)
	sums := map[string]result{}
	for rep := range reps {
		job.Pipeline = fmt.Sprintf("bench-%s-%d", kind, rep)
		for _, step := range []string{"decode", "source", "relay", "cuts"} {
			job.Step = step
			got, err := job.spawn(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", step, err)
			}
			fmt.Printf("  %-7s %8.0f rows/s  %6.2f µs CPU a row  %4d MB peak\n", step, got.rate(), got.cpu(), got.Peak>>20)
			sum := sums[step]
			sums[step] = result{Rows: sum.Rows + got.Rows, Seconds: sum.Seconds + got.Seconds, CPU: sum.CPU + got.CPU, Peak: max(sum.Peak, got.Peak)}
		}
	}
	relay, decode := sums["relay"], sums["decode"]
	fmt.Printf("%s relay %.0f rows/s %.2f µs CPU a row %d MB peak; ratio to go-mysql decoding alone: speed %.2f, CPU %.2f\n",
		kind, relay.rate(), relay.cpu(), relay.Peak>>20, relay.rate()/decode.rate(), relay.cpu()/decode.cpu())
	return nil
}
