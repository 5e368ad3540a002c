// Package history reads the two histories that a check compares, without any code of the library: a database's binlog, from the text that
// mysqlbinlog or mariadb-binlog print ([ParseBinlog]), and the log, with another Kafka client and encoding/json ([ReadLog]).
package history
