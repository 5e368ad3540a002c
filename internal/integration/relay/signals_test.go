package relay

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestGrantOnSignals: an account that may read the shop, and not the table of signals, is refused before anything is written; the statement of
// the error mends it, and a signal is followed then.
func TestGrantOnSignals(t *testing.T) {
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(kind), func(t *testing.T) { testGrantOnSignals(t, newRig(t, kind)) })
	}
}

func testGrantOnSignals(t *testing.T, r *rig) {
	monitor := "REPLICATION CLIENT"
	if r.kind == servers.MariaDB {
		monitor = "BINLOG MONITOR"
	}
	r.exec(t, "CREATE DATABASE ops", "CREATE TABLE ops.ask (id INT PRIMARY KEY, schema_name VARCHAR(64), table_name VARCHAR(64), row_filter TEXT)",
		"CREATE USER 'asked'@'%' IDENTIFIED BY 'asked'", "GRANT REPLICATION SLAVE, "+monitor+" ON *.* TO 'asked'@'%'", "GRANT SELECT ON shop.* TO 'asked'@'%'")
	source := binlog.Config{Addr: r.addr, User: "asked", Password: "asked", Filter: cdc.Filter{Include: []string{"shop.*", "ops.ask"}}}
	snapshots := cdc.SnapshotConfig{Signals: "ops.ask"}

	check, ok := errors.AsType[*cdc.CheckError](r.refused(t, source, snapshots, r.kafka))
	if !ok || len(check.Problems) != 1 {
		t.Fatalf("got %v, want a CheckError with one problem", check)
	}
	problem := check.Problems[0]
	if !strings.Contains(problem.What, "'asked'@'%' lacks SELECT on ops.ask") || problem.Fix != "GRANT SELECT ON `ops`.`ask` TO 'asked'@'%'" {
		t.Errorf("got %+v, want one that names account, privilege and table, and grants it", problem)
	}
	r.exec(t, problem.Fix)

	s, err := binlog.New(source)
	if err != nil {
		t.Fatal(err)
	}
	log, err := kafkalog.New(kafkalog.Config{Brokers: r.kafka, Pipeline: "granted"})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	done := make(chan cdc.SnapshotInfo, 16)
	relay, err := cdc.NewRelay(cdc.Config{Source: s, Log: log, Snapshot: snapshots, Hooks: cdc.Hooks{Snapshot: func(i cdc.SnapshotInfo) {
		if i.Done {
			done <- i
		}
	}}})
	if err != nil {
		t.Fatal(err)
	}
	r.exec(t, "INSERT INTO ops.ask VALUES (1, 'shop', 'product', 'id = 1')")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(ctx) }()
	select {
	case i := <-done:
		if i.Request != "signal 1" || i.Table != "product" || i.Rows != 1 || i.Err != nil {
			t.Errorf("got %+v, want the one row that the signal asks for", i)
		}
	case err := <-ended:
		t.Fatalf("the relay ended: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
