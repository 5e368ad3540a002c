package binlog

import (
	"fmt"
	"slices"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestSplit: the ranges are the whole table, each row once, and of about one size, whatever the key and however its values lie.
func TestSplit(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "splits")
		d.exec(t, "CREATE TABLE n (n INT PRIMARY KEY)")
		d.exec(t, "INSERT INTO n WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n+1 FROM c WHERE n < 999) SELECT n FROM c")
		const rows = 20_000
		for i, tt := range []struct{ define, key, values string }{
			{"a INT", "a", "i"},
			{"a BIGINT", "a", "IF(i < 10, i - 9223372036854775807, i * 3)"},
			{"a BIGINT UNSIGNED", "a", "IF(i = 0, 18446744073709551615, i)"},
			{"a INT", "a DESC", "i"},
			{"a INT, b INT", "a, b", "i DIV 100, i % 100"},
			{"a CHAR(36) CHARACTER SET ascii", "a", "LOWER(INSERT(INSERT(HEX(RANDOM_BYTES(16)), 9, 0, '-'), 14, 0, '-'))"},
			{"a VARCHAR(64)", "a", "CONCAT('customer-', i)"},
			{"a VARCHAR(64) CHARACTER SET utf16", "a", "CONCAT('é', i)"},
			{"a BINARY(16)", "a", "RANDOM_BYTES(16)"},
			{"a DATETIME(3), b INT", "a, b", "TIMESTAMP '2024-01-01 00:00:00' + INTERVAL i * 30 SECOND, i"},
			{"a DECIMAL(20,4)", "a", "i / 7 * 10"},
			{"a DOUBLE, b INT", "a, b", "SQRT(i), i"},
		} {
			t.Run(tt.define, func(t *testing.T) {
				table := fmt.Sprintf("s%d", i)
				d.exec(t, fmt.Sprintf("CREATE TABLE %s (%s, note CHAR(100), PRIMARY KEY (%s))", table, tt.define, tt.key))
				d.exec(t, fmt.Sprintf("INSERT INTO %s SELECT %s, REPEAT('x', 100) FROM (SELECT x.n * 1000 + y.n AS i FROM n x, n y WHERE x.n < %d) all_rows", table, tt.values, rows/1000))
				d.exec(t, "ANALYZE TABLE "+table)
				r := chunkReader(t, d.source(t))
				want := selectAll(t, d.source(t), d.schema, table, "")
				slices.SortFunc(want, compareRows)
				for _, n := range []int{1, 2, 5} {
					ranges, err := r.Split(t.Context(), d.schema, table, n)
					if err != nil {
						t.Fatal(err)
					}
					if len(ranges) != n {
						t.Errorf("%d ranges, want %d", len(ranges), n)
					}
					var got [][2]string
					for _, part := range ranges {
						some, _ := walk(t, r, cdc.ChunkRequest{Schema: d.schema, Table: table, Range: part})
						got = append(got, some...)
						if len(some) < rows/n/4 || len(some) > rows*3/n {
							t.Errorf("of %d rows in %d ranges one has %d: %v", rows, n, len(some), part)
						}
					}
					slices.SortFunc(got, compareRows)
					if !slices.Equal(got, want) {
						t.Errorf("%d ranges have %d rows, want %d", n, len(got), len(want))
					}
				}
			})
		}
		t.Run("empty", func(t *testing.T) {
			d.exec(t, "CREATE TABLE nothing (id INT PRIMARY KEY)")
			ranges, err := chunkReader(t, d.source(t)).Split(t.Context(), d.schema, "nothing", 4)
			if err != nil || !slices.Equal(ranges, []cdc.ChunkRange{{}}) {
				t.Errorf("got %v, %v", ranges, err)
			}
		})
	})
}
