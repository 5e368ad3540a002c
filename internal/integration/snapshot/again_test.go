package snapshot

import (
	"context"
	"errors"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// Rows are read once more when the API asks for them, or a row of the table of signals; what cannot be done is given up, and nothing else stops.
func TestAskedFor(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		cfg.Rows, cfg.Hot = 3000, 300
		r := begin(t, cfg, []*kind{kinds[0], kinds[5]}) // plain and hot
		ctx := t.Context()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(r.db.exec(ctx, "CREATE TABLE work.live (id INT PRIMARY KEY, schema_name VARCHAR(64), table_name VARCHAR(64), row_filter TEXT)"))
		r.include = []string{schemaName + ".*"}
		source, err := binlog.New(binlog.Config{Addr: r.db.addr(), User: servers.CDCUser, Password: servers.CDCPassword, Filter: cdc.Filter{Include: r.include}})
		must(err)
		log, err := kafkalog.New(kafkalog.Config{Brokers: []string{r.broker}, Pipeline: r.pipeline})
		must(err)
		defer log.Close()
		done := make(chan cdc.SnapshotInfo, 16)
		relay, err := cdc.NewRelay(cdc.Config{Source: source, Log: log, Snapshot: cdc.SnapshotConfig{ChunkRows: 100, Signals: "work.live"},
			Hooks: cdc.Hooks{Snapshot: func(i cdc.SnapshotInfo) {
				if i.Done && i.Request != "" {
					done <- i
				}
			}}})
		must(err)
		if _, err := relay.Snapshot(ctx, cdc.SnapshotRequest{Schema: "work", Table: "hot"}); !errors.Is(err, cdc.ErrNotLeading) {
			t.Errorf("before it runs: got %v, want %v", err, cdc.ErrNotLeading)
		}
		running, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- relay.Run(running) }()
		defer stop()
		must(r.snapshotted(ctx))

		wait := func(request string, fails bool) {
			t.Helper()
			select {
			case i := <-done:
				if i.Request != request || (i.Err != nil) != fails {
					t.Errorf("got %+v, want request %q, error %t", i, request, fails)
				}
			case err := <-ended:
				t.Fatalf("the relay ended: %v", err)
			}
		}
		if _, err := relay.Snapshot(ctx, cdc.SnapshotRequest{Schema: "shop", Table: "hot"}); err == nil {
			t.Error("a table that is not captured: want an error")
		}
		for _, c := range []struct {
			table, where string
			fails        bool
		}{{"hot", "", false}, {"plain", "id < 300", false}, {"plain", "no such column", true}, {"never_made", "", true}} {
			id, err := relay.Snapshot(ctx, cdc.SnapshotRequest{Schema: "work", Table: c.table, Where: c.where})
			must(err)
			wait(id, c.fails)
		}
		if _, err := cdc.NewRelay(cdc.Config{Source: source, Log: log, Snapshot: cdc.SnapshotConfig{Signals: "elsewhere.live"}}); err == nil {
			t.Error("a table of signals that is not captured: want an error")
		}
		must(r.db.exec(ctx, "INSERT INTO work.live VALUES (1, 'elsewhere', 'hot', '')", "INSERT INTO work.live VALUES (2, 'work', 'plain', 'id >= 8700 AND i = 0')"))
		wait("signal 2", false)
		must(r.caughtUp(ctx))
		stop()
		must(<-ended)
		if v := r.ends(t); v.Repeated != 300+100+100 {
			t.Errorf("%d rows were read again, want 500", v.Repeated)
		}
	})
}

// A request is in the log: a relay that is killed before it is done, and in the middle, goes on with it.
func TestAskedForSurvives(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		cfg.Rows, cfg.RowsPerSecond = 6000, 6000
		cfg.smallFlushes()
		r := begin(t, cfg, kinds[:1])
		if err := r.db.exec(t.Context(), "CREATE TABLE work.live (id INT PRIMARY KEY, schema_name VARCHAR(64), table_name VARCHAR(64), row_filter TEXT)"); err != nil {
			t.Fatal(err)
		}
		r.signals = "work.live"
		r.with(t, "*", func(ctx context.Context) {
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			must(r.snapshotted(ctx))
			must(r.db.exec(ctx, "INSERT INTO work.live VALUES (7, 'work', 'plain', 'id < 9000')"))
			must(r.caughtUp(ctx))
			for _, rows := range []uint64{0, 1000} { // of the 3000
				must(r.progress.Await(ctx, func() bool { return r.request("signal 7").Rows >= rows }))
				r.relay.Kill()
				must(r.relay.WaitBegun(ctx))
			}
			must(r.progress.Await(ctx, func() bool { return r.request("signal 7").Done }))
		})
		v := r.ends(t)
		t.Logf("%d rows were read again in %d sessions, 3000 for the signal, and at most %d may be", v.Repeated, r.sessions.Load(), r.inDoubt())
		if again := v.Repeated - 3000; again < 0 || again > r.inDoubt() {
			t.Errorf("%d rows were read again, want the 3000 that the signal asks for and at most %d", v.Repeated, r.inDoubt())
		}
	})
}
