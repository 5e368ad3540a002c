package binlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// selected makes a column of a result, of a type with a width.
func selected(t testing.TB, dataType string, fraction uint16, collation uint64) *selectedColumn {
	t.Helper()
	d := &columnDefinition{name: "v", dataType: dataType, octets: 8, number: 16, scale: 2, fraction: fraction}
	m := d.columnMap(&mysql.Field{Charset: uint16(collation)})
	charsets := newCharsets(map[uint64]string{8: "latin1", 45: "utf8mb4", 54: "utf16"})
	c, err := newColumn(&m, charsets)
	if err != nil {
		t.Fatal(err)
	}
	s := &selectedColumn{column: c}
	if err := s.setRender(&m, d, charsets); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTextRenderers(t *testing.T) {
	for _, tt := range []struct {
		dataType  string
		fraction  uint16
		collation uint64
		text      string
		want      string // empty: refused
	}{
		{"int", 0, 63, "-12", "-12"},
		{"int", 0, 63, "00012", "12"},
		{"int", 0, 63, "0000", "0"},
		{"int", 0, 63, "", ""},
		{"int", 0, 63, "1x", ""},
		{"int", 0, 63, "-", ""},
		{"decimal", 0, 63, "-000.50", `"-0.50"`},
		{"decimal", 0, 63, "0012", `"12"`},
		{"decimal", 0, 63, ".5", ""},
		{"decimal", 0, 63, "1.", ""},
		{"float", 0, 63, "0.10000000149011612", "0.1"},
		{"double", 0, 63, "-0", "0"},
		{"double", 0, 63, "1e21", "1e+21"},
		{"double", 0, 63, "inf", ""},
		{"bit", 0, 63, "\x01\x00", "256"},
		{"bit", 0, 63, "1", ""},
		{"year", 0, 63, "0000", "0"},
		{"date", 0, 63, "2024-05-00", `"2024-05-00"`},
		{"date", 0, 63, "2024-5-1", ""},
		{"time", 0, 63, "-838:59:59", `"-838:59:59"`},
		{"time", 3, 63, "00:00:00.500", `"00:00:00.500"`},
		{"time", 3, 63, "00:00:00.5", ""},
		{"time", 0, 63, "839:00:00", ""},
		{"datetime", 0, 63, "2024-02-29 12:34:56", `"2024-02-29T12:34:56"`},
		{"datetime", 2, 63, "2024-00-00 00:00:00.12", `"2024-00-00 00:00:00.12"`},
		{"datetime", 0, 63, "2024-13-01 00:00:00", ""},
		{"datetime", 0, 63, "2024-02-29 12:34:56.1", ""},
		{"timestamp", 6, 63, "2024-02-29 12:34:56.000001", `"2024-02-29T12:34:56.000001Z"`},
		{"timestamp", 0, 63, "0000-00-00 00:00:00", `"0000-00-00 00:00:00"`},
		{"varchar", 0, 45, "é\"", `"é\""`},
		{"varchar", 0, 8, "\xe9", `"é"`},
		{"varchar", 0, 45, "\xff", ""},
		{"varchar", 0, 54, "\x00", ""},
		{"enum", 0, 54, "\x00a", `"a"`},
		{"set", 0, 63, "é,b", `"é,b"`},
		{"varbinary", 0, 63, "\x00\xff", `"AP8="`},
		{"inet4", 0, 45, "C0000201", `"wAACAQ=="`},
		{"inet4", 0, 45, "C00002", ""},
		{"json", 0, 63, `{"a": [1, 2.0], "b, c": "\" : ,"}`, `{"a":[1,2.0],"b, c":"\" : ,"}`},
		{"json", 0, 63, `"open`, ""},
		{"json", 0, 63, `"open\`, ""},
	} {
		s := selected(t, tt.dataType, tt.fraction, tt.collation)
		got, err := s.render(s.column, nil, []byte(tt.text))
		if tt.want == "" {
			if err == nil {
				t.Errorf("%s of %q: got %s, want an error", tt.dataType, tt.text, got)
			}
			continue
		}
		if err != nil || string(got) != tt.want {
			t.Errorf("%s of %q: got %s, %v, want %s", tt.dataType, tt.text, got, err, tt.want)
		}
	}
}

// FuzzSelectRow: whatever stands in the packet of a row, what comes out is an error or a JSON object of all columns.
func FuzzSelectRow(f *testing.F) {
	names := []string{"int", "decimal", "float", "double", "bit", "date", "time", "datetime", "timestamp", "varchar", "enum", "varbinary", "uuid", "inet4"}
	s := &selection{table: &table{}}
	for i, name := range names {
		sel := selected(f, name, uint16(i%7), []uint64{45, 8, 54, 63}[i%4])
		sel.column.prefix, _ = member(i == 0, fmt.Sprint("c", i))
		s.columns = append(s.columns, *sel)
	}
	s.table.key = []*column{s.columns[0].column}
	s.columns[0].column.key = 0
	f.Add([]byte("\x011\xfb\xfb\xfb\xfb\xfb\xfb\xfb\xfb\xfb\xfb\xfb\xfb\xfb"))
	f.Add([]byte("\x011\x041.25\x030.1\x030.1\x02\x00\x01\x0a2024-02-29\x1012:34:56.000000\x172024-02-29 12:34:56.000\x1a2024-02-29 12:34:56.000000\x01a\x01b\x01c\xfb\x08C0000201"))
	f.Fuzz(func(t *testing.T, packet []byte) {
		var buf buffer
		var key []span
		image, _, err := s.image(&buf, packet, &key)
		if err != nil {
			return
		}
		var row map[string]json.RawMessage
		if err := json.Unmarshal(buf.bytes(image), &row); err != nil || len(row) != len(names) {
			t.Fatalf("%q becomes %s: %v", packet, buf.bytes(image), err)
		}
		if len(buf.json) > 64+64*len(names)+8*len(packet) {
			t.Fatalf("%d bytes of %d", len(buf.json), len(packet))
		}
	})
}

// TestSelectRowShort: a packet that ends early, or late, is no row.
func TestSelectRowShort(t *testing.T) {
	s := &selection{table: &table{}, columns: []selectedColumn{*selected(t, "int", 0, 63)}}
	s.columns[0].column.prefix = []byte(`{"v":`)
	for _, packet := range []string{"", "\x02", "\x021", "\x0112", "\xfe\xff\xff\xff\xff\xff\xff\xff\xff1"} {
		if _, _, err := s.image(&buffer{}, []byte(packet), new([]span)); !errors.Is(err, errShortRow) {
			t.Errorf("%q: got %v, want errShortRow", packet, err)
		}
	}
}

// BenchmarkSelectRow is the rendering of a row of ten columns from its packet, without the server.
func BenchmarkSelectRow(b *testing.B) {
	s := &selection{table: &table{}}
	var packet []byte
	for i, c := range []struct{ kind, text string }{{"int", "123456789"}, {"bigint", "9876543210"}, {"varchar", "some text of ordinary length"}, {"varchar", "ü"},
		{"decimal", "12.50"}, {"datetime", "2024-02-29 12:34:56"}, {"timestamp", "2024-02-29 12:34:56"}, {"double", "0.1"}, {"date", "2024-02-29"}, {"enum", "small"}} {
		sel := selected(b, c.kind, 0, 45)
		sel.column.prefix, _ = member(i == 0, fmt.Sprint("column", i))
		s.columns = append(s.columns, *sel)
		packet = append(append(packet, byte(len(c.text))), c.text...)
	}
	var buf buffer
	var key []span
	b.SetBytes(int64(len(packet)))
	b.ReportAllocs()
	for b.Loop() {
		buf.json = buf.json[:0]
		if _, _, err := s.image(&buf, packet, &key); err != nil {
			b.Fatal(err)
		}
	}
}
