package snapshotbar

import (
	"bytes"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
)

func TestBar(t *testing.T) {
	out := &bytes.Buffer{}
	b := New(out)
	b.Show(cdc.SnapshotInfo{Complete: true})
	if out.Len() > 0 {
		t.Errorf("a relay that reads nothing shows %q", out)
	}
	b.Show(cdc.SnapshotInfo{Schema: "shop", Table: "product", Rows: 2000, Estimate: 4000})
	if text := out.String(); !strings.Contains(text, "shop.product") || !strings.Contains(text, "50%") || !strings.Contains(text, "(2000/4000") {
		t.Errorf("in the middle: %q", text)
	}
	b.Show(cdc.SnapshotInfo{Schema: "shop", Table: "product", Rows: 4500, Estimate: 4000, Done: true})
	b.Show(cdc.SnapshotInfo{Schema: "shop", Table: "sale", Rows: 500, Done: true})
	if strings.Contains(out.String(), "100%") {
		t.Errorf("full before it is complete: %q", out)
	}
	b.Show(cdc.SnapshotInfo{Complete: true})
	if text := out.String(); !strings.Contains(text, "100%") || !strings.HasSuffix(text, "\n") {
		t.Errorf("at the end: %q", text)
	}
}
