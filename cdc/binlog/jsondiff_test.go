package binlog

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/replication"
)

// diffSeeds are lists of diffs in the notation of the scripts.
var diffSeeds = []string{"", "@replace:$.a:1", `@insert:$.b[1]:[1;{"x":"y"}]|remove:$.b[0]|replace:$.b[last-1]."k k"[2]:null`, `@replace:$[0][0]:2|remove:$."q\"\u0041"`}

// FuzzJSONDiffs: whatever the document and the diffs, the result is JSON or an error, and takes memory in proportion.
func FuzzJSONDiffs(f *testing.F) {
	for _, doc := range []string{`{"a":5,"b":[1,[2,3]],"b b":{"c":"text"}}`, `[[1],{"a":{}}]`, "7"} {
		before, err := jsonBinary(doc)
		if err != nil {
			f.Fatal(err)
		}
		for _, seed := range diffSeeds {
			var diffs []byte
			if seed != "" {
				if diffs, _, err = documentOrDiffs(seed); err != nil {
					f.Fatal(err)
				}
			}
			f.Add(before, diffs)
		}
	}
	f.Fuzz(func(t *testing.T, before, diffs []byte) {
		src := append(binary.LittleEndian.AppendUint32(nil, uint32(len(diffs))), diffs...)
		var out []byte
		var n int
		var err error
		doc := document{known: true, value: append([]byte{}, before...)}
		bounded(t, 1<<20+1000*uint64(len(before)+len(diffs)), func() { out, n, err = renderJSONDiffs(nil, src, doc) })
		if err != nil {
			return
		}
		if !json.Valid(out) || n != len(src) {
			t.Fatalf("%q: not JSON, or %d of %d bytes", out, n, len(src))
		}
		if len(out) > 100+200*(len(before)+len(diffs)) {
			t.Fatalf("%d bytes became %d", len(before)+len(diffs), len(out))
		}
		if len(diffs) == 0 {
			whole, _, err := renderJSON(&column{width: 4}, nil, append(binary.LittleEndian.AppendUint32(nil, uint32(len(before))), before...))
			if err != nil || string(whole) != string(out) {
				t.Fatalf("without diffs: got %q, want %q (%v)", out, whole, err)
			}
		}
	})
}

// FuzzPartialRow decodes rows that lack columns and hold diffs, behind a table map; both are made of the fuzzer's bytes.
func FuzzPartialRow(f *testing.F) {
	b := &builder{}
	definition, err := b.build("map 7 shop.item id:int d:json e:json name:text key=id", nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, line := range []string{`diffs 7 1,{"a":1},{"b":2},x 2,@replace:$.a:1,{},NULL`, `diffs 7 columns=0,2/1,2 1,{"b":2} {},@remove:$.b`, "update 7 columns=0/0,1 1 2,[]", "update 7 columns=0/3 1 x"} {
		row, err := b.build(line, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(strings.HasPrefix(line, "diffs"), definition[headerSize:], row[headerSize:])
	}
	f.Fuzz(func(t *testing.T, diffs bool, definition, row []byte) {
		m, err := parseTableMap(definition, false)
		if err != nil {
			return
		}
		prepared, err := newTable(m, newCharsets(map[uint64]string{8: "latin1", 45: "utf8mb4"}), choice{})
		if err != nil {
			return
		}
		kind := replication.UPDATE_ROWS_EVENTv2
		if diffs {
			kind = replication.PARTIAL_UPDATE_ROWS_EVENT
		}
		r, _, err := parseRows(event{kind: kind, body: row}, func(uint64) *table { return prepared })
		for n := uint64(0); err == nil && len(r.rest) > 0 && n < 100; n++ {
			var buf buffer
			rest := len(r.rest)
			if err = r.next(&buf, n); err != nil {
				return
			}
			if len(r.rest) >= rest {
				t.Fatal("a row without bytes")
			}
			for _, c := range buf.export(1) {
				if !json.Valid(c.Before) || !json.Valid(c.After) || !json.Valid(c.Key) {
					t.Fatalf("not JSON: %q %q %q", c.Key, c.Before, c.After)
				}
				if lacks := r.partial.lacks(); lacks != (c.Absent != nil) {
					t.Fatalf("columns are absent: %v, but the change says %+v", lacks, c.Absent)
				}
			}
		}
	})
}

// TestJSONDiffMemory: a change takes memory for itself, not for the document around it; and containers that share bytes, which no server
// writes, cannot make a small event take much.
func TestJSONDiffMemory(t *testing.T) {
	const entries = 20_000 // in each array; all of them begin at the same place
	body := binary.LittleEndian.AppendUint16(nil, entries)
	body = binary.LittleEndian.AppendUint16(body, 4+3*entries)
	for range entries {
		body = append(body, jsonSmallArray, 0, 0)
	}
	path := "$" + strings.Repeat("[7]", 200)
	var deep []byte
	for range 100 {
		deep = append(deep, jsonRemove, 252, byte(len(path)), byte(len(path)>>8))
		deep = append(deep, path...)
	}
	const many = 2_000_000
	large := binary.LittleEndian.AppendUint32([]byte{jsonLargeArray}, many)
	large = binary.LittleEndian.AppendUint32(large, 8+5*many)
	for range many {
		large = append(large, jsonInt16, 7, 0, 0, 0)
	}
	few, _, err := documentOrDiffs("@replace:$[1000000]:8|insert:$[5]:9|remove:$[last]")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name       string
		doc, diffs []byte
		limit      int
		want       error
	}{
		{"shared bytes", append([]byte{jsonSmallArray}, body...), deep, 20 * (len(body) + len(deep)), errJSON},
		{"large document", large, few, 1 << 20, nil},
	} {
		src := append(binary.LittleEndian.AppendUint32(nil, uint32(len(tt.diffs))), tt.diffs...)
		dst := make([]byte, 0, 3*len(tt.doc))
		bounded(t, uint64(tt.limit), func() {
			if _, _, err := renderJSONDiffs(dst, src, document{known: true, value: tt.doc}); !errors.Is(err, tt.want) {
				t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
			}
		})
	}
}
