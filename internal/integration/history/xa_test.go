package history

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The rows of an XA transaction come with its commit, and what was rolled back comes not at all. The texts are what the servers' own
// programs printed: XA committed, rolled back and in one phase, a savepoint, and on MariaDB mixes with tables without transactions, where ROLLBACK TO and ROLLBACK
// stand in the binlog.
func TestParseXAAndSavepoints(t *testing.T) {
	for flavor, want := range map[string]string{
		"mysql": `CREATE TABLE t(id INT PRIMARY KEY, tx BIGINT, v VARCHAR(20))
			CREATE TABLE m(id INT PRIMARY KEY, tx BIGINT) ENGINE=MyISAM
			prepare X'6731',X'62',7
			commit X'6731',X'62',7 c:1 c:2
			prepare X'6732',X'',1
			rollback X'6732',X'',1
			c:4
			c:5 u:5
			c:1`,
		"mariadb": `CREATE TABLE t(id INT PRIMARY KEY, tx BIGINT, v VARCHAR(20))
			CREATE TABLE m(id INT PRIMARY KEY, tx BIGINT) ENGINE=MyISAM
			prepare X'6731',X'62',7
			commit X'6731',X'62',7 c:1 c:2
			prepare X'6732',X'',1
			rollback X'6732',X'',1
			c:4
			c:5 u:5
			c:1
			CREATE DATABASE IF NOT EXISTS gexp
			CREATE TABLE t(id INT PRIMARY KEY, tx BIGINT, v VARCHAR(20))
			CREATE TABLE m(id INT PRIMARY KEY, tx BIGINT) ENGINE=MyISAM
			c:6
			c:5 u:5 took back
			c:7
			c:8
			c:8 took back
			c:18
			c:9
			prepare X'6734',X'',1
			rollback X'6734',X'',1
			c:10
			prepare X'6735',X'',1
			commit X'6735',X'',1
			CREATE TABLE ` + "`c`" + ` ( c:5 c:8
			TRUNCATE m`,
	} {
		t.Run(flavor, func(t *testing.T) {
			text, err := os.Open("testdata/xa-" + flavor + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			defer text.Close()
			transactions, err := ParseBinlog(text, flavor)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, tx := range transactions {
				if line := summary(&tx); !strings.HasPrefix(line, "DROP") {
					got = append(got, line)
				}
			}
			if got, want := strings.Join(got, "\n"), strings.ReplaceAll(want, "\t", ""); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// summary is a transaction in one line: what it is, and the op and first column of its rows.
func summary(t *Transaction) string {
	words := []string{}
	if t.Kind != Ordinary {
		words = append(words, [...]string{"", "prepare", "commit", "rollback"}[t.Kind], t.XID)
	}
	words = append(words, t.Statements...)
	for _, r := range t.Rows {
		image := r.After
		if image == nil {
			image = r.Before
		}
		words = append(words, fmt.Sprintf("%c:%s", r.Op, image[0].Text))
	}
	if t.TookBack {
		words = append(words, "took back")
	}
	return strings.Join(words, " ")
}

// A transaction that a crash cut off at the end of a file was never committed.
func TestParseBinlogCutOff(t *testing.T) {
	text := "#1 server id 1\tGTID 0-1-1 trans\nSTART TRANSACTION\n### INSERT INTO `a`.`b`\n### SET\n###   @1=1 /* INT */\n" +
		"#2 server id 1  end_log_pos 256 \tStart: binlog v 4, server v 10.11 created at startup\nROLLBACK/*!*/;\n" +
		"#3 server id 1\tGTID 0-1-1 trans\nSTART TRANSACTION\n### INSERT INTO `a`.`b`\n### SET\n###   @1=2 /* INT */\nCOMMIT/*!*/;\n"
	got, err := ParseBinlog(strings.NewReader(text), "mariadb")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || summary(&got[0]) != "c:2" {
		t.Errorf("got %+v", got)
	}
}
