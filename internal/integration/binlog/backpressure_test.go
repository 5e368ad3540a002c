package binlog

import (
	"testing"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// A reader that does not take anything for longer than the server's own patience with its clients loses nothing, not even its connection: the
// server waits. That is what a relay is whose log is slow.
func TestSlowReader(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		server := private(t, kind, "--net-write-timeout=1")
		db := open(t, server.Address(), "slow")
		db.exec(t, "CREATE TABLE slow.t (id INT PRIMARY KEY, v LONGTEXT)")
		from := db.executed(t)
		stream, err := db.source(t).Open(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		const rows = 40
		for id := range rows { // more than sockets and the inbox hold
			db.exec(t, "INSERT INTO slow.t VALUES (?, REPEAT('tea ', 262144))", id)
		}
		db.value(t, "SELECT SLEEP(3)") // the server's clock: three times its patience
		txs, err := readStream(t.Context(), stream, from, db.executed(t))
		if err != nil || len(txs) != rows {
			t.Errorf("%d transactions, %v, want %d", len(txs), err, rows)
		}
	})
}
