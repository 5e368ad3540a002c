// Package kafkalog is the log on Kafka: [eventstore.Log] on ordinary topics that any Kafka client can read.
//
// # Topics
//
// A topic of the seam, e.g. "shop.stock", is the Kafka topic "<pipeline>.shop.stock". Beside them stands "<pipeline>.watermark"
// with one partition, whose records are the watermarks. Row topics have a dot in their name, so none can be called so. Topics are
// created with cleanup.policy=delete and without retention. Existing ones are checked, and the brokers, as far as the account may see their
// settings: they must take requests as large as MaxMessageBytes, and remember producers for two leases. All deviations are in one
// [*SettingsError], before anything is written.
//
// A data record has the headers "csn" and "index", decimal text, and, if it is the first of its batch, "stamp": JSON that says
// which csn is which transaction of the source. A watermark's value is JSON.
//
// # Writing
//
// [Log.Begin] takes the producer id of the pipeline's transactional id with a new epoch, and fences the watermark partition and
// then every partition that the last watermark lists, with an empty aborted transaction. The abort's first OK does not mean that
// its markers are written: old writers were still accepted for up to a second after it. Only the answer to a repeated EndTxn says
// so, and only then the tail is read. Nothing else is transactional: data are idempotent batches of that producer id and epoch,
// one at a time in each partition, repeated byte for byte under the same sequence number until the outcome is known. A new topic
// is created, then listed in a watermark, then written.
//
// A fence is good for as long as the brokers remember it. So a writer that is used renews it, six times in a lease ([Config.Lease]), and one
// that could not, since it was stopped for instance, ends itself with [eventstore.ErrUnavailable], and its owner begins again. A successor
// whom the fence does not protect waits for the lease that the last watermark states, so nobody relies on a longer one before it has stated it.
//
// # Leading
//
// [Log.Lead] is over the topic "<pipeline>.leader", whose records nobody but the contenders reads, and which is kept for an hour.
//
// # Reading
//
// [Log.Cuts] follows the watermark topic, and fetches the data partitions ahead of the reader, up to the ends that the watermarks
// state, within one budget of bytes. Broker failures are retried inside; what ends an iteration does not pass.
//
// kafka-go is the client. Fetch requests are encoded and decoded here, see fetch.go.
package kafkalog
