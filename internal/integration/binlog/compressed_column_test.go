package binlog

import (
	"fmt"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// compressedColumns are MariaDB's COMPRESSED columns, which have the value of the server's own SELECT, whatever their type, their
// character set, and whether the server found them worth compressing; with and without zlib's wrapper, and with compressed events
// around them.
func (v *verifier) compressedColumns(t *testing.T, kind servers.Kind) {
	if kind != servers.MariaDB {
		return
	}
	for _, events := range []bool{false, true} {
		name := "plain events"
		if events {
			name = "compressed events"
		}
		t.Run(name, func(t *testing.T) { v.compressedColumnsIn(t, events) })
	}
}

func (v *verifier) compressedColumnsIn(t *testing.T, events bool) {
	d := open(t, ownServer(t, servers.MariaDB), "compressedcolumns")
	w := d.writer(t)
	w.exec(t, "SET SESSION column_compression_threshold = 1")
	if events {
		w.compress(t)
	}
	rnd := v.random("compressed columns", servers.MariaDB)
	text := []string{"''", "' '", "'a'", "'short'", "REPEAT('long ', 40)", "CONCAT(REPEAT('a', 100), 'é€', REPEAT('b', 100))", "REPEAT('\"\\\\', 50)"}
	binary := []string{"''", "x'00'", "x'0080ff'", "REPEAT(x'00ff', 100)", "UNHEX(SHA2('not worth it', 512))", "UNHEX(CONCAT(SHA2('a', 512), REPEAT('00', 100)))"}
	var columns []column
	for _, charset := range []string{"utf8mb4", "latin1", "ucs2", "utf32", "cp1251", "sjis", "gbk", "euckr"} {
		columns = append(columns,
			column{define: "VARCHAR(300) COMPRESSED CHARACTER SET " + charset, oracle: asText, values: text},
			column{define: "TEXT COMPRESSED CHARACTER SET " + charset, oracle: asText, values: text})
	}
	for _, n := range []int{1, 250, 253, 254, 255, 256, 257, 300, 16000} {
		columns = append(columns,
			column{define: fmt.Sprintf("VARBINARY(%d) COMPRESSED", n), oracle: asBytes, values: append(binary, fmt.Sprintf("REPEAT('x', %d)", n), fmt.Sprintf("LEFT(REPEAT(UNHEX(SHA2('y', 512)), 300), %d)", n))},
			column{define: fmt.Sprintf("VARCHAR(%d) COMPRESSED CHARACTER SET latin1", n), oracle: asText, values: append(text, fmt.Sprintf("REPEAT('x', %d)", n))})
	}
	columns = append(columns,
		column{define: "TINYBLOB COMPRESSED", oracle: asBytes, values: append(binary, "REPEAT('x', 254)")},
		column{define: "BLOB COMPRESSED", oracle: asBytes, values: append(binary, "REPEAT(x'00', 65000)")},
		column{define: "MEDIUMBLOB COMPRESSED", oracle: asBytes, values: append(binary, "REPEAT('xyz', 400000)")},
		column{define: "LONGBLOB COMPRESSED", oracle: asBytes, values: append(binary, "REPEAT('0123456789abcdef', 65536)", "REPEAT(UNHEX(SHA2('noise', 512)), 20000)")},
		column{define: "TINYTEXT COMPRESSED", oracle: asText, values: append(text, "REPEAT('x', 254)")},
		column{define: "MEDIUMTEXT COMPRESSED", oracle: asText, values: append(text, "REPEAT('x', 1048576)")},
		column{define: "LONGTEXT COMPRESSED", oracle: asText, values: append(text, "REPEAT('für 3 €, ', 100000)")},
		column{define: "TEXT COMPRESSED NOT NULL DEFAULT 'default'", oracle: asText, values: append(text, "DEFAULT")})
	var tables []*valueTable
	from := d.executed(t)
	for _, wrap := range []string{"OFF", "ON"} {
		w.exec(t, "SET SESSION column_compression_zlib_wrap = "+wrap)
		for i, group := range groups(columns, 3) {
			tables = append(tables, w.fill(t, rnd, fmt.Sprintf("t%d_%s", i, wrap), group, 0))
		}
	}
	if events {
		w.mustCompress(t, from)
	}
	v.compare(t, d, from, tables)
	var name, n string
	if err := w.QueryRowContext(t.Context(), "SHOW SESSION STATUS LIKE 'Column_compressions'").Scan(&name, &n); err != nil || n == "0" {
		t.Errorf("the server compressed no value: %q, %v", n, err)
	}
	d.exec(t, "DROP DATABASE compressedcolumns")
}
