package transactions

import (
	"github.com/millrace-go/millrace/internal/integration/history"
)

// schema is the database of the load.
const schema = "work"

// tables are the load's. shape_a and shape_b change and exchange their names, brief comes and goes, plain has no transactions.
var tables = map[string]history.Table{
	"item": {Key: 1, Number: 1, Fixed: 4}, "part": {Key: 2, Number: 2, Fixed: 5}, "audit": {Key: 2, Number: 2, Fixed: 5},
	"plain": {Key: 1, Number: 1, Fixed: 4}, "shape_a": {Key: 1, Number: 1, Fixed: 4}, "shape_b": {Key: 1, Number: 1, Fixed: 4},
	"brief": {Key: 1, Number: 1, Fixed: 4},
}

const one = "id INT PRIMARY KEY, tx BIGINT NOT NULL, n INT NOT NULL, v VARCHAR(300) NOT NULL"

// definitions make the tables.
func definitions() []string {
	return []string{
		"CREATE DATABASE " + schema + " CHARACTER SET latin1",
		"CREATE TABLE work.item (" + one + ") ENGINE=InnoDB",
		"CREATE TABLE work.part (a INT, b VARCHAR(20) COLLATE latin1_bin, tx BIGINT NOT NULL, n INT NOT NULL, v VARCHAR(300) NOT NULL, PRIMARY KEY (a, b)) ENGINE=InnoDB",
		"CREATE TABLE work.audit (i BIGINT, k INT, tx BIGINT NOT NULL, n INT NOT NULL, v VARCHAR(300) NOT NULL, PRIMARY KEY (i, k)) ENGINE=InnoDB",
		"CREATE TABLE work.plain (" + one + ") ENGINE=MyISAM",
		"CREATE TABLE work.shape_a (" + one + ") ENGINE=InnoDB",
		"CREATE TABLE work.shape_b (" + one + ") ENGINE=InnoDB",
	}
}
