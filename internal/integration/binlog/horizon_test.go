package binlog

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestHorizon: how long the server keeps the file of a position, as the server's own files and settings say it.
func TestHorizon(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, private(t, kind).Address(), "horizon")
		src := d.source(t)
		d.exec(t, "SET GLOBAL binlog_expire_logs_seconds = 7200")
		d.exec(t, "CREATE TABLE a (id INT PRIMARY KEY)")
		ask := func(from cdc.Position) cdc.Horizon {
			t.Helper()
			h, err := src.Horizon(t.Context(), cdc.Position{Flavor: from.Flavor, GTIDs: from.GTIDs}) // as if it were another server's
			if err != nil {
				t.Fatal(err)
			}
			return h
		}
		var at []cdc.Position
		for i := range 6 {
			d.exec(t, "INSERT INTO a VALUES (?)", i)
			at = append(at, d.executed(t))
			d.exec(t, "FLUSH BINARY LOGS")
		}
		logs := d.logs(t)
		for i, from := range at[:5] { // what comes behind at[i] is in the file of at[i+1]
			h := ask(from)
			if h.Oldest != logs[0] || h.File != at[i+1].File || h.Expiry != 2*time.Hour {
				t.Errorf("behind %v: got %+v, want file %s", from, h, at[i+1].File)
			}
			age := time.Since(h.Closed)
			if left := 2*time.Hour - age; age < -time.Second || age > time.Minute || (h.Left-left).Abs() > 2*time.Second {
				t.Errorf("behind %v: closed %v ago, left %v", from, age, h.Left)
			}
		}
		if h := ask(at[5]); h.File != logs[len(logs)-1] || !h.Closed.IsZero() || h.Left != 2*time.Hour {
			t.Errorf("at the end: got %+v, want file %s", h, logs[len(logs)-1])
		}
		d.exec(t, "SET GLOBAL binlog_expire_logs_seconds = 0")
		if h := ask(at[0]); h.Expires() || h.File != at[1].File {
			t.Errorf("without a limit: got %+v", h)
		}
		d.killDumps(t)
		d.exec(t, fmt.Sprintf("PURGE BINARY LOGS TO '%s'", at[3].File))
		if h := ask(at[3]); h.Oldest != at[3].File || h.File != at[4].File {
			t.Errorf("after a purge: got %+v", h)
		}
		if _, err := src.Horizon(t.Context(), at[1]); !errors.Is(err, cdc.ErrPositionLost) {
			t.Errorf("behind %v: got %v, want ErrPositionLost", at[1], err)
		}
		if kind == servers.MySQL {
			d.exec(t, "SET GLOBAL binlog_expire_logs_seconds = 7200")
			d.exec(t, "SET GLOBAL binlog_expire_logs_auto_purge = OFF")
			if h := ask(at[4]); h.Expires() {
				t.Errorf("without purging by itself: got %+v", h)
			}
		}
	})
}
