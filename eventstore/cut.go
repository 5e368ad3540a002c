package eventstore

import "iter"

// Cut is everything of the log (or of the asked topics) after one watermark up to another: whole transactions in commit order.
type Cut struct {
	// After and CSN bound the cut: After < csn <= CSN.
	After CSN
	CSN   CSN
	// Watermark is the one that closes the cut.
	Watermark Watermark
	records   iter.Seq2[*Record, error]
}

// NewCut returns a cut for implementations of [Log]. The sequence is consumed at most once and ends after its first error.
func NewCut(after CSN, w Watermark, records iter.Seq2[*Record, error]) *Cut {
	return &Cut{After: after, CSN: w.CSN, Watermark: w, records: records}
}

// Records yields the cut's records by rising place. It can be ranged over once. A record is valid until the next one.
func (c *Cut) Records() iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		if c.records == nil {
			return
		}
		records := c.records
		c.records = nil
		records(yield)
	}
}
