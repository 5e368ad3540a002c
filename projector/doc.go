// Package projector keeps read models: JSON documents in Elasticsearch, MongoDB or memory that follow the log.
//
// # Kinds
//
// A [Query] turns changes into target ids, collects them over a window, and lets the user's loader read those targets from the
// database in one consistent snapshot. A [Fold] applies row changes to documents, one handler a table, from the log alone. A [Join] makes
// each document of a root row and the rows that belong to it, from the log alone, however many tables away a change is. All run
// in a [Runner], each in a loop of its own:
//
//	runner, err := projector.NewRunner(projector.Config{Log: log, Sinks: []projector.Sink{sink}, Projectors: []projector.Projector{home, products}})
//	err = runner.Run(ctx) // blocks; cancel ctx to drain
//
// Changes are collected over a window, which ends with a transaction, and each document that they concern is written once. A
// transaction is never half in a document.
//
// Tables are found in the topics that [Config.Routes] say, as the log's writer was told. A topic may hold rows of other tables, too: those are
// passed over.
//
// # What a document's version means
//
// Every write carries a [Version], the generation of the read model and a CSN. A [Sink] refuses a write whose version is not newer
// than what it has, so a late, repeated or concurrent writer does no harm. A Fold document at CSN n is exactly what its
// definition says of the log up to n. A Query document at CSN n is at least as new as n, never torn by the loader, never going back;
// one that has lost a row to another document by a commit that the log does not have yet follows with that commit
// (docs/decisions/0003-query-targets.md).
// A deleted document leaves a tombstone that keeps its version, so that an older write cannot bring it back; readers do not see
// it.
//
// # Joins
//
// A [Join] declares tables ([NewTable]), relations between them ([HasMany], [HasOne], [BelongsTo]) and a pure function from a root row to its
// document. A changed row walks up the relations, from its image before and its image after, to the documents it concerns; they are
// built once a window, from the rows as they are at its end. [Part] keeps pieces of wide documents, so that a change of one leaf builds that leaf and
// copies the rest. projectortest.Differential checks a definition against a full recompute.
//
// The rows lie in a [LocalState] ([Config.States]), in memory or on disk. It says where to read on, the sink's progress what to write: documents that have changed
// since the progress are written again whatever the state remembers of them, and a state behind the progress catches up in silence. A state that is
// lost, damaged, or of another log, generation or definition is removed and built anew from the log. While that goes on, and while a new
// generation is built, nothing is written below what was the log's end at the start.
//
// Documents that would read rows without end ([ErrTooDeep]) are parked until a change reaches them. Rows that lack a column of their type, and keys that differ in
// case or spaces at the end only ([ErrSpelling]), halt: documents would be wrong in silence.
//
// A change that concerns more than [Join.SpreadAbove] documents, or a transaction more than [Config.WindowTargets], is spread: reading and other documents go on, [Status.Spread] counts what is left, and
// progress stays below the change until all are written. One document larger than its share of [Join.BytesPerSecond] is written less often.
//
// # Tables that end
//
// TRUNCATE, DROP TABLE and DROP DATABASE of a followed table remove all its rows from a [Fold] or [Join], in the order of their keys, with the
// transaction they stand in; so does a CREATE TABLE behind a rename. A [Query] holds no rows, so it cannot know which documents showed
// them: it halts, and goes on with a raised Version, which it builds from a database in which the table is empty. It does not halt where
// it has seen no row of the table since the log's beginning, nor at what was in the log when building its generation began, in however many
// runs. A renamed table takes no rows along: documents
// stay as they are until rows of the table change (a swap, as online schema changes do it, needs nothing else). An ALTER changes no document.
//
// # Progress
//
// Progress is one number per projector, kept in its sink and written after the last acknowledgement: a lower bound. Everything at or
// below it is in the sink; documents may be ahead. A restart repeats at most what lies above it. It moves at least once a second
// while the log does. [Runner.WaitFor] and [Runner.WaitForGTID] wait for it.
//
// While a snapshot still reads rows of a projector's tables into the log ([Status.Held]), documents would lack them: nothing is written or
// published before the log has them all.
//
// # Versions of a definition
//
// A definition with a raised Version is built anew from the log's start, in the next generation, while readers go on seeing the one
// before; they switch when the new one has reached what was the log's end. The same happens by hand when a read model's store or log is lost:
// the runner says so and halts, it never continues from a log that is not the one the documents came from.
//
// # Failures
//
// Run begins by checking sinks, databases and log, and returns what is wrong. From then on, what may pass (an unreachable sink or
// database) is retried for ever with backoff; reading pauses meanwhile. What will not pass (a
// document the sink refuses, a handler's error or panic, an undecodable row, or one
// whose image lacks columns because the source has left them out of its binlog) halts that projector with an error that names document
// and csn; the others go on, and Runner.Run returns once it is told to stop, or when every projector has halted.
//
// This package imports the standard library only.
package projector
