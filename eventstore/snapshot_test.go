package eventstore_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
)

func TestSnapshotComplete(t *testing.T) {
	for _, c := range []struct {
		text, schema, table string
		want                bool
	}{
		{``, "any", "t", true},
		{`{"filters":[{"include":["shop.*"],"done":true}]}`, "shop", "a", true},
		{`{"filters":[{"include":["shop.*"],"done":true}]}`, "late", "a", false},
		{`{"filters":[{"done":true}]}`, "mysql", "user", false},
		{`{"filters":[{"include":["shop.*"]}]}`, "shop", "a", false},
		{`{"filters":[{"include":["shop.*"],"db":"shop","table":"b"}]}`, "shop", "b", true},
		{`{"filters":[{"include":["shop.*"],"db":"shop","table":"b"}]}`, "shop", "c", false},
		{`{"filters":[{"include":["shop.*"],"db":"shop","table":"b"}],"tables":[{"db":"shop","table":"a"}]}`, "shop", "a", false},
		{`{"filters":[{"include":["shop.*"],"done":true}],"tables":[{"db":"shop","table":"a","request":"7"}]}`, "shop", "a", true},
		// a table that left the choice meanwhile is whole no more
		{`{"filters":[{"include":["shop.*","late.*"],"done":true},{"include":["shop.*"]},{"include":["shop.*","late.*"]}]}`, "late", "a", false},
		{`{"filters":[{"include":["shop.*","late.*"],"done":true},{"include":["shop.*"]},{"include":["shop.*","late.*"]}]}`, "shop", "a", true},
	} {
		p, err := eventstore.ParseSnapshot(c.text)
		if err != nil {
			t.Fatalf("%s: %v", c.text, err)
		}
		if got := p.Complete(c.schema, c.table); got != c.want {
			t.Errorf("%s: %s.%s complete is %v, want %v", c.text, c.schema, c.table, got, c.want)
		}
		if p.Text() != c.text {
			t.Errorf("%s becomes %s", c.text, p.Text())
		}
	}
	if _, err := eventstore.ParseSnapshot("{"); err == nil {
		t.Error("half a text is no error")
	}
}

// TestSnapshotPage: the text in docs/wire-format.md is one that is written, and says of tables what the page says.
func TestSnapshotPage(t *testing.T) {
	page, err := os.ReadFile("../docs/wire-format.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```json\n({\"filters\":.*?})\n```").FindSubmatch(page)
	if example == nil {
		t.Fatal("the page has no example of a snapshot's progress")
	}
	want := strings.ReplaceAll(string(example[1]), "\n ", "")
	p, err := eventstore.ParseSnapshot(want)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Text(); got != want {
		t.Errorf("got  %s\npage %s", got, want)
	}
	for name, whole := range map[string]bool{"shop.product": true, "stock.a": true, "stock.item": false, "stock.z": false, "late.a": false} {
		schema, table, _ := strings.Cut(name, ".")
		if got := p.Complete(schema, table); got != whole {
			t.Errorf("%s is whole: %v, want %v", name, got, whole)
		}
	}
}
