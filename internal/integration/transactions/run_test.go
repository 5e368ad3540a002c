package transactions

import (
	"bytes"
	"os"
	"strings"
	"testing"

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

// A small run of what `make verify-transactions` does: the relay is killed, the server restarted both ways, and nothing is wrong.
func TestTransactions(t *testing.T) {
	for _, kind := range []servers.Kind{servers.MySQL, servers.MariaDB} {
		t.Run(string(kind), func(t *testing.T) {
			t.Attr("server", string(kind)) // for the matrix that `make test` ends with
			t.Attr("server", string(servers.Kafka))
			out := &bytes.Buffer{}
			report, err := Run(t.Context(), Config{Kind: kind, Transactions: 800, Kills: 4, Restarts: 2, Out: out, Log: t.Output()})
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Log(report)
			if !strings.HasSuffix(report.String(), " lost 0 duplicated 0 reordered 0 phantom 0") {
				t.Errorf("report is %s", report)
			}
		})
	}
}

// What the relay does wrong is found, and ends the run with an error.
func TestRunFindsWhatIsWrong(t *testing.T) {
	for what, found := range map[string]func(*Report) int{
		"lose":    func(r *Report) int { return r.Lost },
		"reorder": func(r *Report) int { return r.Reordered },
		"phantom": func(r *Report) int { return r.Phantom },
	} {
		t.Run(what, func(t *testing.T) {
			t.Attr("server", string(servers.MariaDB))
			out := &bytes.Buffer{}
			report, err := Run(t.Context(), Config{Kind: servers.MariaDB, Transactions: 300, Break: what, Out: out, Log: t.Output()})
			if report == nil || err == nil || !strings.Contains(err.Error(), "the log is not what was committed") || found(report) == 0 {
				t.Errorf("error is %v, report %v\n%s", err, report, out)
			}
		})
	}
}

// A run in which too little happened shows nothing, and says so.
func TestTooLittle(t *testing.T) {
	cfg := Config{Kind: servers.MySQL, Transactions: 1000, Kills: killsForTails, Restarts: 2}
	enough := Report{Verdict: history.Verdict{Transactions: 700, Changes: 5000}, XACommits: 100, XARollbacks: 50, OnePhase: 30, OverServer: 5, OverRelay: 20,
		Plain: 100, DDL: 30, Kills: killsForTails, Tails: 1, Restarts: 2}
	if err := enough.problems(&cfg); err != nil {
		t.Fatalf("enough happened: %v", err)
	}
	for what, spoil := range map[string]func(r *Report){
		"XA transactions over a restart of the server": func(r *Report) { r.OverServer = 0 },
		"XA transactions over a restart of the relay":  func(r *Report) { r.OverRelay = 0 },
		"tails finished": func(r *Report) { r.Tails = 0 },
		"kills":          func(r *Report) { r.Kills = 3 },
		"transactions":   func(r *Report) { r.Transactions = 10 },
	} {
		r := enough
		spoil(&r)
		if err := r.problems(&cfg); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("too few %s: error is %v", what, err)
		}
	}
	if _, err := Run(t.Context(), Config{Kind: servers.Kafka, Kills: -1, Break: "everything"}); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("settings that are wrong: error is %v, want three problems", err)
	}
}
