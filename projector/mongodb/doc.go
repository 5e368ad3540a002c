// Package mongodb is a [projector.Sink] on a MongoDB replica set, version 6 or later. A single node is enough of one.
//
// # What is stored
//
// A read model called home, in generation 7, is the collection home__g7. Readers use home: a view, which [Sink.Publish] points at a
// generation in one atomic step (collMod). The view hides tombstones and the two fields that the sink adds:
//
//	_id    the document's id, a string
//	_v     its projector.Version, a 64-bit integer
//	_gone  in a tombstone, the time of the delete; a TTL index removes it after Config.TombstoneAge
//
// A document with a field _id, _v or _gone of its own, at its top, is refused. Readers get everything that views allow: find,
// aggregate, count, and the collection's indexes, which [Indexes] asks for. Change streams and writes are not possible on a view.
//
// Progress records are in the collection millrace_progress.
//
// # Values
//
// The JSON document becomes BSON with its fields in their order. Integers become int32 or int64, by size; other numbers become
// doubles if the shortest decimal text of the double is the same number, and else, like integers beyond 64 bits, Decimal128. Numbers
// that this cannot hold exactly (more than 34 digits) are refused, never rounded. Names with dots and dollar signs, also empty ones, are
// stored as they are. Refused, each by itself, are: names that occur twice in an object, names with NUL, unpaired surrogates, more than 100
// levels, and documents over 16 MiB of BSON.
//
// [Sink.Get] gives the document back in canonical form: the fields in their order, no spaces, numbers and strings as
// encoding/json writes them with SetEscapeHTML(false). 1.50 comes back as 1.5, and 1.0 as 1.
//
// # How writes are ordered
//
// Each write is an update by _id, with upsert, whose pipeline keeps the stored document if its _v is not older; the decision and
// the write are one atomic step on the server. Writes are acknowledged by a majority. An update command tells how many documents it changed, not
// which: only when some did not change are their versions read back, which tells a repeat (Applied) from a loss (Stale). While large batches meet no
// stored document, as in an initial build, they are sent as inserts, which cost half; what an insert does not do is sent again as an update. Commands carry
// the collection's UUID, so that a dropped collection is an error, and is never created in passing; so is one that was dropped and made
// anew behind the sink's back, until [Sink.Prepare] is called again.
//
// A duplicate key in a unique index that the user asked for is Refused. Lost connections, elections and time-outs leave
// everything unknown: the error wraps [projector.ErrUnavailable], and repeating the writes is harmless.
//
// # What the account needs
//
// The roles readWrite and dbAdmin on the database. [Sink.Check] says which privileges are missing.
package mongodb
