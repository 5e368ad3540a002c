package projector

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/cdc/binlog"
	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/projector"
)

// TestChoice: everything that can be chosen at once, from the table to the document. Orders stand in two tables without primary key, whose
// rows go to one topic under chosen keys, but for those of test customers; names are truncated, and what is secret is in no record.
func TestChoice(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		s.exec("CREATE TABLE order_1 (no INT NOT NULL, region INT NOT NULL, customer VARCHAR(20), card VARCHAR(20), cents INT, UNIQUE (no))")
		s.exec("CREATE TABLE order_2 LIKE order_1")
		s.exec("CREATE TABLE order_note (id INT PRIMARY KEY, customer VARCHAR(20))") // in the same topic, and nobody's business
		secret := []byte("0123456789abcdef")
		source, err := binlog.New(binlog.Config{Addr: s.addr.HostPort(), User: servers.CDCUser, Password: servers.CDCPassword,
			Filter: cdc.Filter{Include: []string{s.schema + ".*"}},
			Columns: cdc.Columns{Exclude: []string{"*.*.region"}, Masks: []cdc.Mask{cdc.Hash(secret, "*.order_1.card"), cdc.Redact("", "*.*.card"),
				cdc.Truncate(6, "*.order_?.customer")}},
			Keys: cdc.Keys{{Tables: s.schema + ".order_?", Columns: []string{"no"}}}})
		if err != nil {
			t.Fatal(err)
		}
		routes := eventstore.Routes{{Tables: s.schema + ".order_*", Topic: "{schema}.orders"}}
		log := s.newLog(source)
		relay, err := cdc.NewRelay(cdc.Config{Source: source, Log: log, Heartbeat: 500 * time.Millisecond, Routes: routes,
			RowFilters: []cdc.RowFilter{{Tables: "*.order_?", Name: "no tests", Keep: func(_ *cdc.Table, row cdc.Row) bool {
				customer, ok := row.Value("customer")
				return ok && string(customer) != `"test c"`
			}}}})
		if err != nil {
			t.Fatal(err)
		}
		stopRelay := s.background(relay.Run)

		type order struct {
			No       int
			Customer string
			Card     string
			Cents    int
		}
		type total struct {
			Orders, Cents, Hashed int
		}
		count := func(hashed int) func(d *projector.Doc[total], old, now *order) error {
			return func(d *projector.Doc[total], old, now *order) error {
				if old != nil {
					d.Data.Orders, d.Data.Cents, d.Data.Hashed = d.Data.Orders-1, d.Data.Cents-old.Cents, d.Data.Hashed-hashed
				}
				if now != nil {
					d.Data.Orders, d.Data.Cents, d.Data.Hashed = d.Data.Orders+1, d.Data.Cents+now.Cents, d.Data.Hashed+hashed
					if (len(now.Card) == 64) != (hashed == 1) {
						return fmt.Errorf("the card number has %d characters", len(now.Card))
					}
				}
				if d.Data.Orders == 0 {
					d.Delete()
				}
				return nil
			}
		}
		customer := func(o *order) []string { return []string{o.Customer} }
		fold := projector.Fold[total]{Name: "totals", Version: 1, Target: projector.MemoryTarget("totals"), Sources: []projector.Source[total]{
			projector.OnRow(s.schema+".order_1", customer, count(1)), projector.OnRow(s.schema+".order_2", customer, count(0))}}
		sink := projector.NewMemorySink()
		runner, err := projector.NewRunner(projector.Config{Log: log, Sinks: []projector.Sink{sink}, Projectors: []projector.Projector{fold}, Routes: routes})
		if err != nil {
			t.Fatal(err)
		}
		stopRunner := s.background(runner.Run)

		rnd := rand.New(rand.NewPCG(1, 1))
		names := []string{"annabelle", "annabe", "bob", "test customer", "日本語テキスト"}
		for range 400 {
			table, no, name := 1+rnd.IntN(2), rnd.IntN(30), names[rnd.IntN(len(names))]
			switch rnd.IntN(6) {
			case 0:
				s.exec(fmt.Sprintf("DELETE FROM order_%d WHERE no = ?", table), no)
			case 1:
				s.exec(fmt.Sprintf("UPDATE IGNORE order_%d SET no = ? WHERE no = ?", table), rnd.IntN(30), no)
			case 2:
				s.exec(fmt.Sprintf("UPDATE order_%d SET customer = ?, cents = ? WHERE no = ?", table), name, rnd.IntN(100), no)
			case 3:
				s.exec("REPLACE INTO order_note VALUES (?, ?)", no, name)
			default:
				s.exec(fmt.Sprintf("REPLACE INTO order_%d VALUES (?, 1, ?, '4111', ?)", table), no, name, rnd.IntN(100))
			}
		}
		if err := runner.WaitForGTID(t.Context(), "totals", s.executed()); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		rows, err := s.db.QueryContext(t.Context(), "SELECT LEFT(customer, 6), COUNT(*), SUM(cents), SUM(hashed) FROM (SELECT customer, cents, 1 AS hashed FROM order_1 "+
			"UNION ALL SELECT customer, cents, 0 FROM order_2) o WHERE customer <> 'test customer' GROUP BY 1")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			var n, cents, hashed int
			if err := rows.Scan(&name, &n, &cents, &hashed); err != nil {
				t.Fatal(err)
			}
			want[name] = `{"Orders":` + strconv.Itoa(n) + `,"Cents":` + strconv.Itoa(cents) + `,"Hashed":` + strconv.Itoa(hashed) + `}`
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for d := range sink.Each("totals") {
			got[d.ID] = string(d.Body)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || len(want) < 3 {
			t.Errorf("documents %v, want %v", got, want)
		}
		if err := stopRunner(); err != nil {
			t.Error(err)
		}
		if err := stopRelay(); err != nil {
			t.Error(err)
		}
	})
}
