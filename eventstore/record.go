package eventstore

import (
	"cmp"
	"time"
)

// CSN is a commit sequence number: the place of a transaction in the commit order of its log. The first transaction has CSN 1.
// CSNs rise and may have gaps.
type CSN uint64

// Place is the place of a record in its log: transactions by CSN, records in a transaction by Index.
type Place struct {
	CSN   CSN
	Index uint64
}

// Compare orders places: -1, 0 or +1.
func (p Place) Compare(q Place) int {
	if c := cmp.Compare(p.CSN, q.CSN); c != 0 {
		return c
	}
	return cmp.Compare(p.Index, q.Index)
}

// Record is one record of the log. Key and Value are valid until the next record is asked for; copy what you keep.
type Record struct {
	Place
	// Topic is where the record stands. Partition and Offset are set by the log: by the key's hash on the way in,
	// and by what was read on the way out.
	Topic     string
	Partition int32
	Offset    int64
	// Key routes the record and identifies the row, JSON: see the package's row codec.
	Key []byte
	// Value is nil for a tombstone.
	Value []byte
	// Time is the commit time, as precise as the source has it.
	Time time.Time
}

// Flush is a run of whole transactions, or a slice of one transaction that is too large for one flush. Records stand in order
// of their places.
type Flush struct {
	Records []Record
	// Stamp numbers every transaction above the last watermark, this flush's included. The log writes it with the first
	// record of each batch, so that whichever part of the flush lands explains itself.
	Stamp Stamp
}

// Stamp says which CSN is which transaction of the source. Runs rise by CSN and do not overlap.
type Stamp struct {
	// Config identifies what decided which records a transaction has and where they go: filter, routing, rendering.
	Config string `json:"config,omitempty"`
	Runs   []Run  `json:"runs"`
}

// Run is one step of a stamp: transactions First … First+Count-1 are the source's transactions ID, and the Count-1 after it
// in the ID's own counting (a GTID's last number).
type Run struct {
	First CSN    `json:"csn"`
	Count uint64 `json:"n"`
	ID    string `json:"id"`
}
