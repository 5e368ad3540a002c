package binlog

import (
	"fmt"
	"slices"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// labels are those of an ENUM and a SET whose lists change: each row has the labels of its time.
func (v *verifier) labels(t *testing.T, kind servers.Kind) {
	d := open(t, servers.Find(t, kind), "labels")
	w := d.writer(t)
	from := d.executed(t)
	w.exec(t, "CREATE TABLE l (id INT PRIMARY KEY, e ENUM('b','a'), s SET('y','x'))")
	var want, selected []string
	ask := func() {
		row := d.rows(t, "SELECT e, s FROM l ORDER BY id DESC LIMIT 1")[0]
		id := len(want) + 1
		want = append(want, fmt.Sprintf(`{"id":%d,"e":%s,"s":%s}`, id, quoted(row[0]), quoted(row[1])))
		selected = append(selected, selectAll(t, d.source(t), "labels", "l", "ORDER BY id DESC LIMIT 1")[0][1])
	}
	for i, alter := range []string{
		"MODIFY e ENUM('b','a','c'), MODIFY s SET('y','x','z')", // more
		"MODIFY e ENUM('a','b'), MODIFY s SET('x','y')",         // in another order
		"MODIFY e ENUM('A''B','a\\\\n,\"','',' '), MODIFY s SET('x y','\"','''')",
		"MODIFY e ENUM('ü','😀') CHARACTER SET utf16, MODIFY s SET('é','ü') CHARACTER SET latin1",
		"MODIFY e ENUM('x','y') CHARACTER SET binary, MODIFY s SET('p','q') CHARACTER SET binary",
	} {
		w.exec(t, fmt.Sprintf("INSERT INTO l VALUES (%d, 1, 3)", 2*i+1))
		ask()
		w.exec(t, fmt.Sprintf("INSERT INTO l VALUES (%d, 2, 2)", 2*i+2))
		ask()
		w.exec(t, "ALTER TABLE l "+alter)
	}
	var got []string
	for _, c := range changes(read(t, d.source(t), from, d.executed(t))) {
		got = append(got, string(c.After))
	}
	v.same(t, slices.Equal(got, want), func() string { return fmt.Sprintf("the stream has %q, want %q", got, want) })
	v.same(t, slices.Equal(selected, want), func() string { return fmt.Sprintf("SELECT has %q, want %q", selected, want) })
}
