// Package bmart is a grocer with many small shops, the example that shows the whole line: a shop's catalog is spread over four
// tables, and readers want it as one document that follows the database.
//
//   - schema: the tables, and the accounts with what each may do.
//   - load: shopkeepers and customers, who change the tables all the time.
//   - home, product: the two read models, with their tests: what to copy.
//   - freshness: how long a commit takes to become a document.
//   - page: a browser's view of a tree while it changes.
//   - check: the log against the database's own binlog, the documents against SQL.
//   - cmd/demo: all of it in one command, `make demo`.
package bmart
