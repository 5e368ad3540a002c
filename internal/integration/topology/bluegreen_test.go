package topology

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// warnings are the lines that a relay logged as such.
type warnings struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *warnings) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(line)
}

// taken returns them, and forgets them.
func (w *warnings) taken() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.text.Reset()
	return w.text.String()
}

// TestBlueGreen follows the paragraph of docs/operations.md step by step: a new server is restored from a backup that keeps the history, replicates,
// is added to the relay's addresses, and takes the writes over; the relay follows when the old one is shut down. A server that was restored
// without the history is refused.
func TestBlueGreen(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		ctx := t.Context()
		r, must := open(t, cfg, 1)
		said := &warnings{}
		r.logger = slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelWarn}))
		blue := r.nodes[0]
		restart := func(nodes ...*node) {
			t.Helper()
			must(r.finish(), r.use("shop.*", nodes...))
			said.taken()
			r.server = ""
			r.start(ctx)
			must(r.follows(ctx, blue))
		}
		must(r.use("shop.*", blue))
		r.start(ctx)
		must(r.burst(ctx), r.arrived(ctx))

		must(r.add(ctx, 2, cfg.Logf)) // 1
		green, stranger := r.nodes[1], r.nodes[2]
		must(r.restore(ctx, green, blue, true), r.restore(ctx, stranger, blue, false))
		must(r.burst(ctx), r.follow(ctx, green, blue), r.burst(ctx), r.caughtUp(ctx, green), r.arrived(ctx))

		must(green.exec(ctx, "SET GLOBAL binlog_row_metadata = 'MINIMAL'")) // 2
		restart(blue, green)
		if text := said.taken(); !strings.Contains(text, green.proxy.Addr()) || !strings.Contains(text, "binlog_row_metadata is MINIMAL, want FULL") {
			t.Errorf("no warning says what is wrong with the new server, only:\n%s", text)
		}
		must(green.exec(ctx, "SET GLOBAL binlog_row_metadata = 'FULL'"))
		restart(blue, green)
		if text := said.taken(); strings.Contains(text, "could not be followed") {
			t.Errorf("a server is warned of although both are right:\n%s", text)
		}
		must(r.burst(ctx))

		must(blue.exec(ctx, "SET GLOBAL read_only = 1"), r.caughtUp(ctx, green)) // 3
		before, err := r.transactions(ctx, blue)
		must(err)
		must(r.promote(ctx, green), r.burst(ctx), blue.Stop(ctx), r.follows(ctx, green), r.burst(ctx), r.arrived(ctx))
		must(r.finish(), r.use("shop.*", green)) // a relay that knows the new address only
		r.start(ctx)
		must(r.burst(ctx), r.arrived(ctx), r.finish())

		after, err := r.transactions(ctx, green) // which begins at the backup
		must(err)
		known := map[string]bool{}
		for i := range before {
			known[before[i].GTID] = true
		}
		for i := range after {
			if !known[after[i].GTID] {
				before = append(before, after[i])
			}
		}
		log, err := history.ReadLog(ctx, []string{r.Broker}, r.pipeline)
		must(err)
		result := compare(before, log, r.load.acked)
		t.Logf("%d changes, %d marks: %v", result.Changes, result.Marks, result)
		if !result.OK() {
			t.Errorf("got %+v", result)
		}

		r.catchUp = time.Second
		must(r.use("shop.*", stranger))
		err = r.relay.Run(ctx)
		if !errors.Is(err, cdc.ErrForeignServer) && (cfg.Kind == servers.MySQL || !errors.Is(err, cdc.ErrSourceBehind)) {
			t.Errorf("a server with the rows, and without the history: got %v, want ErrForeignServer", err)
		}
		t.Logf("a server with the rows, and without the history: %v", err)
	})
}
