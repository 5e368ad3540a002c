// Package transactions checks that the log has exactly what the databases commit, whatever kind of transaction it was, and whoever was
// killed meanwhile: `make verify-transactions`.
//
// [Run] starts a private database server and a relay in a process of its own that writes to a real Kafka. Seeded connections run ordinary
// transactions, XA transactions (committed, rolled back, in one phase, prepared and completed by another connection after others, also across
// restarts of the server and of the relay), savepoints, statements on tables without transactions, and schema changes. Meanwhile the
// relay is killed with SIGKILL, preferably while it appends, and the server is shut down or killed, and started again.
//
// Then three witnesses are compared with the log, none of which shares code with what it checks:
//
//   - the server's binlog, as its own tool prints it (package history): which transactions were committed, in which order, and each
//     of their rows, in order, with all values;
//   - the ledger of what the clients were told. Each transaction has a number that stands in every row it writes;
//   - the tables at the end, row by row.
//
// [Judge] counts what is lost, duplicated, reordered or a phantom: a row of what was never committed, was rolled back, or was only prepared.
package transactions
