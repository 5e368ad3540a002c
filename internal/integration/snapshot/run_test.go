package snapshot

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// The tests' own program is also that of the relay's process.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == RelayChild {
		os.Exit(Child())
	}
	os.Exit(m.Run())
}

func onEach(t *testing.T, f func(t *testing.T, cfg Config)) {
	for _, kind := range []servers.Kind{servers.MySQL, servers.MariaDB} {
		t.Run(string(kind), func(t *testing.T) {
			t.Attr("server", string(kind)) // for the matrix that `make test` ends with
			t.Attr("server", string(servers.Kafka))
			f(t, Config{Kind: kind, Out: t.Output(), Log: t.Output()})
		})
	}
}

// A small run of what `make verify-snapshot` does.
func TestSnapshot(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		out := &bytes.Buffer{}
		cfg.Rows, cfg.Hot, cfg.Kills, cfg.Again, cfg.Out = 12_000, 500, 3, 10, out
		report, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Log(report)
		if !strings.HasSuffix(report.String(), " lost 0 invented 0 out of order 0 mismatched 0") {
			t.Errorf("report is %s", report)
		}
	})
}

// begin starts a server with some of the tables, and purges its binlog.
func begin(t *testing.T, cfg Config, kinds []*kind) *run {
	t.Helper()
	r, err := newRun(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		var err error
		if r.close(&err); err != nil {
			t.Error(err)
		}
	})
	if err := r.db.fill(t.Context(), &r.cfg, kinds); err != nil {
		t.Fatal(err)
	}
	return r
}

// with runs do beside a relay, lets it catch up and ends it.
func (r *run) with(t *testing.T, tables string, do func(ctx context.Context)) {
	t.Helper()
	ctx, fail := context.WithCancelCause(t.Context())
	defer fail(nil)
	stop := r.startRelay(fail, tables)
	defer stop()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(r.relay.WaitBegun(ctx))
	do(ctx)
	must(r.snapshotted(ctx))
	must(r.caughtUp(ctx))
	stop()
	must(context.Cause(ctx))
}

// ends compares the log with the tables.
func (r *run) ends(t *testing.T) *Verdict {
	t.Helper()
	c, err := r.check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !c.OK() {
		t.Errorf("got %v", &c.Verdict)
	}
	return &c.Verdict
}

// inDoubt is how many rows may have been read again at most. What a relay's session leaves in doubt is one flush, the one that it was appending: its
// rows may be in the log, and no watermark says that they are. A flush takes chunks until it has FlushBytes, and a record counts for at least rowBytes.
func (r *run) inDoubt() int {
	const rowBytes = 256
	flush := (r.cfg.FlushBytes+rowBytes-1)/rowBytes - 1 + r.cfg.ChunkRows
	return (int(r.sessions.Load()) - 1) * flush
}

// smallFlushes makes a flush of hardly more than one chunk.
func (c *Config) smallFlushes() { c.ChunkRows, c.FlushBytes = 100, 32<<10 }

// A relay that was killed goes on with the chunk it was at: it reads no row twice but those of the flush under way.
func TestResume(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		cfg.Rows, cfg.RowsPerSecond = 8000, 8000
		cfg.smallFlushes()
		r := begin(t, cfg, kinds[:1])
		r.with(t, "*", func(ctx context.Context) {
			for _, rows := range []uint64{2000, 4000, 6000} {
				if err := r.progress.Await(ctx, func() bool { return r.rows("plain") >= rows }); err != nil {
					t.Fatal(err)
				}
				r.relay.Kill()
				if err := r.relay.WaitBegun(ctx); err != nil {
					t.Fatal(err)
				}
			}
		})
		v := r.ends(t)
		t.Logf("%d rows were read again in %d sessions, at most %d may be", v.Reads-v.Rows, r.sessions.Load(), r.inDoubt())
		if again := v.Reads - v.Rows; again < 0 || again > r.inDoubt() {
			t.Errorf("%d rows were read again after three kills, want at most %d", again, r.inDoubt())
		}
	})
}

