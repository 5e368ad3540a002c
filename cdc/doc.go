// Package cdc captures the committed changes of a database into a log: commits in, log out.
//
// # The source
//
// A [Source] gives the transactions of one server in commit order, from any [Position] on, as [Slice]s of decoded rows: an
// ordinary transaction is one slice, a huge one several, so that memory is bounded in bytes. Package cdc/binlog is the source for
// MySQL and MariaDB; [MemorySource] is one in memory. Both pass cdctest.TestSource.
//
// A source's duties: every transaction the server committed after the position, each once, whole, in the server's commit order,
// also the ones without a row that passes the filter (they are empty slices: they have a number, too). Rows of a rolled back
// transaction never. What statements did to tables as a whole stands at its place, in the slice's Schema. What it cannot decode it
// reports as a [*DecodeError], never passes over. After an error a stream is
// useless; errors that may pass wrap [ErrUnavailable].
//
// # Choosing
//
// A source captures the tables that its [Filter] takes. Of those, [Columns] leaves columns out or masks their values, and [Keys] chooses
// what the records' keys are made of; the relay's [RowFilter] leaves rows out by a function, and [eventstore.Routes] choose topics. All of
// that is part of the configuration id that stamps and watermarks carry ([Source.ConfigID], and the relay's own rules): behind a finished
// tail a relay goes on with other rules, and says in the watermarks where they began; an unfinished tail must be finished under the rules it
// was begun with ([ErrConfigChanged]). What stands in the log is never rewritten.
//
// [MemorySource] has a filter and no other rules: its changes have the columns and keys that they are committed with.
//
// # The relay
//
// [Relay] numbers the transactions (see [eventstore.CSN]) and appends them, exactly once and in commit order, through crashes,
// restarts and a second relay. It keeps no state of its own: the log's last watermark is its checkpoint. The protocol is in
// docs/decisions/0002-relay-protocol.md, step by step with the failure behind each; the code names the steps.
//
// Beside the rows it writes schema records: a table's definition before the first row that has it, and each schema change at its place
// (docs/decisions/0008-schema-events.md).
//
//	relay, err := cdc.NewRelay(cdc.Config{Source: source, Log: log})
//	err = relay.Run(ctx) // blocks; cancel ctx to drain
//
// With Config.Standby any number of relays run for one log: one leads, the others wait and take over.
//
// A source with several servers is a [Topology]: the relay follows one of them, and another one when that fails. What to do
// when servers change is in docs/operations.md.
//
// This package imports the standard library only.
package cdc
