package binlog

import "testing"

func TestClassify(t *testing.T) {
	for _, tt := range []struct {
		text string
		want statement
	}{
		{"BEGIN", statement{kind: queryBegin}},
		{"begin /* x */", statement{kind: queryBegin}},
		{"START TRANSACTION", statement{kind: queryBegin}},
		{"START ALTER TABLE t ADD c INT", statement{kind: querySchema}},
		{"COMMIT", statement{kind: queryCommit}},
		{"COMMIT ALTER TABLE t", statement{kind: querySchema}},
		{"ROLLBACK", statement{kind: queryRollback}},
		{"ROLLBACK TO `s`", statement{kind: queryRollbackTo, name: "s"}},
		{"ROLLBACK WORK TO SAVEPOINT s", statement{kind: queryRollbackTo, name: "s"}},
		{"SAVEPOINT `BEGIN`", statement{kind: querySavepoint, name: "BEGIN"}},
		{"SAVEPOINT `a``b \"c`", statement{kind: querySavepoint, name: "a`b \"c"}},
		{"RELEASE SAVEPOINT s", statement{kind: querySavepoint, name: "s"}},
		{"XA START X'01',X'',1", statement{kind: queryXA}},
		{"/* comment */ -- other\n# third\nINSERT INTO t VALUES (1)", statement{kind: queryDML}},
		{"replace into t select 1", statement{kind: queryDML}},
		{"WITH x AS (SELECT 1) DELETE FROM t", statement{kind: queryDML}},
		{"LOAD DATA INFILE 'x' INTO TABLE t", statement{kind: queryDML}},
		{"/*!50100 DELETE FROM t */", statement{kind: queryDML}},
		{"/*M!100100 DELETE FROM t */", statement{kind: queryDML}},
		{"SET STATEMENT max_statement_time=1 FOR UPDATE t SET a=1", statement{kind: queryDML}},
		{"SET STATEMENT max_statement_time=1 FOR DROP TABLE t", statement{kind: querySchema}},
		{"SET PASSWORD FOR a@b = 'x'", statement{kind: querySchema}},
		{"CREATE TABLE `a` (id INT, `select` INT) COMMENT='select'", statement{kind: querySchema}},
		{"CREATE TABLE a LIKE b", statement{kind: querySchema}},
		{"CREATE TABLE a AS SELECT 1", statement{kind: queryDML}},
		{"CREATE OR REPLACE TEMPORARY TABLE a (x INT) SELECT 1", statement{kind: queryDML}},
		{"CREATE TABLE a (id INT) PARTITION BY RANGE (id) (PARTITION p VALUES LESS THAN (1))", statement{kind: querySchema}},
		{"CREATE TABLE shop.select (id INT)", statement{kind: querySchema}},
		{"CREATE TABLE IF NOT EXISTS `shop` . select (id INT, FOREIGN KEY (id) REFERENCES shop.table (id))", statement{kind: querySchema}},
		{"CREATE TABLE shop.values LIKE shop.row", statement{kind: querySchema}},
		{"CREATE TABLE shop.select SELECT 1", statement{kind: queryDML}},
		{"CREATE TABLE a MAX_ROWS = 1. SELECT 1", statement{kind: queryDML}},
		{"CREATE TABLE a (b.select INT) AS VALUES ROW(1)", statement{kind: queryDML}},
		{"CREATE TABLE a (x INT) VALUES (1), (2)", statement{kind: queryDML}},
		{"CREATE TABLE a TABLE b", statement{kind: queryDML}},
		{"CREATE VIEW v AS SELECT * FROM t", statement{kind: querySchema}},
		{"CREATE DEFINER=`root`@`%` PROCEDURE p() BEGIN INSERT INTO t SELECT 1; END", statement{kind: querySchema}},
		{"DROP TABLE IF EXISTS t", statement{kind: querySchema}},
		{"# Dummy event replacing event type 160", statement{kind: querySchema}},
		{"TRUNCATE t", statement{kind: querySchema}},
		{"ALTER TABLE t COMMENT '', CONVERT TABLE u TO PARTITION p VALUES LESS THAN (9)", statement{kind: queryErases, table: "t", otherTable: "u"}},
		{"ALTER TABLE a.t ADD COLUMN c INT", statement{kind: querySchema, schema: "a", table: "t"}},
		{"ALTER ONLINE IGNORE TABLE IF EXISTS a.t ADD COLUMN partition_x INT, DROP COLUMN y", statement{kind: querySchema, schema: "a", table: "t"}},
		{"ALTER TABLE t TRUNCATE PARTITION p0", statement{kind: queryErases, table: "t"}},
		{"ALTER TABLE t DROP PARTITION p0", statement{kind: queryErases, table: "t"}},
		{"ALTER TABLE t EXCHANGE PARTITION p0 WITH TABLE x.u", statement{kind: queryErases, table: "t", otherSchema: "x", otherTable: "u"}},
		{"ALTER TABLE t CONVERT PARTITION p0 TO TABLE `u`", statement{kind: queryErases, table: "t", otherTable: "u"}},
		{"ALTER TABLE t DISCARD TABLESPACE", statement{kind: queryErases, table: "t"}},
		{"ALTER TABLE t ADD PARTITION (PARTITION p VALUES LESS THAN (9))", statement{kind: querySchema, table: "t"}},
		{"ALTER USER a IDENTIFIED BY 'TABLE'", statement{kind: querySchema}},
		{"'quoted'", statement{}},
		{"FROBNICATE", statement{}},
	} {
		got := classify(tt.text, 0)
		got.verb = ""
		if got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.text, got, tt.want)
		}
	}
}
