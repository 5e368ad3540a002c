package binlog

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTypesPage: each type that can be read has a line in docs/types.md, and each line is of such a type. Whether the lines are right
// the test of this name in internal/integration/binlog asks the servers.
func TestTypesPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/types.md")
	if err != nil {
		t.Fatal(err)
	}
	alias := map[string][]string{"boolean": {"tinyint"}, "geometrycollection": {"geometrycollection", "geomcollection"}}
	lines := map[string]bool{}
	compressed := 0
	for _, m := range regexp.MustCompile("(?m)^\\| (?:both|MySQL|MariaDB) \\| `(\\w+)([^`]*)`").FindAllStringSubmatch(string(page), -1) {
		name := strings.ToLower(m[1])
		names := []string{name}
		if alias[name] != nil {
			names = alias[name]
		}
		for _, name := range names {
			if lines[name] = true; dataTypes[name] == 0 && name != "decimal" { // whose number is another
				t.Errorf("%s has a line, and is not read", name)
			}
		}
		if strings.HasSuffix(m[2], " COMPRESSED") {
			compressed++
		}
	}
	for name := range dataTypes {
		if !lines[name] {
			t.Errorf("%s is read, and has no line", name)
		}
	}
	if compressed == 0 {
		t.Error("COMPRESSED has no line")
	}
	// What an event may hold is what a SELECT may, but for these.
	events := []byte{typeVarString, typeNewDate, typeMariaDBCompressedBlob, typeMariaDBCompressedVarchar}
	for _, kind := range dataTypes {
		events = append(events, kind)
	}
	for kind := range 256 {
		m := &columnMap{kind: byte(kind), meta: 1, collation: collationBinary, labels: [][]byte{{'a'}}}
		switch byte(kind) {
		case typeDecimal:
			m.meta = 5
		case typeTime, typeDatetime, typeTimestamp: // refused, as the page says
			continue
		}
		_, err := newColumn(m, newCharsets(nil))
		if reads := err == nil; reads != slices.Contains(events, byte(kind)) {
			t.Errorf("events' type %d: read %v (%v), in SELECTs and so on the page %v", kind, reads, err, !reads)
		}
	}
}
