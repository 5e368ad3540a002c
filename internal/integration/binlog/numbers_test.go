package binlog

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// numbers are random numbers in the types whose texts have many shapes, a thousand and more.
func (v *verifier) numbers(t *testing.T, kind servers.Kind) {
	d := open(t, servers.Find(t, kind), "numbers")
	d.SetMaxOpenConns(1)
	d.exec(t, "SET SESSION sql_mode = ''")
	d.exec(t, "CREATE TABLE n (id INT PRIMARY KEY, d DOUBLE, f FLOAT, c DECIMAL(38,19), j JSON)")
	rnd := v.random("numbers", kind)
	from := d.executed(t)
	const batch = 500
	rows := batch * v.values
	for id := 0; id < rows; id += batch {
		var values []string
		for i := range batch {
			// A double of any bits, or one of few digits, or one near the places where the notation changes.
			f := math.Float64frombits(rnd.Uint64())
			switch rnd.IntN(3) {
			case 0:
				f, _ = strconv.ParseFloat(fmt.Sprintf("%d.%de%d", rnd.IntN(1000), rnd.IntN(1e6), rnd.IntN(40)-20), 64)
			case 1:
				f = rnd.NormFloat64() * math.Pow10(rnd.IntN(44)-22)
			}
			if math.IsNaN(f) || math.IsInf(f, 0) {
				f = 0
			}
			text := strconv.FormatFloat(f, 'g', -1, 64)
			values = append(values, fmt.Sprintf("(%d, %s, %s, %.19f, '%s')", id+i, text, text, math.Mod(f, 1e18), text))
		}
		d.exec(t, "INSERT INTO n VALUES "+strings.Join(values, ","))
	}
	want := d.rows(t, "SELECT d, CAST(f AS DOUBLE), CAST(c AS CHAR), CAST(j AS CHAR) FROM n ORDER BY id")
	selected := selectAll(t, d.source(t), "numbers", "n", "ORDER BY id")
	same64, same32 := sameNumber(64), sameNumber(32)
	for i, c := range changes(read(t, d.source(t), from, d.executed(t))) {
		var row struct{ D, F, C, J json.RawMessage }
		if err := json.Unmarshal(c.After, &row); err != nil {
			t.Fatal(err)
		}
		w := want[i]
		document := string(row.J)
		if kind == servers.MariaDB { // a text
			if err := json.Unmarshal(row.J, &document); err != nil {
				t.Fatal(err)
			}
		}
		ok := same64(string(row.D), w[0]) && same32(string(row.F), w[1]) && string(row.C) == quoted(w[2]) && document == w[3]
		v.same(t, ok, func() string { return fmt.Sprintf("row %d: got %s, want %q", i, c.After, w) })
		v.same(t, selected[i] == [2]string{string(c.Key), string(c.After)}, func() string {
			return fmt.Sprintf("row %d: the stream has %s, SELECT %s", i, c.After, selected[i][1])
		})
	}
}
