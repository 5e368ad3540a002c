// Package elastic is a [projector.Sink] on Elasticsearch 8.
//
// # What is stored
//
// A read model called home, in generation 7, is the index home__g7. It is written through the alias home__g7_write, and only through
// it (require_alias), so that a deleted index is an error and never comes back with guessed mappings. Readers use the alias home,
// which [Sink.Publish] moves to a generation in one atomic step; its filter hides tombstones.
//
// A document is stored as it was given: its JSON is the _source, its id the _id, and its [projector.Version] Elasticsearch's own
// _version. A field _gone, of type date, is added to the mapping. A deleted document is the tombstone {"_gone": milliseconds}, so that
// its version outlives index.gc_deletes, a closed index and a moved shard; [Sink.Sweep] removes old ones. A document that has a field
// _gone of its own is refused.
//
// Searches through the alias home never find a tombstone. Reading one document by its id (GET home/_doc/1) does not use an alias's
// filter: plain clients see {"_gone": …} for a deleted document there.
//
// Progress records are in the index millrace-progress-1, behind the alias millrace-progress.
//
// # How writes are ordered
//
// Every write is a bulk operation with version_type=external: strictly newer wins. A version conflict means that the index holds this
// very version (Applied) or a newer one (Stale). The results of a bulk request are read item by item, by position and id. What may
// pass (429, 5xx, a full disk's read-only block, a closed index) is Retry; a missing alias is an error of the call; everything else is
// Refused, with Elasticsearch's error type and only those parts of its reason that hold no document text. A request
// that failed as a whole, or whose reply was cut or lacks items, leaves everything unknown: the error wraps
// [projector.ErrUnavailable], and repeating the writes is harmless.
//
// # What the account needs
//
// The cluster privilege monitor, and create_index, manage, index, delete, read and view_index_metadata on NAME and NAME__g* for each read
// model, and on millrace-progress and millrace-progress-1. [Sink.Check] and [Sink.Prepare] say which are missing. Scripts, _update_by_query and
// _delete_by_query are not used.
package elastic
