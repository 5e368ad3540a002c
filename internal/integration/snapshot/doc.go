// Package snapshot checks that a log which begins with a snapshot has the tables: `make verify-snapshot`.
//
// [Run] starts a private database server with tables of many rows, whose oldest binlogs are purged, a relay in a process of its own that writes to a
// real Kafka, and a seeded load: single and multi-row statements, changed keys, REPLACE, transactions of several statements, XA, rollbacks,
// schema changes, FLUSH BINARY LOGS. While the tables are read in chunks the relay is killed with SIGKILL. Then a [Checker] follows the log, read by
// another Kafka client, in commit order. What it ends with must be what the server's own SELECT says; and at each record, whatever was before it must
// agree with what the record says was before it, so that a chunk that is wrong is found even if a later change makes good for it.
//
// [RunPace] measures what a snapshot does to a steady stream, [RunSize] reads a table that is larger than the relay's memory.
package snapshot
