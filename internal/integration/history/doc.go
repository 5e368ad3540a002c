// Package history reads the histories that a check compares, without any code of the library: a database's binlog, from the text that
// mysqlbinlog or mariadb-binlog print ([ParseBinlog]), the log and its watermarks, with another Kafka client and encoding/json ([ReadLog],
// [ReadMarks]), and what the clients of the database were told ([Ledger]). [Judge] compares them.
package history
