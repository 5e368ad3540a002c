package binlog

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/millrace-go/millrace/cdc"
)

// TestPartialRowsConfigID: a log must not mix images of both kinds without notice.
func TestPartialRowsConfigID(t *testing.T) {
	var ids []string
	for _, partial := range []bool{false, true} {
		s, err := New(Config{Addr: "db.example:3306", User: "cdc", PartialRows: partial})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, s.ConfigID())
	}
	if ids[0] == ids[1] {
		t.Errorf("both settings have the id %s", ids[0])
	}
}

// partialTable is a table of nine columns, the last a JSON document, and a row event with the images of some.
func partialTable(first, second byte) (*table, event) {
	t := &table{schema: "shop", name: "item", public: &cdc.Table{Schema: "shop", Name: "item"}, columns: make([]column, 9)}
	for i := range t.columns {
		t.columns[i].name = string(rune('a' + i))
	}
	t.columns[8].json = true
	body := []byte{7, 0, 0, 0, 0, 0, 0, 0, 2, 0, 9, first, 0, second, 1}
	return t, event{kind: replication.UPDATE_ROWS_EVENTv2, body: body}
}

// TestPartialRowsShared: events whose images have the same columns share what is known of them, for longer than one of them lasts; others
// have their own.
func TestPartialRowsShared(t *testing.T) {
	item, e := partialTable(0b1, 0b111)
	read := func() *partialRows {
		r, _, err := parseRows(e, func(uint64) *table { return item })
		if err != nil {
			t.Fatal(err)
		}
		return r.partial
	}
	lacks := func(p *partialRows) string {
		return strings.Join(p.absent.Before, "") + "," + strings.Join(p.absent.After, "")
	}
	first := read()
	e.body = slices.Clone(e.body)
	if again := read(); again != first {
		t.Error("the same images are prepared once more")
	}
	e.body[13] = 0b11
	other := read()
	e.body[11], e.body[13] = 0, 0 // the buffer is used again
	if got := []string{lacks(first), lacks(other)}; !slices.Equal(got, []string{"bcdefghi,defgh", "bcdefghi,cdefgh"}) || !first.before.has(0) || first.documents != 1 {
		t.Errorf("the images lack %q", got)
	}
	e.kind = replication.PARTIAL_UPDATE_ROWS_EVENT
	if diffs := read(); !diffs.diffs || diffs == first {
		t.Error("images with diffs are taken for others")
	}
	for i := range 300 {
		e.body[11], e.body[13] = byte(i), byte(i/256)
		read()
	}
	if n := len(item.partial); n > maxPartialRows {
		t.Errorf("%d kinds of images are kept", n)
	}
}

// BenchmarkPartialRows is what the head of a row event costs whose images have not all columns.
func BenchmarkPartialRows(b *testing.B) {
	item, e := partialTable(0b1, 0b111)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := parseRows(e, func(uint64) *table { return item }); err != nil {
			b.Fatal(err)
		}
	}
}
