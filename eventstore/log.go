package eventstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

var (
	// ErrFenced is returned by every call of a [Writer] after a newer writer has begun. The writer must stop for good:
	// a newer relay of the same pipeline is running.
	ErrFenced = errors.New("fenced: a newer writer of this log has begun")

	// ErrUnavailable marks errors of a log that may pass: unreachable, an unknown outcome, a coordinator that moves. Close the
	// writer and Begin again.
	ErrUnavailable = errors.New("log unavailable")

	// ErrClosed is returned by calls on a closed [Writer] or [Log].
	ErrClosed = errors.New("closed")

	// ErrPositionLost is returned by [Log.Cuts], as a [*PositionLostError], when records after the asked CSN are no longer in the log
	// (retention, deletion, compaction). The reader's state cannot be brought up to date from this log.
	ErrPositionLost = errors.New("position lost: the log no longer holds every record after this csn")

	// ErrLogMismatch is returned when what is stored contradicts itself or the caller's knowledge: another log id,
	// an end beyond the log's end, data without a watermark. Nothing was written.
	ErrLogMismatch = errors.New("log mismatch")
)

// Log is an append-only log of transactions with one writer at a time and any number of readers. A Log is safe for
// concurrent use.
type Log interface {
	// Begin fences all earlier writers, then reads the last watermark and the tail behind it. It blocks while the store
	// is unreachable, until ctx ends. On a log that was never written it writes nothing but what fencing needs; the first
	// record is the caller's watermark at CSN 0.
	Begin(ctx context.Context) (Writer, error)

	// Cuts yields cuts in order, beginning with the first record whose csn is greater than opts.After, and blocks for more
	// until ctx ends; then it yields nothing more (not ctx's error). After a non-nil error it ends. A cut without records is
	// yielded, too: it moves the reader's clock, and repeats (same CSN) serve as heartbeats.
	//
	// The loop body must be done with a cut when it asks for the next one; records it did not read are skipped. When ctx ends
	// inside a cut, its records end with ctx's error: a cut that was left half-way never looks whole.
	Cuts(ctx context.Context, opts CutOptions) iter.Seq2[*Cut, error]

	// Head returns the last watermark, or ok false where none was ever written.
	Head(ctx context.Context) (w Watermark, ok bool, err error)
}

// CutOptions chooses what [Log.Cuts] yields.
type CutOptions struct {
	// After is the reader's progress: records with csn <= After are dropped.
	After CSN
	// Topics are the topics to read. Nil means all. Topics may be named before they exist.
	Topics []string
	// LogID, when not empty, is the id the reader knows the log by; another id ends the iteration with [ErrLogMismatch].
	LogID string
	// MaxBytes bounds the memory that fetched, not yet delivered records take, over all partitions. 0 means 32 MiB. A single
	// record larger than it is still delivered.
	MaxBytes int
}

// Writer is the log's only writer between its Begin and the next Begin by anyone. It is not safe for concurrent use.
type Writer interface {
	// Start says what Begin found. It does not change over the writer's life.
	Start() Start

	// Partition returns the partition a record with this key has in topic: the topic's listed partition count and the key's
	// murmur2 hash, as Kafka's own producers do it. A topic that is not there yet counts as having the default number. The
	// caller needs it to leave out what the tail holds already.
	Partition(topic string, key []byte) int32

	// Append writes one flush and returns when all its records are acknowledged (by every in-sync replica, where the store
	// has replicas). Topics that do not exist are created and listed in a watermark record before their first record.
	// The flush may be reused after Append has returned.
	//
	// A record the store can never take (larger than its limit) is a [*RecordError], returned before anything of the flush
	// was sent.
	Append(ctx context.Context, f *Flush) error

	// Watermark states that every record with csn <= w.CSN is acknowledged. CSN, Position and Time are the caller's; LogID
	// and the partitions' ends are filled in by the log. It returns when the watermark is acknowledged.
	Watermark(ctx context.Context, w Watermark) error

	// Close releases the writer's resources. It does not wait for anything, and the log stays open for another Begin.
	Close() error
}

// Start is what a [Writer] begins from.
type Start struct {
	// Watermark is the last one; Found is false where the log holds none (a new log).
	Watermark Watermark
	Found     bool
	// Epoch numbers the log's writers: a newer one has a higher epoch, until the store begins to count anew, as Kafka does after 32,767.
	Epoch uint64
	// Tail is what stands above the watermark: at most the last flush of the writer before, landed in part.
	Tail Tail
}

// Tail describes the records above the last watermark. Its size does not grow with their number.
type Tail struct {
	// Stamp is the one of the tail's highest CSN, nil when the tail is empty. It numbers every transaction of the tail.
	Stamp *Stamp
	// Landed are the CSNs that have at least one record in the tail, rising.
	Landed []CSN
	// Last is, per partition with tail records, the place of the last one.
	Last map[Partition]Place
}

// Highest returns the highest CSN with a record in the tail, 0 for none.
func (t Tail) Highest() CSN {
	if len(t.Landed) == 0 {
		return 0
	}
	return t.Landed[len(t.Landed)-1]
}

// Partition names one partition of a topic.
type Partition struct {
	Topic  string
	Number int32
}

// String returns topic/number.
func (p Partition) String() string { return fmt.Sprintf("%s/%d", p.Topic, p.Number) }

// PositionLostError says that a log no longer holds every record after a reader's progress, and from where on it does. It wraps
// [ErrPositionLost].
type PositionLostError struct {
	After CSN // the reader's progress
	// Oldest is a progress from which the log holds everything, of the topics that the reader reads: the least one, or a little more. Found is
	// false where there is none, or it could not be told.
	Oldest CSN
	Found  bool
	Err    error // what is missing
}

func (e *PositionLostError) Error() string {
	text := fmt.Sprintf("reader at csn %d: %v", e.After, e.Err)
	if !e.Found {
		return text + "; rebuild the reader's state from the source"
	}
	return text + fmt.Sprintf("; the log is whole behind csn %d: bring the reader's state there (a copy of one that is further, or a snapshot of the source) and go on "+
		"from it, or go on from it without what came before", e.Oldest)
}

func (e *PositionLostError) Unwrap() error { return e.Err }

// RecordError says that one record can never be stored.
type RecordError struct {
	Topic string
	CSN   CSN
	Index uint64
	Err   error
}

func (e *RecordError) Error() string {
	return fmt.Sprintf("record csn %d index %d of topic %s: %v", e.CSN, e.Index, e.Topic, e.Err)
}

func (e *RecordError) Unwrap() error { return e.Err }
