package binlog

import (
	"encoding/binary"
	"encoding/json"
	"testing"

	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/millrace-go/millrace/cdc"
)

// The decoders read what a server sent, or a damaged disk. Whatever it is: no panic, no memory without bound, and what is not an
// error is valid JSON.

func FuzzAssembler(f *testing.F) {
	for _, flavor := range []bool{false, true} {
		var stream []byte
		b := &builder{}
		for _, line := range []string{"format", "gtid 1", "query BEGIN", "map 7 shop.item id:int name:text z:latin1 key=id", "write 7 1,a,b 2,c,d", "update 7 end 1,a,b 1,c,d", "xid"} {
			raw, err := b.build(line, nil)
			if err != nil {
				f.Fatal(err)
			}
			stream = append(stream, raw...)
		}
		payload, err := b.build("compressed", []string{"query BEGIN", "map 7 shop.item id:int key=id", "write 7 end 1", "xid"})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(flavor, stream)
		f.Add(flavor, append(stream, payload...))
		var waiting []byte
		for _, line := range []string{"format", "gtid 1", "query XA START X'61',X'',1", "map 7 shop.item id:int name:text z:latin1 key=id", "write 7 1,a,b 2,c,d", "query SAVEPOINT s",
			"update 7 end 1,a,b 1,c,d", "query ROLLBACK TO s", "query XA END X'61',X'',1", "xa-prepare a - 1", "gtid 2", "query XA COMMIT X'61',X'',1"} {
			raw, err := b.build(line, nil)
			if err != nil {
				f.Fatal(err)
			}
			waiting = append(waiting, raw...)
		}
		f.Add(flavor, waiting)
	}
	f.Fuzz(func(t *testing.T, mariadb bool, data []byte) {
		bounded(t, 64<<20+1000*uint64(len(data)), func() { fuzzAssembler(t, mariadb, data) })
	})
}

func fuzzAssembler(t *testing.T, mariadb bool, data []byte) {
	a := &assembler{flavor: MySQL, maxSlice: 1000, charsets: newCharsets(map[uint64]string{8: "latin1", 45: "utf8mb4"})}
	if mariadb {
		a.flavor = MariaDB
	}
	if err := a.resume(cdc.Position{}); err != nil {
		t.Fatal(err)
	}
	for len(data) >= headerSize {
		size := min(max(int(binary.LittleEndian.Uint32(data[9:])), headerSize), len(data))
		raw := append([]byte(nil), data[:size]...)
		binary.LittleEndian.PutUint32(raw[9:], uint32(size))
		data = data[size:]
		if a.push(raw) != nil {
			return
		}
		for {
			slice, err := a.pull()
			if err != nil {
				return
			}
			if slice == nil {
				break
			}
			for _, c := range slice.Changes {
				for _, image := range [][]byte{c.Key, c.OldKey, c.Before, c.After} {
					if image != nil && !json.Valid(image) {
						t.Fatalf("not JSON: %q", image)
					}
				}
			}
		}
	}
}

