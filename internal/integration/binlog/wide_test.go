package binlog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// wide are many columns of all types, in random order, in one table: the event lists signs, character sets and labels without
// naming the columns they belong to.
func (v *verifier) wide(t *testing.T, kind servers.Kind) {
	d := open(t, servers.Find(t, kind), "wide")
	d.SetMaxOpenConns(1)
	d.exec(t, "SET SESSION sql_mode = '', time_zone = '+00:00'")
	rnd := v.random("wide", kind)
	var all []column
	for _, c := range columns() {
		if c.on(kind) && len(c.values) > 0 && !strings.HasPrefix(c.define, "LONG") {
			all = append(all, c)
		}
	}
	from := d.executed(t)
	want := map[string][]string{} // by table
	chosen := map[string][]column{}
	for n := range 5 * v.values {
		name := fmt.Sprintf("w%d", n)
		rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		cs := slices.Clone(all[:10+rnd.IntN(30)])
		define, names, values, ask := []string{}, []string{}, []string{}, []string{}
		for i, c := range cs {
			column := fmt.Sprintf("c%d", i)
			define = append(define, column+" "+c.define)
			names = append(names, column)
			values = append(values, c.values[rnd.IntN(len(c.values))])
			ask = append(ask, column+" IS NULL", fmt.Sprintf(c.oracle.expression, column))
		}
		// The key's columns stand anywhere, not in the key's order.
		for _, key := range []string{"k2", "k1"} {
			define = slices.Insert(define, rnd.IntN(len(define)+1), key+" INT NOT NULL")
		}
		d.exec(t, fmt.Sprintf("CREATE TABLE %s (%s, PRIMARY KEY (k1, k2)) ROW_FORMAT=DYNAMIC", name, strings.Join(define, ", ")))
		d.exec(t, fmt.Sprintf("INSERT INTO %s (k1, k2, %s) VALUES (1, 2, %s)", name, strings.Join(names, ", "), strings.Join(values, ", ")))
		want[name], chosen[name] = d.rows(t, fmt.Sprintf("SELECT %s FROM %s", strings.Join(ask, ", "), name))[0], cs
	}
	got := changes(read(t, d.source(t), from, d.executed(t)))
	if len(got) != len(want) {
		t.Fatalf("got %d changes, want %d", len(got), len(want))
	}
	for _, c := range got {
		if string(c.Key) != `{"k1":1,"k2":2}` {
			t.Errorf("%s: key %s", c.Table, c.Key)
		}
		v.checkWide(t, &c, chosen[c.Table.Name], want[c.Table.Name])
		for _, row := range selectAll(t, d.source(t), d.schema, c.Table.Name, "") {
			v.same(t, row == [2]string{string(c.Key), string(c.After)}, func() string {
				return fmt.Sprintf("%s: the stream has %.2000s, SELECT %.2000s", c.Table, c.After, row[1])
			})
		}
	}
}

func (v *verifier) checkWide(t *testing.T, c *cdc.Change, columns []column, want []string) {
	t.Helper()
	var row map[string]json.RawMessage
	if err := json.Unmarshal(c.After, &row); err != nil {
		t.Fatal(err)
	}
	if len(row) != len(columns)+2 {
		t.Errorf("%s: %d columns, want %d", c.Table, len(row), len(columns)+2)
	}
	for i, col := range columns {
		have, should := string(row[fmt.Sprintf("c%d", i)]), "null"
		if want[2*i] == "0" {
			should = col.oracle.json(want[2*i+1])
		}
		v.same(t, col.oracle.equal(have, should), func() string {
			return fmt.Sprintf("%s: column %d, %s: got %.200s, want %.200s", c.Table, i, col.define, have, should)
		})
	}
}
