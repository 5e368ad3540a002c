package binlog

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/projector"
)

// sourceFrom is a source whose history begins at a position.
type sourceFrom struct {
	*binlog.Source
	from cdc.Position
}

func (s *sourceFrom) Oldest(context.Context) (cdc.Position, error) { return s.from, nil }

// TestPartialRowsInLog: from the server through a relay into a log, absent columns stay marked, and a projector says so instead of making a
// document of them.
func TestPartialRowsInLog(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "partiallog")
		d.exec(t, "CREATE TABLE p (id INT PRIMARY KEY, name VARCHAR(20), note TEXT)")
		d.exec(t, "INSERT INTO p VALUES (1, 'tea', 'green')")
		from := d.executed(t)
		_, exec := d.session(t)
		exec("SET SESSION binlog_row_image = 'MINIMAL'")
		exec("INSERT INTO p (id, note) VALUES (2, 'black')")
		exec("UPDATE p SET name = 'milk' WHERE id = 1")
		exec("UPDATE p SET id = 3 WHERE id = 1")
		exec("DELETE FROM p WHERE id = 3")

		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		log := eventstore.NewMemoryLog()
		done := make(chan error, 1)
		relay, err := cdc.NewRelay(cdc.Config{Source: &sourceFrom{d.source(t, func(c *binlog.Config) { c.PartialRows = true }), from}, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		go func() { done <- relay.Run(ctx) }()
		var got []string
		const rows = 5
		for cut, err := range log.Cuts(ctx, eventstore.CutOptions{Topics: []string{eventstore.RowTopic("partiallog", "p")}}) {
			if err != nil {
				t.Fatal(err)
			}
			for rec, err := range cut.Records() {
				if err != nil {
					t.Fatal(err)
				}
				if rec.Value != nil {
					envelope, _, _ := strings.Cut(string(rec.Value), `,"source":`)
					got = append(got, string(rec.Key)+" "+envelope)
				}
			}
			if len(got) >= rows {
				break
			}
		}
		want := []string{
			`{"id":2} {"before":null,"after":{"id":2,"note":"black"},"absent":{"after":["name"]}`,
			`{"id":1} {"before":{"id":1},"after":{"name":"milk"},"absent":{"before":["name","note"],"after":["id","note"]}`,
			`{"id":1} {"before":{"id":1},"after":null,"absent":{"before":["name","note"]}`,
			`{"id":3} {"before":null,"after":{"id":3},"absent":{"after":["name","note"]}`,
			`{"id":3} {"before":{"id":3},"after":null,"absent":{"before":["name","note"]}`,
		}
		if !slices.Equal(got, want) {
			t.Errorf("the log has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}

		type product struct{ ID int }
		runner, err := projector.NewRunner(projector.Config{Log: log, Sinks: []projector.Sink{projector.NewMemorySink()}, Projectors: []projector.Projector{
			projector.Fold[product]{Name: "products", Version: 1, Target: projector.MemoryTarget("products"), Sources: []projector.Source[product]{
				projector.OnRow("partiallog.p", func(*product) []string { return []string{"all"} }, func(*projector.Doc[product], *product, *product) error { return nil })}}}})
		if err != nil {
			t.Fatal(err)
		}
		err = runner.Run(ctx)
		row, ok := errors.AsType[*projector.RowError](err)
		if !ok || row.Table != "partiallog.p" || !strings.Contains(err.Error(), "lacks name") {
			t.Errorf("projector: got %v, want a *projector.RowError that names the column", err)
		}
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("relay: %v", err)
		}
	})
}

// TestPartialJSONInXA: diffs that wait in a prepared transaction are applied when it commits.
func TestPartialJSONInXA(t *testing.T) {
	d := open(t, servers.Find(t, servers.MySQL), "partialxa")
	d.exec(t, "CREATE TABLE j (id INT PRIMARY KEY, d JSON)")
	d.exec(t, `INSERT INTO j VALUES (1, '{"a": "long enough to be worth a diff", "b": [1, 2]}')`)
	from := d.executed(t)
	_, exec := d.session(t)
	for _, s := range []string{"SET SESSION binlog_row_value_options = 'PARTIAL_JSON'", "XA START 'partial'", "UPDATE j SET d = JSON_SET(d, '$.b[2]', 3)",
		"UPDATE j SET d = JSON_REMOVE(d, '$.b[0]')", "XA END 'partial'", "XA PREPARE 'partial'"} {
		exec(s)
	}
	d.exec(t, "INSERT INTO j VALUES (2, '{}')")
	exec("XA COMMIT 'partial'")
	var got []string
	for _, c := range changes(read(t, d.source(t), from, d.executed(t))) {
		got = append(got, string(c.After))
	}
	want := []string{`{"id":2,"d":{}}`, `{"id":1,"d":{"a":"long enough to be worth a diff","b":[1,2,3]}}`, `{"id":1,"d":{"a":"long enough to be worth a diff","b":[2,3]}}`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