// A table that joins the choice of tables later is snapshotted by itself, and only it; so is one that is renamed into it, and one that has left the
// choice and comes back.
func TestTableJoins(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		cfg.Rows, cfg.Hot = 5000, 500
		r := begin(t, cfg, kinds[:2]) // plain and pair
		r.with(t, "plain", func(context.Context) {})
		if err := r.db.exec(t.Context(), "UPDATE work.pair SET i = i + 1 WHERE a < 7", "DELETE FROM work.pair WHERE a = 9", "UPDATE work.plain SET i = 7 WHERE id < 300"); err != nil {
			t.Fatal(err)
		}
		r.with(t, "*", func(ctx context.Context) {
			if err := r.snapshotted(ctx); err != nil {
				t.Fatal(err)
			}
			if err := r.db.exec(ctx, "UPDATE work.pair SET i = i + 1 WHERE a < 11", "CREATE DATABASE outside", "CREATE TABLE outside.hot (id INT PRIMARY KEY, v VARCHAR(100), i INT NOT NULL)",
				"INSERT INTO outside.hot VALUES (1, 'from outside', 1), (2, 'from outside', 2)", "UPDATE outside.hot SET i = 3 WHERE id = 1", "RENAME TABLE outside.hot TO work.hot"); err != nil {
				t.Fatal(err)
			}
			if err := r.caughtUp(ctx); err != nil {
				t.Fatal(err)
			}
		})
		v := r.ends(t)
		if want := 2*5000 - 100 + 2; v.Reads != want {
			t.Errorf("%d rows were read, want each once, %d", v.Reads, want)
		}
		r.with(t, "plain", func(ctx context.Context) {
			if err := r.db.exec(ctx, "INSERT INTO work.pair (a, b, v, i) SELECT a + 1000, b, v, i FROM work.pair WHERE a < 2"); err != nil {
				t.Fatal(err)
			}
		})
		if err := r.db.exec(t.Context(), "UPDATE work.pair SET i = i + 1 WHERE a < 13", "DELETE FROM work.pair WHERE a = 10"); err != nil {
			t.Fatal(err)
		}
		r.with(t, "*", func(context.Context) {})
		if again, want := r.ends(t).Reads-v.Reads, 5000-200+200+2; again != want { // pair and hot
			t.Errorf("%d rows were read when two tables came back, want %d", again, want)
		}
	})
}

// A relay that takes over in the middle of a snapshot, wherever it runs, goes on with it; the first one is fenced off.
func TestMovedInSnapshot(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		cfg.Rows, cfg.RowsPerSecond = 6000, 4000
		cfg.smallFlushes()
		r := begin(t, cfg, kinds[:1])
		first, fail := context.WithCancelCause(t.Context())
		defer fail(nil)
		stop := r.startRelay(fail, "*")
		defer stop()
		if err := r.progress.Await(first, func() bool { return r.rows("plain") >= 2000 }); err != nil {
			t.Fatal(err)
		}
		r.with(t, "*", func(context.Context) {
			<-first.Done()
			if err := context.Cause(first); !strings.Contains(err.Error(), "newer writer") {
				t.Errorf("the first relay ended with %v", err)
			}
		})
		v := r.ends(t)
		t.Logf("%d rows were read again in %d sessions, at most %d may be", v.Reads-v.Rows, r.sessions.Load(), r.inDoubt())
		if again := v.Reads - v.Rows; again < 0 || again > r.inDoubt() {
			t.Errorf("%d rows were read again, want at most %d", again, r.inDoubt())
		}
	})
}

// The binlog is purged under a relay that was away: it says so, and a new log begins with a snapshot.
func TestPurgedWhileAway(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		cfg.Rows = 2000
		r := begin(t, cfg, kinds[:1])
		r.with(t, "*", func(context.Context) {})
		r.ends(t)
		if err := r.db.exec(t.Context(), "UPDATE work.plain SET i = i + 1", "DELETE FROM work.plain WHERE id < 600"); err != nil {
			t.Fatal(err)
		}
		if err := r.db.purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		lost, fail := context.WithCancelCause(t.Context())
		defer fail(nil)
		stop := r.startRelay(fail, "*")
		<-lost.Done()
		stop()
		if err := context.Cause(lost); !strings.Contains(err.Error(), cdc.ErrPositionLost.Error()) {
			t.Errorf("the relay ended with %v, want %v", err, cdc.ErrPositionLost)
		}
		old := r.pipeline
		r.pipeline += "-new"
		t.Cleanup(func() {
			if err := history.DeleteLog(r.broker, old); err != nil {
				t.Error(err)
			}
		})
		r.with(t, "*", func(context.Context) {})
		r.ends(t)
	})
}
