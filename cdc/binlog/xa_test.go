package binlog

import (
	"testing"

	"github.com/millrace-go/millrace/eventstore"
)

// TestCoveredLetGo: a stream of MariaDB that begins before its position stops comparing transactions with that when it has come to it, in
// the domains that begin earlier; others never do.
func TestCoveredLetGo(t *testing.T) {
	a := &assembler{flavor: MariaDB, maxSlice: 1 << 20, charsets: newCharsets(nil)}
	defer a.close()
	err := a.resume(eventstore.Position{Flavor: MariaDB, GTIDs: "0-1-4,5-1-9", Prepared: []eventstore.Prepare{{XID: "X'61',X'',1", GTID: "0-1-2", Before: "0-1-1,5-1-9"}}})
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{}
	for _, line := range []string{"format", "mariadb-gtid 2 0x48", "xa-prepare a - 1", "mariadb-gtid 3 0x9", "query DROP TABLE t", "mariadb-gtid 4 0x9", "query DROP TABLE u"} {
		if len(a.covered) != 1 && line == "mariadb-gtid 4 0x9" {
			t.Errorf("before 0-1-4: compares with %v, want domain 0", a.covered)
		}
		raw, err := b.build(line, nil)
		if err == nil {
			err = a.push(raw)
		}
		if err != nil {
			t.Fatal(line, err)
		}
		if slice, err := a.pull(); slice != nil || err != nil {
			t.Fatalf("%s: slice %+v of what the position has, %v", line, slice, err)
		}
	}
	if len(a.covered) != 0 {
		t.Errorf("behind 0-1-4: goes on comparing with %v", a.covered)
	}
}
