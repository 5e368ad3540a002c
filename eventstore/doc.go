// Package eventstore is the log: the one contract between the side that captures changes (package cdc) and the side that
// keeps read models (package projector). Neither imports the other.
//
// # What a log promises
//
//  1. Records of one partition stand in rising order of (CSN, Index), each once.
//  2. A [Watermark] at CSN n says: every record with csn <= n is in the log, and these are the ends of the partitions.
//     Watermarks never go back, in csn, position or ends.
//  3. A [Cut] hands over whole transactions in commit order: everything after the previous cut up to a watermark's CSN,
//     never less, never more.
//
// # The commit sequence number
//
// One writer numbers every committed transaction of one source with the next integer, its [CSN], in commit order. Numbers are
// written down with the data (see [Stamp]) before anyone relies on them, so a successor finishes what was begun with the same
// numbers. CSNs rise and may have gaps; 0 is before the first transaction.
//
// # Topics
//
// A table's rows are in a topic of their own, [RowTopic], unless [Routes] say otherwise; writer and readers are given the same routes. A
// reader goes by the table that a record names, never by the topic alone.
//
// # The writer's duties
//
// [Log.Begin] fences every earlier writer: after it has returned, nothing an earlier writer sends can land. It reports the
// last watermark and the [Tail], the records above it. The writer then, in this order:
//
//  1. finishes the tail: emits again the stamped transactions under their stamped numbers, leaving out each record at or below
//     the partition's last (CSN, Index);
//  2. appends flushes: [Writer.Append] returns when every record of the flush is acknowledged, one flush at a time;
//  3. writes a watermark after each flush that ends at a transaction's end, with [Writer.Watermark].
//
// A writer that was fenced gets [ErrFenced] and must write nothing more. After any other error of Append or Watermark the
// outcome is unknown: close the writer and Begin again.
//
// # Several writers
//
// A [LeaderLog] lets would-be writers agree on one that leads. That is about time only: what keeps them apart is Begin.
//
// # The reader's duties
//
// [Log.Cuts] is an iterator over cuts, and each [Cut.Records] an iterator over records: neither is ever a slice, because a cut
// may be larger than memory. A record is valid until the next one is asked for. Progress is one number, the CSN of the last cut
// whose effects are durable.
//
// # Schemas
//
// The topic [SchemaTopic] says which columns rows had: [RowChange.Definition] names a [TableDefinition], which stands before the row, and
// [ReadSchemas] collects them. It also has the statements that changed tables as a whole, see [SchemaChange]. A reader of all topics meets
// its records: they are not for [ParseRow].
//
// [MemoryLog] implements the contract in memory. Package eventstore/kafkalog implements it on Kafka. Both pass
// eventstoretest.TestLog.
//
// This package imports the standard library only.
package eventstore
