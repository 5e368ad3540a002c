package cdc

import (
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// Hooks are optional functions called on a relay's events.
type Hooks struct {
	// Began is called when the relay has taken over the log, before it finishes a tail.
	Began func(BeginInfo)
	// TailFinished is called when what a predecessor had begun is complete and recorded.
	TailFinished func(TailInfo)
	// Flushing is called before a flush is appended, Flushed when it is appended and, at a transaction's end, recorded.
	Flushing func(FlushInfo)
	Flushed  func(FlushInfo)
	// Retrying is called before the relay begins again after an error that may pass.
	Retrying func(RetryInfo)
	// Horizon is called each WatchPeriod with how long the server keeps what the relay needs next.
	Horizon func(Horizon)
}

// BeginInfo says where a relay takes over.
type BeginInfo struct {
	New      bool           // the log was never written
	CSN      eventstore.CSN // of the last watermark
	Position Position       // of the last watermark
	Server   string         // the server that is followed, of a source with several
	Tail     int            // transactions of which records stand above the watermark
}

// TailInfo says what of a predecessor's flush was finished.
type TailInfo struct {
	CSN          eventstore.CSN // the highest number of the tail
	Transactions int            // stamped transactions completed or found complete
	Records      int            // records that were missing and have been appended
}

// FlushInfo describes a flush.
type FlushInfo struct {
	CSN          eventstore.CSN // of the flush's last transaction
	Transactions int            // begun in the flush
	Records      int
	Bytes        int           // keys and values
	Committed    time.Time     // commit time of the last transaction
	Took         time.Duration // append and watermark; 0 in Flushing
	Recorded     bool          // a watermark was written: false between the flushes of one huge transaction
}

// RetryInfo says why a relay begins again, and in how long.
type RetryInfo struct {
	Err error
	In  time.Duration
}

func (h Hooks) began(i BeginInfo) {
	if h.Began != nil {
		h.Began(i)
	}
}

func (h Hooks) tailFinished(i TailInfo) {
	if h.TailFinished != nil {
		h.TailFinished(i)
	}
}

func (h Hooks) flushing(i FlushInfo) {
	if h.Flushing != nil {
		h.Flushing(i)
	}
}

func (h Hooks) flushed(i FlushInfo) {
	if h.Flushed != nil {
		h.Flushed(i)
	}
}

func (h Hooks) retrying(i RetryInfo) {
	if h.Retrying != nil {
		h.Retrying(i)
	}
}

func (h Hooks) horizon(i Horizon) {
	if h.Horizon != nil {
		h.Horizon(i)
	}
}
