package kafkalog

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// TestWireFormatPage: the watermark in docs/wire-format.md is what the log writes.
func TestWireFormatPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/wire-format.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```json\n({\"csn\":.*?})\n```").FindSubmatch(page)
	if example == nil {
		t.Fatal("the page has no example of a watermark")
	}
	want := strings.ReplaceAll(string(example[1]), "\n ", "")
	at := time.Date(2026, 1, 2, 3, 3, 4, 0, time.UTC)
	got, err := json.Marshal(&mark{CSN: 7, Time: &at, LogID: "…", Config: "…", Ends: map[string][]int64{"shop.product": {3, 0, 4, 0}}, Producer: 1, Lease: 3600,
		Position: eventstore.Position{Flavor: "mariadb", GTIDs: "0-1-7", Server: "1", File: "binlog.000001", Offset: 2217}})
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got  %s\npage %s", got, want)
	}
	if m, err := parseMark(0, []byte(want)); err != nil || m.CSN != 7 || m.Ends["shop.product"][2] != 4 {
		t.Errorf("the page's watermark reads as %+v: %v", m, err)
	}
}
