package eventstore

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestWireFormatPage: the record in docs/wire-format.md is what AppendRow makes of its parts, and what it says of keys and topics holds.
func TestWireFormatPage(t *testing.T) {
	page, err := os.ReadFile("../docs/wire-format.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```json\n({\"before\":{.*?})\n```").FindSubmatch(page)
	if example == nil {
		t.Fatal("the page has no example of a record")
	}
	want := strings.ReplaceAll(string(example[1]), "\n ", "") // one line in Kafka
	var place struct{ Source Place }
	if err := json.Unmarshal([]byte(want), &place); err != nil {
		t.Fatal(err)
	}
	var change RowChange
	if err := ParseRow(&Record{Value: []byte(want), Place: place.Source}, &change); err != nil {
		t.Fatal(err)
	}
	if got := string(AppendRow(nil, &change)); got != want {
		t.Errorf("got  %s\npage %s", got, want)
	}
	if place.Source != (Place{CSN: 7, Index: RowIndex(0, RowRecord)}) {
		t.Errorf("the page's record is at %+v", place.Source)
	}
	change.Before, change.After = []byte(`{"a":1}`), []byte(`{"b":1}`)
	change.Absent = &Absent{Before: []string{"b"}, After: []string{"c"}}
	absent := regexp.MustCompile("`absent` \\| .*?`({.*?})`").FindSubmatch(page)
	if absent == nil || !strings.Contains(string(AppendRow(nil, &change)), `"after":{"b":1},"absent":`+string(absent[1])+`,"source":`) {
		t.Errorf("got %s\npage %s", AppendRow(nil, &change), absent)
	}
	for what, text := range map[string]string{
		"the topic of a table":           "`<pipeline>." + RowTopic("<schema>", "<table>") + "`",
		"how other bytes are written":    "`" + strings.Replace(strings.TrimSuffix(RowTopic(".", ""), "."), "2E", "HH", 1) + "`",
		"the place of a row's tombstone": "4 × the row's position among all rows of the transaction, from 1",
	} {
		text = strings.NewReplacer("-x3C-", "<", "-x3E-", ">").Replace(text)
		if !strings.Contains(string(page), text) {
			t.Errorf("the page does not say %s: %s", what, text)
		}
	}
	if RowIndex(2, TombstoneRecord) != 4*3+1 || RowIndex(2, RekeyRecord) != 4*3+2 {
		t.Error("the page's rule of indexes does not hold")
	}
}
