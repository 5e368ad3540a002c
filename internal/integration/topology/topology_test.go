package topology

import (
	"testing"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// onEach runs a test on both databases, with the shared broker.
func onEach(t *testing.T, run func(t *testing.T, cfg Config)) {
	broker := servers.Find(t, servers.Kafka).HostPort()
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			t.Attr("server", string(kind))
			run(t, Config{Kind: kind, Seed: 1, Burst: 10, Broker: broker, Logf: t.Logf})
		})
	}
}

// TestTopology: a primary is killed, replicas are promoted, purged and switched over, and the log is what the survivor and the clients say.
func TestTopology(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		result, err := run(t.Context(), cfg, short)
		if err != nil {
			t.Fatal(err)
		}
		for _, example := range result.Examples {
			t.Error(example)
		}
		t.Logf("%d changes, %d marks: %v", result.Changes, result.Marks, result)
		if !result.OK() {
			t.Errorf("got %+v", result)
		}
	})
}

// TestLoss: commits that a failover lost and the log holds make the relay halt.
func TestLoss(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		if err := RunLoss(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	})
}

// TestRenewedCertificate: a server's certificate expires and is renewed while the relay runs.
func TestRenewedCertificate(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config) {
		if err := RunTLS(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	})
}
