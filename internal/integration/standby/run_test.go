package standby

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// The tests' own program is also that of the relays' processes.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == RelayChild {
		os.Exit(Child())
	}
	os.Exit(m.Run())
}

// A leader that is killed, stopped or cut off is replaced within 5 s, at the default settings, and one that wakes up spoils nothing.
func TestTakeover(t *testing.T) {
	for _, kind := range []servers.Kind{servers.MySQL, servers.MariaDB} {
		t.Run(string(kind), func(t *testing.T) {
			t.Attr("server", string(kind)) // for the matrix that `make test` ends with
			t.Attr("server", string(servers.Kafka))
			out := &bytes.Buffer{}
			report, err := Run(t.Context(), Config{Kind: kind, Kills: 1, Stops: 1, Cuts: 1, Out: out, Log: t.Output()})
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s\n%s", report, out)
			for _, takeover := range report.All() { // `make verify-takeover` makes no allowance for the machine
				if takeover.Took-takeover.Stalled > 5*time.Second {
					t.Errorf("nobody appended for %v, in which the machine stood still for %v", takeover.Took, takeover.Stalled)
				}
			}
		})
	}
}