// FuzzRow decodes a row event behind a table map, both made of the fuzzer's bytes.
func FuzzRow(f *testing.F) {
	b := &builder{}
	definition, err := b.build("map 7 shop.item id:int name:text z:latin1 key=id", nil)
	if err != nil {
		f.Fatal(err)
	}
	row, err := b.build("update 7 end 1,a,b 1,c,d", nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(definition[headerSize:], row[headerSize:])
	f.Fuzz(func(t *testing.T, definition, row []byte) {
		bounded(t, 32<<20+2000*uint64(len(definition)+len(row)), func() { fuzzRow(t, definition, row) })
	})
}

func fuzzRow(t *testing.T, definition, row []byte) {
	m, err := parseTableMap(definition, false)
	if err != nil {
		return
	}
	fuzzTable(t, m, row, choice{})
	fuzzTable(t, m, row, choice{cdc.Columns{Exclude: []string{"*.*.name"}, Masks: []cdc.Mask{cdc.Hash([]byte("0123456789abcdef"), "*.*.id"), cdc.Truncate(1, "*.*.*")}},
		cdc.Keys{{Tables: "*.*", Columns: []string{"id"}}}})
}

func fuzzTable(t *testing.T, m *tableMap, row []byte, choice choice) {
	prepared, err := newTable(m, newCharsets(map[uint64]string{8: "latin1", 45: "utf8mb4"}), choice)
	if err != nil {
		return
	}
	r, _, err := parseRows(event{kind: replication.UPDATE_ROWS_EVENTv2, body: row}, func(uint64) *table { return prepared })
	for n := uint64(0); err == nil && len(r.rest) > 0 && n < 100; n++ {
		var buf buffer
		rest := len(r.rest)
		if err = r.next(&buf, n); err == nil {
			for _, c := range buf.export(1) {
				if !json.Valid(c.Before) || !json.Valid(c.After) || !json.Valid(c.Key) {
					t.Fatalf("not JSON: %q %q %q", c.Key, c.Before, c.After)
				}
			}
			if len(r.rest) >= rest {
				return // a table without columns that take bytes
			}
		}
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte{0x00, 1, 0, 12, 0, 11, 0, 1, 0, 5, 1, 0, 'a'})
	f.Add([]byte{0x02, 2, 0, 10, 0, 4, 1, 0, 4, 0, 0})
	f.Add([]byte{0x0f, 246, 4, 3, 1, 0x80, 0x05})
	f.Fuzz(func(t *testing.T, doc []byte) {
		col := &column{width: 4}
		src := append(binary.LittleEndian.AppendUint32(nil, uint32(len(doc))), doc...)
		var out []byte
		var n int
		var err error
		bounded(t, 1<<20+1000*uint64(len(doc)), func() { out, n, err = renderJSON(col, nil, src) })
		if err != nil {
			return
		}
		if !json.Valid(out) || n != len(src) {
			t.Fatalf("%q: not JSON, or %d of %d bytes", out, n, len(src))
		}
		if len(out) > 100+100*len(doc) {
			t.Fatalf("%d bytes became %d", len(doc), len(out))
		}
	})
}

// FuzzScalar: the types of fixed layout.
func FuzzScalar(f *testing.F) {
	for kind := range 256 {
		f.Add(byte(kind), uint16(6), []byte("\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	}
	f.Add(typeEnum, uint16(1), []byte{3}) // beyond the labels
	f.Add(typeSet, uint16(1), []byte{4})
	f.Fuzz(func(t *testing.T, kind byte, meta uint16, value []byte) {
		m := &columnMap{name: "v", kind: kind, meta: meta, collation: 8, labels: [][]byte{[]byte("a"), []byte("\xe9\"")}}
		c, err := newColumn(m, newCharsets(map[uint64]string{8: "latin1"}))
		if err != nil {
			return
		}
		out, n, err := c.render(c, nil, value)
		if err != nil {
			return
		}
		if !json.Valid(out) || n > len(value) {
			t.Fatalf("%s: %q is not JSON, or %d of %d bytes", m.typeName(), out, n, len(value))
		}
		if size, err := c.size(c, value); err != nil || size != n {
			t.Fatalf("%s: took %d bytes, but is %d long (%v)", m.typeName(), n, size, err)
		}
	})
}

func FuzzGTID(f *testing.F) {
	b := &builder{}
	raw, err := b.build("gtid 5", nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw[headerSize:])
	f.Fuzz(func(t *testing.T, body []byte) {
		_, _ = parseGTID(body)
		_, _ = parseTaggedGTID(body)
		_, _ = parseMariaDBGTID(event{body: body})
	})
}

func FuzzClassify(f *testing.F) {
	for _, text := range []string{"", "ALTER TABLE `a``b`.c DROP PARTITION p", "/*! CREATE */ TABLE x AS SELECT 1", "SET STATEMENT a=1 FOR INSERT", "TRUNCATE 'x", "# c\n-- d\nDROP TABLE \"t\\\"\""} {
		f.Add(text)
	}
	f.Fuzz(func(_ *testing.T, text string) { classify(text, 0) })
}

// FuzzXA: what an id's texts say comes back from its canonical form, and equals what the event of its prepare says.
func FuzzXA(f *testing.F) {
	f.Add("XA COMMIT X'6f',X'',1", []byte("\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00ab"))
	f.Add("XA ROLLBACK 'it''s',0x00,4294967297", []byte("\x01\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, text string, body []byte) {
		if s, err := parseXA(text, 0); err == nil {
			again, err := parseXA("XA COMMIT "+s.id.String(), 0)
			if err != nil || again.id != s.id {
				t.Fatalf("%q: %s is read as %+v, %v", text, s.id, again.id, err)
			}
		}
		id, _, err := parseXAPrepare(body)
		if err != nil {
			return
		}
		again, err := parseXA("XA COMMIT "+id.String(), 0)
		if err != nil || !id.is(again.id) || len(id.global) > maxXIDPart || len(id.branch) > maxXIDPart {
			t.Fatalf("%x: %s is read as %+v, %v", body, id, again.id, err)
		}
	})
}

func FuzzPayload(f *testing.F) {
	b := &builder{}
	raw, err := b.build("compressed", []string{"query BEGIN", "xid"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw[headerSize:])
	f.Fuzz(func(t *testing.T, body []byte) {
		bounded(t, 2*maxWindow+100*uint64(len(body)), func() {
			var p payload
			if p.open(body) != nil {
				return
			}
			for range 1000 {
				if raw, err := p.next(); raw == nil || err != nil {
					return
				}
			}
		})
	})
}
