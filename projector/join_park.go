package projector

import "github.com/millrace-go/millrace/eventstore"

// parking is what is known of documents that cannot be made as the rows are: they stay in the sink as they were, until a change reaches them.
type parking struct {
	parked      int
	parkedSince eventstore.CSN // no parked document lacks a change before it
	parkedWhy   error          // of the last one
}

// park leaves a document, changed since first, as it is.
func (e *joinEngine) park(key []byte, first eventstore.CSN, why error) error {
	if e.parked == 0 || first < e.parkedSince {
		e.parkedSince = first
	}
	if e.parked++; e.parkedWhy == nil {
		e.loop.log.Warn("projector parks a document until its rows change", "err", why)
	}
	e.parkedWhy = why
	return e.setDoc(key, docRecord{csn: e.csn, parked: true})
}

// unpark says that a change has reached a document, which was as its record says.
func (e *joinEngine) unpark(was docRecord) {
	if !was.parked || was.csn <= e.floor {
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
