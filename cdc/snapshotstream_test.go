package cdc

import (
	"testing"
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// TestForeignXA: an XA transaction that was none of the log's is one of the log's once its id is used again.
func TestForeignXA(t *testing.T) {
	s, err := newSnapshots(&Config{MaxBytes: 1 << 20, Snapshot: SnapshotConfig{Readers: 1}}, mustMemorySource(t), "")
	if err != nil {
		t.Fatal(err)
	}
	for name, slice := range map[string]*Slice{
		"completed": {ID: "g", First: true, Last: true, Completed: "x"},
		"prepared":  {ID: "g", First: true, Last: true, Prepared: &eventstore.Prepare{XID: "x"}},
	} {
		st := newSnapshotStream(nil, nil, s, eventstore.Watermark{}, nil)
		st.foreign["x"], st.suspected["x"] = true, time.Now()
		st.pass(slice)
		if st.foreign["x"] || !st.suspected["x"].IsZero() {
			t.Errorf("%s: it is still taken for none of the log's", name)
		}
		if _, waits := st.completed["x"]; waits != (name == "completed") {
			t.Errorf("%s: completed, and perhaps not visible: %v", name, waits)
		}
	}
}

func mustMemorySource(t *testing.T) *MemorySource {
	t.Helper()
	source, err := NewMemorySource(Filter{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return source
}
