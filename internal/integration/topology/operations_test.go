package topology

import (
	"errors"
	"slices"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestOperations does what docs/operations.md describes, on one log: a relay begins, a table is added, and the relay
// is moved. Addresses of two flavors are refused.
func TestOperations(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		ctx := t.Context()
		r, must := open(t, cfg, 1)
		server := r.primary
		must(r.use("shop.mark", server))
		r.start(ctx)
		must(r.burst(ctx), r.arrived(ctx), r.finish())
		added, found, err := r.log.Head(ctx)
		if must(err); !found {
			t.Fatal("the log has no watermark")
		}
		must(r.use("shop.*", server)) // adding a table
		r.start(ctx)
		must(r.burst(ctx), r.arrived(ctx))

		old := r.ended // moving the relay: a second one begins, wherever it runs
		stopOld := r.stop
		defer stopOld()
		must(r.use("shop.*", server))
		r.start(ctx)
		must(r.burst(ctx))
		if err := <-old; !errors.Is(err, eventstore.ErrFenced) {
			t.Errorf("the relay that was replaced ended with %v, want ErrFenced", err)
		}
		must(r.arrived(ctx), r.finish())

		binlog, err := r.transactions(ctx, server)
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

		both, err := r.newRelay("shop.*", []string{server.proxy.Addr(), servers.Find(t, other(cfg.Kind)).HostPort()})
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
