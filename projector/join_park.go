package projector

import "github.com/millrace-go/millrace/eventstore"

// parking is what is known of documents that cannot be made as the rows are: they stay in the sink as they were, until a change reaches them.
type parking struct {
	parked      int
	parkedSince eventstore.CSN // no parked document lacks a change before it
	parkedWhy   error          // of the last one
}

// park leaves a document, changed since first, as it is. was is its record.
func (e *joinEngine) park(key []byte, was docRecord, first eventstore.CSN, why error) error {
	if e.parked == 0 || first < e.parkedSince {
		e.parkedSince = first
	}
	if !e.counted(was) {
		e.parked++
	}
	if e.parkedWhy == nil {
		e.loop.log.Warn("projector parks a document until its rows change", "err", why)
	}
	e.parkedWhy = why
	return e.setDoc(key, docRecord{csn: e.csn, parked: true})
}

// counted tells whether a document with this record is among the parked ones.
func (e *joinEngine) counted(was docRecord) bool { return was.parked && was.csn > e.floor }

// unpark says that a document is written, which was as its record says.
func (e *joinEngine) unpark(was docRecord) {
	if !e.counted(was) {
		return
	}
	if e.parked = max(e.parked-1, 0); e.parked == 0 {
		e.parkedSince, e.parkedWhy = 0, nil
	}
}

// standing is how many documents are parked, since which change, and why the last one is.
func (e *joinEngine) standing() (n int, since eventstore.CSN, why error) {
	return e.parked, e.parkedSince, e.parkedWhy
}
