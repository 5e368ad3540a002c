package binlog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/millrace-go/millrace/cdc"
)

// walkAlong makes a walk of columns, each a type and perhaps DESC.
func walkAlong(t testing.TB, columns ...string) *walk {
	t.Helper()
	w := &walk{id: "id"}
	for i, c := range columns {
		kind, direction, _ := strings.Cut(c, " ")
		p, err := newWalkPart(&columnDefinition{name: string(rune('a' + i)), dataType: kind}, indexPart{column: i, descending: direction == "DESC"})
		if err != nil {
			t.Fatal(err)
		}
		p.charset = "latin1"
		w.parts = append(w.parts, p)
	}
	return w
}

func TestWalkConditions(t *testing.T) {
	for _, tt := range []struct {
		columns      []string
		after, until string
		want         string
	}{
		{[]string{"int"}, "", "", ""},
		{[]string{"int"}, "id:-7", "", "(`a` > -7)"},
		{[]string{"int"}, "", "id:7", "(`a` <= 7)"},
		{[]string{"int DESC"}, "id:9", "id:7", "(`a` < 9) AND (`a` >= 7)"},
		{[]string{"varchar", "decimal DESC", "date"}, "id:x,1.50,2024-00-00", "",
			"(`a` > _latin1 x'' OR (`a` = _latin1 x'' AND (`b` < 1.50 OR (`b` = 1.50 AND (`c` > '2024-00-00')))))"},
		{[]string{"int", "varchar"}, "", "id:1,x41ff", "(`a` < 1 OR (`a` = 1 AND (`b` <= _latin1 x'41ff')))"},
		{[]string{"int", "varchar"}, "id:1", "id:2", "(`a` > 1) AND (`a` <= 2)"}, // of the first column only
		{[]string{"double", "float"}, "id:0.1,-1e-45", "", "(`a` > 1e-01 OR (`a` = 1e-01 AND (`b` > -1e-45)))"},
		{[]string{"enum", "bit"}, "id:3,255", "", "(`a` > 3 OR (`a` = 3 AND (`b` > 255)))"},
		{[]string{"time", "uuid"}, "id:-838:59:59.5,00ff", "", "(`a` > '-838:59:59.5' OR (`a` = '-838:59:59.5' AND (`b` > x'00ff')))"},
	} {
		got, err := walkAlong(t, tt.columns...).condition(cdc.ChunkRange{After: tt.after, Until: tt.until})
		if err != nil || got != tt.want {
			t.Errorf("%v behind %q, until %q: got %s, %v, want %s", tt.columns, tt.after, tt.until, got, err, tt.want)
		}
	}
}

// TestWalkBounds: nothing but values of the key's types comes out of a bound into a statement.
func TestWalkBounds(t *testing.T) {
	for _, tt := range []struct {
		kind, bound string
		stale       bool
	}{
		{"int", "7", true}, {"int", "other:7", true}, {"int", "id:", false}, {"int", "id:1 OR 1", false}, {"int", "id:1,2", false}, {"int", "id:--1", false}, {"int", "id:0x1", false},
		{"decimal", "id:1.", false}, {"decimal", "id:.5", false}, {"double", "id:Inf", false}, {"double", "id:NaN", false}, {"double", "id:1e999", false},
		{"date", "id:", false}, {"date", "id:'", false}, {"date", "id:2024-01-01 OR", false}, {"varchar", "id:41", false}, {"varchar", "id:x4", false}, {"varchar", "id:x'--", false},
		{"uuid", "id:0", false}, {"enum", "id:a", false},
	} {
		got, err := walkAlong(t, tt.kind).condition(cdc.ChunkRange{Until: tt.bound})
		if err == nil || errors.Is(err, cdc.ErrChunkBounds) != tt.stale {
			t.Errorf("%s %q: got %s, %v", tt.kind, tt.bound, got, err)
		}
	}
}

