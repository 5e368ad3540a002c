// Package check compares what the library made of a database with the database itself. It shares no code with what it checks: the log
// is read with another Kafka client and parsed with encoding/json, the binlog is the text that mysqlbinlog or mariadb-binlog print, and
// the documents are compared with rows read by one SQL query.
//
//   - [ParseBinlog] and [ReadLog] read the two histories, [CompareHistories] compares them.
//   - [ExpectedHomes] and [ExpectedProducts] read the tables, [CompareDocuments] compares.
package check
