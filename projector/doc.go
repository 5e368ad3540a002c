// Package projector keeps read models: JSON documents in Elasticsearch, MongoDB or memory that follow the log.
//
// # Kinds
//
// A [Query] turns changes into target ids, collects them over a window, and lets the user's loader read those targets from the
// database in one consistent snapshot. A [Fold] applies row changes to documents, one handler a table, from the log alone. Both run
// in a [Runner].
//
// # What a document's version means
//
// Every write carries a [Version], the generation of the read model and a CSN. A [Sink] refuses a write whose version is not newer
// than what it has, so a late, repeated or concurrent writer does no harm. A Fold document at CSN n is exactly what its
// definition says of the log up to n. A Query document at CSN n is at least as new as n, never torn by the loader, never going back.
// A deleted document leaves a tombstone that keeps its version, so that an older write cannot bring it back; readers do not see
// it.
//
// # Progress
//
// Progress is one number per projector, kept in its sink and written after the last acknowledgement: a lower bound. Everything at or
// below it is in the sink; documents may be ahead. A restart repeats at most what lies above it.
//
// # Failures
//
// What may pass (an unreachable sink or database) is retried for ever with backoff; reading pauses meanwhile. What will not pass (a
// document the sink refuses, a handler's error or panic, an undecodable row) halts that projector with an error that names document
// and csn; the others go on, and Runner.Run returns once it is told to stop, or when every projector has halted.
//
// This package imports the standard library only.
package projector