// FuzzWalkBound: a bound that is made of any values is read as it was made, or refused; none leaves its literal.
func FuzzWalkBound(f *testing.F) {
	f.Add("17", "text", "2024-01-01")
	f.Add("-1", "';\\--", "0000-00-00")
	f.Fuzz(func(t *testing.T, number, text, date string) {
		if len(number)+len(text)+len(date) > 240 {
			return
		}
		w := walkAlong(t, "int", "varchar", "date")
		var values []byte
		for _, v := range []string{number, text, date} {
			values = append(append(values, byte(len(v))), v...)
		}
		bound, err := w.bound(values)
		if err != nil {
			t.Fatal(err)
		}
		list, err := w.literals(string(bound))
		if err != nil {
			return // a number or a date that is none
		}
		if want := []string{number, fmt.Sprintf("_latin1 x'%x'", text), "'" + date + "'"}; !slices.Equal(list, want) {
			t.Fatalf("%q: got %q, want %q", bound, list, want)
		}
		if strings.Trim(number, "-.0123456789") != "" || strings.ContainsAny(date, `'\`) {
			t.Fatalf("%q in a statement", list)
		}
	})
}

func TestWithoutCounter(t *testing.T) {
	const options = "CREATE TABLE `a` (\n  `id` int COMMENT 'x\n) AUTO_INCREMENT=1'\n) ENGINE=InnoDB%s DEFAULT CHARSET=utf8mb4"
	want := fmt.Sprintf(options, "")
	for _, counter := range []string{"", " AUTO_INCREMENT=7", " AUTO_INCREMENT=18446744073709551615"} {
		if got := withoutCounter(fmt.Sprintf(options, counter)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := withoutCounter("CREATE TABLE a"); got != "CREATE TABLE a" {
		t.Errorf("got %q", got)
	}
}

// TestScales: what is made up for a split lies between the ends, in their order.
func TestScales(t *testing.T) {
	for _, tt := range []struct {
		kind, first, last string
		want              string // the middle
	}{
		{"int", "-10", "20", "5"},
		{"bigint", "-9223372036854775808", "9223372036854775807", "-1"},
		{"bigint", "0", "18446744073709551615", "9223372036854775807"},
		{"int", "7", "7", "7"},
		{"date", "2024-01-01", "2024-01-03", "2024-01-02"},
		{"datetime", "2024-01-01 00:00:00.5", "2024-01-01 00:00:10.5", "2024-01-01 00:00:05"},
		{"date", "0000-00-00", "2024-01-03", ""},
		{"decimal", "1", "2", ""},
		{"varchar", "x6161", "x6162", "x61" + fmt.Sprintf("%x", "hzzzzzzz")},
		{"varchar", "xff61", "xff62", ""},
	} {
		w := walkAlong(t, tt.kind)
		s := w.parts[0].scale(tt.first, tt.last)
		if s == nil {
			if tt.want != "" {
				t.Errorf("%s %s to %s: no scale", tt.kind, tt.first, tt.last)
			}
			continue
		}
		if got := s.value(s.low + (s.high-s.low)/2); got != tt.want {
			t.Errorf("%s %s to %s: got %s, want %s", tt.kind, tt.first, tt.last, got, tt.want)
		}
	}
	bytes := textScale("x00", "xffffffffffffffffff", "binary")
	if got := bytes.value(bytes.high / 2); got != "x7fffffffffffffff" {
		t.Errorf("bytes: got %s", got)
	}
}

// TestChunkErrors: what the server says of a table that changed, and of what passes.
func TestChunkErrors(t *testing.T) {
	for code, want := range map[uint16]error{codeTableChanged: cdc.ErrChunkStale, codeUnknownColumn: cdc.ErrChunkStale, codeNoTable: cdc.ErrNoTable, codeNoSchema: cdc.ErrNoTable,
		codeLockWait: cdc.ErrUnavailable, codeDeadlock: cdc.ErrUnavailable, codeStatementTime: cdc.ErrUnavailable, codeExecutionTime: cdc.ErrUnavailable, codeIdle: cdc.ErrUnavailable,
		codeSelectDenied: nil} {
		err := chunkError(serverError("query", &mysql.MyError{Code: code}))
		for _, is := range []error{cdc.ErrChunkStale, cdc.ErrNoTable, cdc.ErrUnavailable} {
			if errors.Is(err, is) != errors.Is(want, is) {
				t.Errorf("code %d: got %v, want %v", code, err, want)
			}
		}
	}
}
