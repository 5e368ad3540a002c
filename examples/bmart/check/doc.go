// Package check compares what the library made of a database with the database itself. It shares no code with what it checks: log
// and binlog are read by package internal/integration/history, and the documents are compared with rows read by one SQL query.
//
//   - [CompareHistories] compares the two histories.
//   - [ExpectedHomes] and [ExpectedProducts] read the tables, [CompareDocuments] compares.
package check
