package topology

import (
	"context"
	"fmt"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/snapshot"
)

// TestSnapshotFailover: the binlogs are purged, so the log begins with a snapshot; in the middle of it the primary dies, and the
// relay goes on with it at the replica that is promoted.
func TestSnapshotFailover(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		ctx := t.Context()
		r, must := open(t, cfg, 2)
		blue, green := r.nodes[0], r.nodes[1]
		const rows = 6000
		must(blue.exec(ctx, "CREATE TABLE shop.old (id INT PRIMARY KEY, v VARCHAR(50))"))
		for id := 0; id < rows; id += 2 {
			must(blue.exec(ctx, fmt.Sprintf("INSERT INTO shop.old VALUES (%d, 'old'), (%d, 'old, too')", id, id+1)))
		}
		must(r.burst(ctx), r.caughtUp(ctx, green))
		for _, n := range r.nodes {
			must(n.exec(ctx, "FLUSH BINARY LOGS"), history.Purge(ctx, n.admin))
		}
		r.snapshot = cdc.SnapshotConfig{ChunkRows: 100, RowsPerSecond: 3000}
		must(r.use("shop.*", blue, green))
		r.start(ctx)
		must(r.await(ctx, "a third of the old rows is read", func() (bool, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.read["old"] > rows/3, nil
		}))
		must(r.burst(ctx), r.caughtUp(ctx, green), blue.Kill(), r.promote(ctx, green))
		must(green.exec(ctx, "UPDATE shop.old SET v = 'after the failover' WHERE id % 7 = 0", "DELETE FROM shop.old WHERE id % 11 = 0"))
		must(r.burst(ctx), r.arrived(ctx))
		must(r.await(ctx, "the log has everything", func() (bool, error) {
			head, _, err := r.log.Head(ctx)
			if err != nil {
				return false, err
			}
			progress, err := eventstore.ParseSnapshot(head.Position.Snapshot)
			return progress.Complete(schemaName, "old") && progress.Complete(schemaName, "stock") && progress.Complete(schemaName, "mark"), err
		}))
		must(r.arrived(ctx), r.follows(ctx, green), r.finish())

		c := snapshot.NewChecker(schemaName, map[string][]string{"old": {"id"}, "stock": {"id"}, "mark": {"id"}})
		must(history.MergeLog(ctx, r.Broker, r.pipeline, c.Add))
		for _, table := range []string{"old", "stock", "mark"} {
			must(c.Compare(table, func(each func(map[string]history.Value)) error {
				return snapshot.Rows(context.Background(), green.admin, schemaName, table, each)
			}))
		}
		t.Logf("%d rows, %d changes, %d read: %v", c.Rows, c.Changes, c.Reads, &c.Verdict)
		if !c.OK() || c.Reads > c.Rows+rows/2 {
			t.Errorf("got %+v", c.Verdict)
		}
	})
}
