package binlog

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestEncryptedBinlog: a server that encrypts its binlog files is read like any other, with checksums, across its restart; the files do
// not hold the text.
func TestEncryptedBinlog(t *testing.T) {
	onEach(t, func(t *testing.T, kind servers.Kind) {
		const secret = "a text that no file may hold"
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		s, err := servers.Start(context.Background(), kind, servers.Options{Dir: dir, EncryptBinlog: true, Logf: t.Logf})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		t.Attr("server", string(kind))
		d := open(t, s.Address(), "encrypted")
		if got := d.value(t, "SELECT @@GLOBAL.binlog_checksum"); got != "CRC32" {
			if d.exec(t, "SET GLOBAL binlog_checksum = 'CRC32'"); kind == servers.MySQL {
				t.Errorf("binlog_checksum is %s", got)
			}
		}
		from := d.executed(t)
		want := map[string]string{}
		write := func(table string, compress bool) {
			w := d.writer(t)
			if compress {
				w.compress(t)
			}
			w.exec(t, "CREATE TABLE "+table+" (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(60), b BLOB, n DECIMAL(20,5))")
			for i := range 50 {
				w.exec(t, fmt.Sprintf("INSERT INTO %s (v, b, n) VALUES ('%s', REPEAT(x'ff00', %d), %d.125)", table, secret, i*300, i))
			}
			w.exec(t, fmt.Sprintf("UPDATE %s SET n = n * 2 WHERE id %% 3 = 0", table))
			w.exec(t, "DELETE FROM "+table+" WHERE id % 7 = 0")
		}
		write("first", false)
		d.exec(t, "FLUSH BINARY LOGS")
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.DB = connect(t, d.addr.DSN(d.schema))
		if kind == servers.MariaDB {
			d.exec(t, "SET GLOBAL binlog_checksum = 'CRC32'")
		}
		write("second", false)
		write("packed", true)
		until := d.executed(t)
		for _, table := range []string{"first", "second", "packed"} {
			for _, row := range selectAll(t, d.source(t), d.schema, table, "") {
				want[table+row[0]] = row[1]
			}
		}
		got := map[string]string{}
		for _, c := range changes(read(t, d.source(t), from, until)) {
			key := c.Table.Name + string(c.Key)
			switch before := string(c.Before); {
			case c.Op != cdc.Create && got[key] != before:
				t.Errorf("%s: before image %.100s, want %.100s", key, before, got[key])
			case c.Op == cdc.Delete:
				delete(got, key)
			}
			if c.Op != cdc.Delete {
				got[key] = string(c.After)
			}
		}
		if len(got) != 3*43 || len(want) != len(got) {
			t.Errorf("%d rows from the stream, %d in the tables, want %d", len(got), len(want), 3*43)
		}
		for key, row := range got {
			if want[key] != row {
				t.Errorf("%s: the stream has %.200s, the table %.200s", key, row, want[key])
			}
		}
		files, err := filepath.Glob(filepath.Join(dir, "data", "binlog.[0-9]*"))
		if err != nil || len(files) < 3 {
			t.Fatalf("binlog files %v: %v", files, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(data, []byte(secret)) || bytes.Contains(data, []byte("CREATE TABLE")) {
				t.Errorf("%s is not encrypted", filepath.Base(file))
			}
		}
		if encrypted := d.rows(t, "SHOW BINARY LOGS"); kind == servers.MySQL && slices.ContainsFunc(encrypted, func(row []string) bool { return !strings.EqualFold(row[2], "yes") }) {
			t.Errorf("not all files are encrypted: %v", encrypted)
		}
	})
}
