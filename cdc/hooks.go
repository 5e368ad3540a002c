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
	// Standby is called when a relay that waits for its turn (Config.Standby) sees who leads, or that nobody does, and Leading when its turn
	// has come and a predecessor's tail is finished: it appends from now on. Leading is called without Config.Standby, too.
	Standby func(StandbyInfo)
	Leading func(LeadingInfo)
	// Flushing is called before a flush is appended, Flushed when it is appended and, at a transaction's end, recorded.
	Flushing func(FlushInfo)
	Flushed  func(FlushInfo)
	// Retrying is called before the relay begins again after an error that may pass.
	Retrying func(RetryInfo)
	// Snapshot is called after each chunk that was put into the stream, and when the log has everything of the captured tables.
	Snapshot func(SnapshotInfo)
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
	Epoch    uint64         // of the log's writer; see [eventstore.Start]
}

// StandbyInfo says who leads while a relay waits.
type StandbyInfo struct {
	Leader string // the Config.Name of the relay that leads, empty where none does
	Term   uint64 // rises with each leader
}

// LeadingInfo says how a relay's turn began. Silence and Took together are how long nobody appended.
type LeadingInfo struct {
	Name    string        // the relay's own; empty without Config.Standby
	Term    uint64        // rises with each leader; 0 without Config.Standby
	Epoch   uint64        // of the log's writer; see [eventstore.Start]
	Silence time.Duration // since the last sign of another leader, as far as this relay saw it; 0 without Config.Standby
	Took    time.Duration // from then until the relay could append: fence, tail and stream
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

// SnapshotInfo says how far the snapshot of a table is.
type SnapshotInfo struct {
	// Complete: the log has all captured tables whole. The rest is not set.
	Complete      bool
	Schema, Table string
	Request       string // the id of who asked for it; empty where the table is not whole without it
	Rows          uint64 // read so far
	Estimate      uint64 // of the server when it began, 0 when not known
	Chunk         int    // rows of this chunk
	Done          bool   // this was the last chunk of the table
	Err           error  `json:"-"` // why what was asked for is given up
	// Left is about how long the rest of the table takes, at the pace since this relay began with it; 0 when not known.
	Left time.Duration
	// Discarded, where it is set, is why the chunk came to nothing: it is read again.
	Discarded string
}

func (h Hooks) began(i BeginInfo) {
	if h.Began != nil {
		h.Began(i)
	}
}

func (h Hooks) standby(i StandbyInfo) {
	if h.Standby != nil {
		h.Standby(i)
	}
}

func (h Hooks) leading(i LeadingInfo) {
	if h.Leading != nil {
		h.Leading(i)
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

func (h Hooks) snapshot(i SnapshotInfo) {
	if h.Snapshot != nil {
		h.Snapshot(i)
	}
}

func (h Hooks) horizon(i Horizon) {
	if h.Horizon != nil {
		h.Horizon(i)
	}
}
