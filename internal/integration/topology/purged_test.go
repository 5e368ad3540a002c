package topology

import (
	"errors"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/integration/history"
)

// TestRestoredBinlog: binlog is purged that a relay that was away still needs. It halts; the files are put back from a backup of the binlog, and
// the relay goes on as if nothing had been.
func TestRestoredBinlog(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		ctx := t.Context()
		r, must := open(t, cfg, 1)
		server := r.primary
		r.start(ctx)
		must(r.burst(ctx), r.arrived(ctx), r.finish())

		must(r.burst(ctx), server.exec(ctx, "FLUSH BINARY LOGS"), r.burst(ctx), server.exec(ctx, "FLUSH BINARY LOGS"), r.burst(ctx))
		saved, err := server.saveBinlog(ctx)
		must(err, history.Purge(ctx, server.admin), r.use("shop.*", server))
		r.start(ctx)
		if err := <-r.ended; !errors.Is(err, cdc.ErrPositionLost) {
			t.Fatalf("with the binlog purged: got %v, want ErrPositionLost", err)
		}
		r.stop()

		must(server.restoreBinlog(ctx, saved), r.use("shop.*", server))
		r.start(ctx)
		must(r.burst(ctx), r.arrived(ctx), r.finish())
		result, err := r.compare(ctx)
		must(err)
		t.Logf("%d changes, %d marks: %v", result.Changes, result.Marks, result)
		if !result.OK() {
			t.Errorf("got %+v", result)
		}
	})
}
