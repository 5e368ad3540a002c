package eventstore

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRowRoundTrip(t *testing.T) {
	for _, want := range []RowChange{
		{Op: 'c', Schema: "shop", Table: "product", Key: []byte(`{"id":1}`), After: []byte(`{"id":1,"name":"a\"}{b"}`), Connector: "mysql",
			GTID: "3e11fa47-71ca-11e1-9e33-c80aa9429562:7", Definition: "0123456789abcdef", Time: time.UnixMicro(1_700_000_000_123_456), Place: Place{CSN: 7, Index: 4}},
		{Op: 'u', Schema: "sh\"op\\", Table: "prödukt", Key: []byte(`{"id":18446744073709551615}`), Before: []byte(`{"id":1,"x":null}`),
			After: []byte(`{"id":1,"x":{"before":1}}`), Connector: "mariadb", GTID: "0-1-9", Time: time.UnixMicro(0), Place: Place{CSN: 1 << 43, Index: 1 << 40}},
		{Op: 'u', Schema: "s", Table: "t", Key: []byte(`{"a":1}`), Before: []byte(`{"a":1}`), After: []byte(`{"c\"":2}`), Time: time.UnixMicro(7),
			Absent: &Absent{Before: []string{`c"`}, After: []string{"a", "ä"}}},
		{Op: 'c', Schema: "s", Table: "t", Key: []byte(`{"a":1}`), After: []byte(`{"a":1}`), Time: time.UnixMicro(7), Absent: &Absent{After: []string{"b"}}},
		{Op: 'd', Schema: "s", Table: "t", Key: []byte(`{"a":1}`), Before: []byte(`{"a":1}`), Time: time.UnixMicro(7), Absent: &Absent{Before: []string{"b"}}},
		{Op: 'd', Schema: "s", Table: "t", Key: []byte(`{"a":1,"b":"2"}`), Before: []byte(`{"a":1,"b":"2"}`), Time: time.UnixMicro(-1)},
	} {
		value := AppendRow(nil, &want)
		if !json.Valid(value) {
			t.Fatalf("not JSON: %s", value)
		}
		var got RowChange
		rec := Record{Place: want.Place, Key: want.Key, Value: value, Topic: RowTopic(want.Schema, want.Table)}
		if err := ParseRow(&rec, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("row (-want +got):\n%s", diff)
		}
	}
}

// TestRowAbsent: what an image lacks stands behind the images, of those that the record has.
func TestRowAbsent(t *testing.T) {
	r := RowChange{Op: 'u', Schema: "s", Table: "t", Before: []byte(`{"a":1}`), After: []byte(`{"b":2}`), Absent: &Absent{Before: []string{"b"}, After: []string{"a", "c"}}}
	for want, edit := range map[string]func(*RowChange){
		`{"before":{"a":1},"after":{"b":2},"absent":{"before":["b"],"after":["a","c"]},"source":`: func(*RowChange) {},
		`{"before":null,"after":{"b":2},"absent":{"after":["a","c"]},"source":`:                   func(r *RowChange) { r.Before = nil },
		`{"before":{"a":1},"after":null,"absent":{"before":["b"]},"source":`:                      func(r *RowChange) { r.After = nil },
		`{"before":null,"after":null,"source":`:                                                   func(r *RowChange) { r.Before, r.After = nil, nil },
		`{"before":{"a":1},"after":{"b":2},"source":`:                                             func(r *RowChange) { r.Absent = &Absent{} },
	} {
		change := r
		edit(&change)
		buf := make([]byte, 0, 1024)
		if allocs := testing.AllocsPerRun(10, func() { buf = AppendRow(buf[:0], &change) }); allocs != 0 {
			t.Errorf("%s: %v allocations", want, allocs)
		}
		if !strings.HasPrefix(string(buf), want) || !json.Valid(buf) {
			t.Errorf("got %s, want %s", buf, want)
		}
	}
}

func TestParseRowRefuses(t *testing.T) {
	var r RowChange
	if err := ParseRow(&Record{Key: []byte(`{"id":1}`)}, &r); !errors.Is(err, ErrTombstone) {
		t.Errorf("no value: got %v, want ErrTombstone", err)
	}
	for _, value := range []string{`x`, `{}`, `{"op":"c"}`, `{"op":"z","source":{"table":"t"}}`, `{"op":"c","source":{"table":5}}`, `{"op":"c","source":[]}`,
		`{"op":"c","absent":{"after":7},"source":{"table":"t"}}`} {
		if err := ParseRow(&Record{Value: []byte(value)}, &r); err == nil || errors.Is(err, ErrTombstone) {
			t.Errorf("%s: got %v, want an error", value, err)
		}
	}
}

func TestRowTopic(t *testing.T) {
	names := []string{"a", "a.b", "b", "a_b", "a-b", "-x", "-", "-x2E-", "a-x2E-b", "ä", " ", "x", "-xx", "A"}
	seen := map[string][2]string{}
	for _, schema := range names {
		for _, table := range names {
			topic := RowTopic(schema, table)
			if other, ok := seen[topic]; ok {
				t.Errorf("%q is the topic of %q and of %q", topic, other, [2]string{schema, table})
			}
			seen[topic] = [2]string{schema, table}
			if s, n, ok := ParseRowTopic(topic); !ok || s != schema || n != table {
				t.Errorf("ParseRowTopic(%q) = %q, %q, %v; want %q, %q", topic, s, n, ok, schema, table)
			}
		}
	}
	if got := RowTopic("shop", "order_items"); got != "shop.order_items" {
		t.Errorf("got %q", got)
	}
	for _, topic := range []string{"", "watermark", "a.", ".b", "a.-x", "a.-xzz-", "a.b.c"} {
		if _, _, ok := ParseRowTopic(topic); ok {
			t.Errorf("ParseRowTopic(%q) is ok", topic)
		}
	}
}

func FuzzParseRow(f *testing.F) {
	f.Add(AppendRow(nil, &RowChange{Op: 'u', Schema: "a", Table: "b", Before: []byte("{}"), After: []byte("{}")}))
	f.Fuzz(func(t *testing.T, value []byte) {
		var r RowChange
		if err := ParseRow(&Record{Value: value}, &r); err == nil && r.Table == "" {
			t.Fatal("parsed without a table")
		}
	})
}

func BenchmarkRow(b *testing.B) {
	r := RowChange{Op: 'u', Schema: "shop", Table: "product", Key: []byte(`{"id":1}`), Before: make([]byte, 150), After: make([]byte, 150),
		Connector: "mysql", GTID: "3e11fa47-71ca-11e1-9e33-c80aa9429562:7"}
	for i := range r.Before {
		r.Before[i], r.After[i] = '1', '2'
	}
	value := AppendRow(nil, &r)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			value = AppendRow(value[:0], &r)
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		rec := Record{Value: value, Key: r.Key}
		for b.Loop() {
			if err := ParseRow(&rec, &r); err != nil {
				b.Fatal(err)
			}
		}
	})
}
