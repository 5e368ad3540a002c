package binlog

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkRows decodes a transaction of 1,000 rows: with full images, as most are, and with minimal ones.
func BenchmarkRows(b *testing.B) {
	for _, name := range []string{"write", "update", "update minimal"} {
		b.Run(name, func(b *testing.B) {
			verb, _, minimal := strings.Cut(name, " ")
			made := &builder{}
			a := &assembler{flavor: MySQL, maxSlice: 4 << 20, charsets: newCharsets(map[uint64]string{8: "latin1", 45: "utf8mb4"}), partialRows: minimal}
			var rows strings.Builder
			if minimal {
				rows.WriteString(" columns=0/3,5")
			}
			for i := range 1000 {
				if minimal {
					fmt.Fprintf(&rows, " %d %d,some_other_text", i, i*7)
					continue
				}
				fmt.Fprintf(&rows, " %d,item_number_%d,café,%d,%d,some_more_text", i, i, i*7, i%5)
				if verb == "update" {
					fmt.Fprintf(&rows, " %d,item_number_%d,tea,%d,NULL,some_other_text", i, i, i*7)
				}
			}
			var events [][]byte
			for _, line := range []string{"format", "gtid 1", "query BEGIN", "map 7 shop.item id:int name:text z:latin1 n:int m:uint more:text key=id", verb + " 7 end" + rows.String(), "xid"} {
				raw, err := made.build(line, nil)
				if err != nil {
					b.Fatal(err)
				}
				events = append(events, raw)
			}
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for _, raw := range events {
					if err := a.push(raw); err != nil {
						b.Fatal(err)
					}
					for {
						slice, err := a.pull()
						if err != nil {
							b.Fatal(err)
						}
						if slice == nil {
							break
						}
						n += len(slice.Changes)
					}
				}
				if n != 1000 {
					b.Fatalf("%d rows", n)
				}
			}
		})
	}
}
