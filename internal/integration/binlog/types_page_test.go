package binlog

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestTypesPage: each example of docs/types.md is what the stream and Select have for its value.
func TestTypesPage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/types.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := typeExamples(t, string(page))
	if len(examples) < 50 {
		t.Fatalf("only %d examples", len(examples))
	}
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "typespage")
		w := d.writer(t)
		w.exec(t, "SET SESSION time_zone = '+00:00'")
		from := d.executed(t)
		var tables []int
		for i, e := range examples {
			if e.server != "both" && !strings.EqualFold(e.server, string(kind)) {
				continue
			}
			tables = append(tables, i)
			w.exec(t, fmt.Sprintf("CREATE TABLE e%d (id INT PRIMARY KEY, v %s)", i, e.column))
			w.exec(t, fmt.Sprintf("INSERT INTO e%d (id, v) VALUES (1, %s)", i, e.value))
		}
		got := map[string]string{}
		for _, c := range changes(read(t, d.source(t), from, d.executed(t))) {
			got[c.Table.Name] = string(c.After)
		}
		for _, i := range tables {
			e, name := examples[i], fmt.Sprintf("e%d", i)
			want := fmt.Sprintf(`{"id":1,"v":%s}`, e.json)
			if got[name] != want {
				t.Errorf("line %d: %s of %s: the stream has %s, the page %s", e.line, e.column, e.value, got[name], want)
			}
			if rows := selectAll(t, d.source(t), d.schema, name, ""); len(rows) != 1 || rows[0][1] != want {
				t.Errorf("line %d: %s of %s: SELECT has %q, the page %s", e.line, e.column, e.value, rows, want)
			}
		}
	})
}

// typeExample is a line of the page.
type typeExample struct {
	line                        int
	server, column, value, json string
}

func typeExamples(t *testing.T, page string) (out []typeExample) {
	t.Helper()
	table := false
	for i, line := range strings.Split(page, "\n") {
		cells := strings.Split(strings.Trim(line, "|"), " | ")
		switch {
		case !strings.HasPrefix(line, "|"):
			table = false
		case strings.HasPrefix(line, "| server |"):
			table = true
		case strings.HasPrefix(line, "|---"):
		case !table || len(cells) != 5 || strings.TrimSpace(cells[4]) == "":
			t.Errorf("line %d is no example", i+1)
		default:
			e := typeExample{line: i + 1}
			for j, cell := range []*string{&e.server, &e.column, &e.value, &e.json} {
				text := strings.TrimSpace(cells[j])
				if code := strings.Trim(text, "`"); j > 0 && text != "`"+code+"`" {
					t.Errorf("line %d: %s is not one piece of code", i+1, text)
				} else {
					*cell = code
				}
			}
			if e.server != "both" && e.server != "MySQL" && e.server != "MariaDB" {
				t.Errorf("line %d: server %q", i+1, e.server)
			}
			out = append(out, e)
		}
	}
	return out
}
