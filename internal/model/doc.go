// Package model explores the relay protocol of docs/decisions/0002-relay-protocol.md: every order in which up to three relays, the broker, a
// reader and an operator can act on a small history, breadth first, so that what it finds is a shortest way there. make verify-model runs
// all of it, go test ./cdc -run TestModel the smaller runs.
//
// A crash is a relay that never acts again; a zombie is one that acts later; a failed session is a crash and the next relay. All are
// covered by the order of actions alone. A lost reply is one that is never used.
//
// # What is the code's own
//
// What a relay writes is not modelled: a [Session] plays the functions of package cdc, in its order and with its errors, on a log that is
// given to it: the first watermark, the plan of a tail and its finish, the numbering, stamps, rendering, definitions, positions with open XA
// prepares, chunks of tables with their windows and places, and the watermarks. Only what depends on time is chosen: the sizes of flushes,
// when a chunk is read, and how far its view is ahead of the stream. Package cdc has the Session in its tests, so that model and code cannot
// drift: a relay that writes something else is explored as it is.
//
// # What is modelled
//
// The broker: producer ids and epochs, the coordinator, abort markers that are written one by one behind the OK, batches of one record that
// are appended in order of their sequence; the steps 5 to 10 and 16 of the log's writer; the ends of step 20; the reader of steps 22 and
// 23; the lease (8, 17) and the time that makes ids expire; servers with other commit orders, more or fewer transactions, XA transactions, and another filter or
// routing.
//
// # What is checked
//
// In every state: each row is in the log once; places rise in a partition; a transaction has one csn and a csn one transaction; the order is
// one that the servers have; a watermark's ends hold exactly the records up to its csn; all rows of its position are under it, and no
// others, and it names the XA transactions that are open; watermarks never fall; a chunk's row is the one that the log has there; a table
// that a position calls whole is what the log makes of it; each row finds its table's definition before it; a cut that a reader gets is what
// the log has there, in order, and none is skipped. Relays halt only where the run says so. Where nothing can happen any more, the log is
// complete, and read.
//
// Each run of [Broken] takes one [Step] out, and must come to a state in which that is not so.
//
// # What is not in it
//
// Brokers that lose what they have acknowledged, high watermarks, compaction, retention of data, several batches of a partition in flight,
// the MariaDB notation of positions, statements about tables, several servers to choose from, goroutines and their shutdown, bytes: those
// have tests on real servers (docs/guarantees.md).
package model
