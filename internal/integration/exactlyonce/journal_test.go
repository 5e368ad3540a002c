package exactlyonce

import (
	"fmt"
	"strings"
	"testing"
)

// A journal passes everything on, and keeps the last whole lines, however they were written.
func TestJournal(t *testing.T) {
	var all strings.Builder
	j := &journal{next: &all}
	var want strings.Builder
	for n := range 3 * journalLines {
		for _, part := range []string{"line ", fmt.Sprintf("%d\nbegin of ", n)} {
			want.WriteString(part)
			if _, err := j.Write([]byte(part)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if all.String() != want.String() {
		t.Errorf("passed on %q, want %q", all.String(), want.String())
	}
	got := j.last()
	if len(got) != journalLines || string(got[journalLines-1]) != fmt.Sprintf("begin of line %d", 3*journalLines-1) {
		t.Errorf("kept %d lines, the last one %q", len(got), got[len(got)-1])
	}
}
