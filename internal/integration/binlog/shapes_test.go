package binlog

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestShapes: tables and statements of every shape, and what the stream has of them.
func TestShapes(t *testing.T) {
	for _, tt := range []struct {
		name       string
		only       servers.Kind
		statements []string
		want       []string
	}{
		{name: "without transactions", statements: []string{"CREATE TABLE a (id INT PRIMARY KEY) ENGINE=MyISAM", "INSERT INTO a VALUES (1), (2)", "DELETE FROM a WHERE id = 1"},
			want: []string{`c {"id":1}`, `c {"id":2}`, `d {"id":1}`}},
		{name: "partitions", statements: []string{"CREATE TABLE a (id INT PRIMARY KEY, v INT) PARTITION BY HASH (id) PARTITIONS 4", "INSERT INTO a VALUES (1, 1), (2, 2)", "UPDATE a SET v = 3, id = 6 WHERE id = 1"},
			want: []string{`c {"id":1}`, `c {"id":2}`, `u {"id":6} was {"id":1}`}},
		{name: "key on a prefix", statements: []string{"CREATE TABLE a (v VARCHAR(20), n INT, PRIMARY KEY (v(3)))", "INSERT INTO a VALUES ('abcdef', 1)"},
			want: []string{`c {"v":"abcdef"}`}},
		{name: "key in another order", statements: []string{"CREATE TABLE a (x INT, y INT, z INT, PRIMARY KEY (z, x))", "INSERT INTO a VALUES (1, 2, 3)"},
			want: []string{`c {"z":3,"x":1}`}},
		{name: "invisible key", statements: []string{"CREATE TABLE a (v INT, k INT AUTO_INCREMENT PRIMARY KEY INVISIBLE)", "INSERT INTO a VALUES (7)"},
			want: []string{`c {"k":1}`}},
		{name: "generated invisible key", only: servers.MySQL, statements: []string{"SET SESSION sql_generate_invisible_primary_key = 1", "CREATE TABLE a (v INT)", "INSERT INTO a VALUES (7)"},
			want: []string{`c {"my_row_id":1}`}},
		{name: "functional index", only: servers.MySQL, statements: []string{"CREATE TABLE a (id INT PRIMARY KEY, v INT, j JSON, INDEX ((v + 1)), INDEX ((CAST(j AS UNSIGNED ARRAY))))", "INSERT INTO a VALUES (1, 2, '[1, 2]')"},
			want: []string{`c {"id":1}`}},
		{name: "create as select", statements: []string{"CREATE TABLE a (PRIMARY KEY (id)) SELECT 1 AS id UNION SELECT 2"},
			want: []string{`c {"id":1}`, `c {"id":2}`}},
		{name: "trigger", statements: []string{"CREATE TABLE a (id INT PRIMARY KEY)", "CREATE TABLE b (id INT PRIMARY KEY)", "CREATE TRIGGER t AFTER INSERT ON a FOR EACH ROW INSERT INTO b VALUES (NEW.id + 10)", "INSERT INTO a VALUES (1), (2)"},
			want: []string{`c {"id":1}`, `c {"id":11}`, `c {"id":2}`, `c {"id":12}`}},
		{name: "rename and alter", statements: []string{"CREATE TABLE a (id INT PRIMARY KEY)", "INSERT INTO a VALUES (1)", "ALTER TABLE a CHANGE id no BIGINT", "RENAME TABLE a TO b", "INSERT INTO b VALUES (2)", "DROP TABLE b",
			"CREATE TABLE b (id CHAR(3) PRIMARY KEY)", "INSERT INTO b VALUES ('x')"}, want: []string{`c {"id":1}`, `c {"no":2}`, `c {"id":"x"}`}},
		{name: "temporary table", statements: []string{"CREATE TEMPORARY TABLE tmp (id INT PRIMARY KEY)", "INSERT INTO tmp VALUES (1)", "CREATE TABLE a (id INT PRIMARY KEY)", "INSERT INTO a SELECT * FROM tmp", "DROP TEMPORARY TABLE tmp"},
			want: []string{`c {"id":1}`}},
		{name: "savepoints", statements: []string{"CREATE TABLE a (id INT PRIMARY KEY)", "BEGIN", "INSERT INTO a VALUES (1)", "SAVEPOINT s", "INSERT INTO a VALUES (2)", "ROLLBACK TO s", "INSERT INTO a VALUES (3)", "COMMIT"},
			want: []string{`c {"id":1}`, `c {"id":3}`}},
		{name: "sequence", only: servers.MariaDB, statements: []string{"CREATE SEQUENCE s", "CREATE TABLE a (id INT PRIMARY KEY)", "INSERT INTO a VALUES (NEXTVAL(s))", "DO NEXTVAL(s)", "SELECT SETVAL(s, 5000)", "DROP SEQUENCE s"},
			want: []string{`c {"id":1}`}},
		{name: "system versioning", only: servers.MariaDB, statements: []string{"CREATE TABLE a (id INT PRIMARY KEY) WITH SYSTEM VERSIONING", "INSERT INTO a VALUES (1)"},
			want: []string{`c {"id":1`}},
		{name: "two-phase alter", only: servers.MariaDB, statements: []string{"SET SESSION binlog_alter_two_phase = 1", "CREATE TABLE a (id INT PRIMARY KEY)", "ALTER TABLE a ADD COLUMN v INT DEFAULT 3", "INSERT INTO a (id) VALUES (1)"},
			want: []string{`c {"id":1}`}},
		{name: "administration", statements: []string{"CREATE TABLE a (id INT PRIMARY KEY)", "ANALYZE TABLE a", "OPTIMIZE TABLE a", "CREATE VIEW w AS SELECT * FROM a", "DROP VIEW w", "CREATE USER IF NOT EXISTS shape@localhost",
			"GRANT SELECT ON *.* TO shape@localhost", "DROP USER shape@localhost", "FLUSH TABLES", "SET @x = 7", "INSERT INTO a SELECT @x", "CREATE PROCEDURE p() INSERT INTO a VALUES (8)", "CALL p()"},
			want: []string{`c {"id":7}`, `c {"id":8}`}},
		{name: "names", statements: []string{"CREATE TABLE `a``b.\"ü` (`id\"` INT PRIMARY KEY, `sp ace` INT)", "INSERT INTO `a``b.\"ü` VALUES (1, 2)"},
			want: []string{`c {"id\"":1}`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, kind servers.Kind) {
				if tt.only != "" && tt.only != kind {
					return
				}
				d := open(t, servers.Find(t, kind), "shapes")
				d.SetMaxOpenConns(1)
				from := d.executed(t)
				for _, s := range tt.statements {
					d.exec(t, s)
				}
				var got []string
				for _, c := range changes(read(t, d.source(t), from, d.executed(t))) {
					line := fmt.Sprintf("%c %s", c.Op, c.Key)
					if c.OldKey != nil {
						line += " was " + string(c.OldKey)
					}
					got = append(got, line)
				}
				if !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			})
		})
	}
}
