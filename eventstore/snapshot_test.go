package eventstore_test

import (
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
