package topology

import (
	"database/sql"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestOperations does what docs/operations.md describes, on one log: a table is added, the relay is moved, and the server is replaced by
// its upgraded copy, which the relay knows by another address only.
func TestOperations(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		ctx := t.Context()
		r, err := newRig(ctx, cfg, 2)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := r.close(); err != nil {
				t.Error(err)
			}
		})
		must := func(errs ...error) {
			t.Helper()
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
		}
		blue, green := r.nodes[0], r.nodes[1]

		must(r.use("shop.mark", blue))
		r.start(ctx)
		must(r.burst(ctx), r.arrived(ctx), r.finish())
		added, found, err := r.log.Head(ctx)
		if must(err); !found {
			t.Fatal("the log has no watermark")
		}
		must(r.use("shop.*", blue)) // adding a table
		r.start(ctx)
		must(r.burst(ctx), r.arrived(ctx))

		old := r.ended // moving the relay: a second one begins, wherever it runs
		stopOld := r.stop
		defer stopOld()
		must(r.use("shop.*", blue))
		r.start(ctx)
		must(r.burst(ctx))
		if err := <-old; !errors.Is(err, eventstore.ErrFenced) {
			t.Errorf("the relay that was replaced ended with %v, want ErrFenced", err)
		}
		must(r.arrived(ctx), r.finish())

		must(r.burst(ctx), r.caughtUp(ctx, green), r.promote(ctx, green)) // blue/green
		must(blue.Stop(ctx))
		must(r.use("shop.*", green))
		r.start(ctx)
		must(r.burst(ctx), r.arrived(ctx), r.finish())

		binlog, err := r.transactions(ctx, green)
		must(err)
		covers, err := added.Position.Contains()
		must(err)
		for i := range binlog {
			before, err := covers(binlog[i].GTID)
			if must(err); before { // only one table was captured
				binlog[i].Rows = slices.DeleteFunc(binlog[i].Rows, func(row history.Row) bool { return row.Table != "mark" })
			}
		}
		log, err := history.ReadLog(ctx, []string{r.Broker}, r.pipeline)
		must(err)
		if result := compare(binlog, log, r.load.acked); !result.OK() {
			t.Errorf("got %+v", result)
		}

		// A server with another history. A fresh one has none before its first statement.
		r.catchUp = time.Second
		stranger := servers.Find(t, cfg.Kind)
		admin, err := sql.Open("mysql", stranger.DSN(""))
		must(err)
		_, err = admin.ExecContext(ctx, "DROP DATABASE IF EXISTS millrace_of_nobody")
		must(err, admin.Close())
		foreign, err := r.newRelay("shop.*", []string{stranger.HostPort()})
		must(err)
		err = foreign.Run(ctx)
		if !errors.Is(err, cdc.ErrSourceBehind) && !errors.Is(err, cdc.ErrForeignServer) || cfg.Kind == servers.MySQL && !errors.Is(err, cdc.ErrForeignServer) {
			t.Errorf("on a foreign server: got %v", err)
		}
		t.Logf("on a foreign server: %v", err)
		both, err := r.newRelay("shop.*", []string{green.proxy.Addr(), servers.Find(t, other(cfg.Kind)).HostPort()})
		must(err)
		if err := both.Run(ctx); err == nil || errors.Is(err, cdc.ErrUnavailable) {
			t.Errorf("on servers of two flavors: got %v", err)
		} else {
			t.Logf("on servers of two flavors: %v", err)
		}
	})
}

func other(kind servers.Kind) servers.Kind {
	if kind == servers.MySQL {
		return servers.MariaDB
	}
	return servers.MySQL
}
