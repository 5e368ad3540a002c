package binlog

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestCompressedColumns: MariaDB's COMPRESSED columns have the value of the server's own SELECT, whatever their type, their character
// set, and whether the server found them worth compressing; with and without zlib's wrapper, and with compressed events around them.
func TestCompressedColumns(t *testing.T) {
	for _, events := range []bool{false, true} {
		name := "plain events"
		if events {
			name = "compressed events"
		}
		t.Run(name, func(t *testing.T) { testCompressedColumns(t, events) })
	}
}

func testCompressedColumns(t *testing.T, events bool) {
	d := open(t, ownServer(t, servers.MariaDB), "compressedcolumns")
	d.SetMaxOpenConns(1) // session settings
	d.exec(t, "SET SESSION sql_mode = ''")
	d.exec(t, "SET SESSION column_compression_threshold = 1")
	if events {
		d.exec(t, "SET GLOBAL log_bin_compress = 1, GLOBAL log_bin_compress_min_len = 10")
		t.Cleanup(func() { d.exec(t, "SET GLOBAL log_bin_compress = 0") })
	}
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
		d.exec(t, "SET SESSION column_compression_zlib_wrap = "+wrap)
		for i, c := range columns {
			tables = append(tables, d.fillTable(t, fmt.Sprintf("t%d_%s", i, wrap), c))
		}
	}
	until := d.executed(t)
	if events {
		shown := d.rows(t, fmt.Sprintf("SHOW BINLOG EVENTS IN '%s' FROM %d LIMIT 200", from.File, from.Offset))
		if !slices.ContainsFunc(shown, func(row []string) bool { return strings.Contains(strings.ToLower(row[2]), "rows_compressed") }) {
			t.Fatalf("no event is compressed: %v", shown)
		}
	}
	byTable := map[string][]cdc.Change{}
	for _, c := range changes(read(t, d.source(t), from, until)) {
		byTable[c.Table.Name] = append(byTable[c.Table.Name], c)
	}
	cases := 0
	for _, table := range tables {
		cases += table.compare(t, byTable[table.name])
	}
	if t.Logf("cases %d", cases); cases < 1000 {
		t.Errorf("only %d cases", cases)
	}
	if shown := d.rows(t, "SHOW SESSION STATUS LIKE 'Column_compressions'"); len(shown) != 1 || shown[0][1] == "0" {
		t.Errorf("the server compressed no value: %v", shown)
	}
	d.exec(t, "DROP DATABASE compressedcolumns")
}
