package documents

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// The tests' own program is also that of the projector's process.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == ProjectorChild {
		os.Exit(Child())
	}
	os.Exit(m.Run())
}

// attrs are for the matrix that `make test` ends with.
func attrs(t *testing.T, kind servers.Kind) {
	for _, k := range []servers.Kind{kind, servers.Kafka, servers.Elasticsearch, servers.MongoDB} {
		t.Attr("server", string(k))
	}
}

// A small run of what `make verify-documents` does: the projector is killed, stopped, doubled and robbed of its state, and nothing is wrong.
func TestDocuments(t *testing.T) {
	for _, kind := range []servers.Kind{servers.MySQL, servers.MariaDB} {
		t.Run(string(kind), func(t *testing.T) {
			attrs(t, kind)
			out := &bytes.Buffer{}
			report, err := Run(t.Context(), Config{Kind: kind, Transactions: 500, Scale: 120, Cuts: 2, Kills: 1, Pauses: 1, Losses: 2, Rivals: 1, Out: out, Log: t.Output()})
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%v\n%s", report, out)
			if !strings.HasSuffix(report.String(), " torn 0 stale 0") {
				t.Errorf("report is %s", report)
			}
		})
	}
}

// What is done wrong behind the projector's back is found, and ends the run with an error.
func TestRunFindsWhatIsWrong(t *testing.T) {
	attrs(t, servers.MariaDB)
	out := &bytes.Buffer{}
	report, err := Run(t.Context(), Config{Kind: servers.MariaDB, Transactions: 600, Scale: 120, Cuts: 1, Break: strings.Join(Breakages, ","), Out: out, Log: t.Output()})
	if report == nil || err == nil || !strings.Contains(err.Error(), "the documents are not what the rows say") {
		t.Fatalf("error is %v\n%s", err, out)
	}
	t.Logf("%v\n%s", report, out)
	for what, n := range map[string]int{"missing": report.Missing, "extra": report.Extra, "torn": report.Torn, "stale": report.Stale - report.Missing - report.Extra} {
		if n == 0 {
			t.Errorf("nothing %s was found", what)
		}
	}
	if report.Wrong > 0 {
		t.Errorf("%d documents of the recomputation are not those of the SQL", report.Wrong)
	}
}
