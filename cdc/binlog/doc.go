// Package binlog follows the binlog of a MySQL (8.0 and later) or MariaDB (10.6 and later) server: it is the [cdc.Source] for both.
//
//	source, err := binlog.New(binlog.Config{Addr: "127.0.0.1:3306", User: "cdc", Password: "…", Filter: cdc.Filter{Include: []string{"shop.*"}}})
//	err = source.Check(ctx) // everything that is wrong with the server's settings and the account's grants, at once
//
// # What it gives
//
// Every transaction of the server behind a position, in commit order, with its GTID: also those without a row that passes the
// filter, and schema changes. Rows are rendered as docs/types.md says, with the columns' names, types, character sets and
// labels that the event itself carries (binlog_row_metadata = FULL): there is no history of schemas to lose. Of statements only the names of
// tables are read: what they do to captured tables as a whole stands in [cdc.Slice].Schema (docs/decisions/0008-schema-events.md).
// Character sets are converted as the servers do it. Compressed transactions (MySQL), compressed events (MariaDB), encrypted files, which the server decrypts,
// and tagged GTIDs are read; checksums are verified. Partial JSON updates (MySQL) are applied, so that an image has the whole document;
// COMPRESSED columns (MariaDB) have the value that they would have without it.
//
// An image has the columns that its event has. With binlog_row_image FULL, which is demanded unless [Config.PartialRows] is set, those
// are all. NOBLOB and MINIMAL leave columns out: they are listed in the change's Absent, and never null. The key is put together from
// both images; a row whose key is in none of them is refused.
//
// [Config.Columns] leaves out columns, and replaces, hashes or truncates their values; [Config.Keys] chooses the columns of the records'
// keys, which tables without a primary key need. A column that is left out is passed over unread: its type need not be supported.
//
// [Source.Select] reads a table by SELECT, with the same choice and the same bytes.
//
// # Snapshots
//
// A source is a [cdc.SnapshotSource]: [Source.Tables] lists the captured tables, and a reader of [Source.OpenChunks] reads them in chunks, over a connection of its own. Each chunk is a
// transaction of its own with a view (REPEATABLE READ), as short as its SELECT; it takes no lock but the metadata lock that every SELECT has, for
// which an ALTER TABLE waits. The account needs no grant besides those of the stream. What was delivered is visible in the chunk: the reader waits for that, milliseconds on a primary, up to half
// a minute on a replica that lags (docs/decisions/0011-reading-chunks.md).
//
// Tables are walked along their primary key, of whatever types, by its own collations, or along a unique index of columns that are NOT
// NULL. Tables that have neither, system-versioned tables, and those whose key is masked or left out are a [*cdc.DecodeError] when
// they are read. A key that begins with an ENUM, a SET, or a prefix of a column makes the server pass over the rows before each chunk. A chunk with
// a condition looks at ten times its rows at most, and may have none.
//
// # Transactions
//
// What was never committed is never given. The rows of an XA transaction come at its XA COMMIT, as that transaction's; its XA PREPARE is an
// empty transaction before, and its XA ROLLBACK one behind. What was rolled back to a savepoint, or as a whole, is dropped: servers
// write it into the binlog with a ROLLBACK behind it when they cannot take it out again. So is what a MariaDB server wrote of a transaction
// when it was killed: it rolls it back when it starts, and leaves the file as it was. Rows of tables without transactions, which no
// ROLLBACK undoes, stand in transactions of their own. Rows are numbered without those that were dropped.
//
// For that the events of an XA transaction wait until it is completed, those of a transaction with savepoints until its end, and those
// of MariaDB's transactions that are more than a slice, too: in memory, and beyond Config.SpillBytes in files.
//
// A position names the XA transactions that are open there ([eventstore.Position]); from the slices' Prepared and Completed it can be kept. A
// stream that begins with it gets their events again from the server, and gives nothing for them: as long as one is open, its binlog file
// must not be purged. Opening a position whose XA PREPARE was purged is [cdc.ErrPositionLost], but where the server has no such
// transaction any more and says so (MySQL does to accounts with XA_RECOVER_ADMIN), and no other server of the source still has the
// position: then the server is taken to have forgotten the transaction, and it is passed over.
//
// # What it refuses
//
// By name, with the transaction, its place and its table, as a [*cdc.DecodeError]: row images
// that are not FULL, and with [Config.PartialRows] those without their key, or without the document that a partial JSON update changes; changes as statements; tables without a primary key whose key is not chosen;
// chosen keys and masks that a table cannot have; rows without column names; temporal
// columns from before MySQL 5.6 (MariaDB); ALTER TABLE that drops, empties or exchanges partitions or
// tablespaces; an XA COMMIT whose XA PREPARE
// is not known; incidents; transactions without GTID; events it does not know. Tables that
// the filter leaves out are never a reason, but for what cannot be attributed to a table. [Source.Check] finds before the start what it can: also
// foreign keys that change rows behind the binlog's back.
//
// # Several servers
//
// With Config.Addrs a source has several servers with one history: see [cdc.Topology] for which one is followed. Its own methods
// answer from the first that can, beginning with the last good one; when none can, a [*cdc.ServersError] says why of each.
// [Source.Horizon] estimates how long a server keeps what comes behind a position. docs/operations.md says what to do in a failover.
//
// # Errors
//
// What may pass wraps [cdc.ErrUnavailable]: unreachable, cut off, silent for three heartbeats, shutting down, too many connections, the server
// id taken by another replica. A stream never reconnects by itself; open a new one behind the last whole transaction. A position
// whose binlog was purged is [cdc.ErrPositionLost]; one that the server has not reached, or has lost, or that is of another server's
// history, [cdc.ErrSourceBehind]. An expired certificate may pass, too. Wrong passwords and missing grants are plain errors.
//
// # Resources
//
// A reader of chunks has one connection, and holds one chunk while it reads it. A chunk's rows stand in one piece of memory that belongs to it.
//
// A stream has one connection, one goroutine that reads it, and at most 1 MiB of events waiting, or one event when that is bigger;
// when the caller of Next is slow, the server waits. Decoding happens in Next, into buffers that the stream reuses. Close ends the goroutine
// and removes the files.
//
// A row is held whole: its event, and then its JSON, of which base64 makes four thirds. Of rows beyond 16 MiB only one is in memory: the next
// one is read when Next is called again. A compressed transaction of MySQL, one event of up to a gigabyte, goes to a file (Config.SpillBytes).
package binlog
