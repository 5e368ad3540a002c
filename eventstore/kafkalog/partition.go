package kafkalog

import (
	"math"

	"github.com/millrace-go/millrace/eventstore"
)

// partition is a data partition as its writer sees it.
type partition struct {
	topic string               // of the seam
	kafka eventstore.Partition // with the Kafka topic

	sequence int32            // of the next batch's first record
	last     eventstore.Place // of the last record that is there
	end      int64            // as of the last watermark
	next     int64            // offset after the last record that is there
	above    []csnEnd         // by rising csn: where the transactions above the last watermark end

	building    builder
	batches     []*encoded // of the flush in hand; the first used ones are in use, the others wait to be used again
	used        int
	ordinal     int64            // records of the flush in hand
	lastPending eventstore.Place // of its last record
	pending     []csnEnd         // as above, but counted from the flush's first record
}

// csnEnd says that the last record of csn stands before the offset end.
type csnEnd struct {
	csn eventstore.CSN
	end int64
}

// encoded is a batch ready to send.
type encoded struct {
	bytes []byte
	rest  [][]byte // of a batch with a huge value: the parts behind bytes, one of which is the flush's memory
	count int
	base  int64 // once it is acknowledged
	lent  bool  // a connection that never answered may still be reading bytes
}

// landed takes note of a record that is there.
func (p *partition) landed(at eventstore.Place, end int64) {
	p.last, p.next = at, end
	p.above = appendEnd(p.above, at.CSN, end)
}

// appendEnd adds the end of csn, or moves it on.
func appendEnd(list []csnEnd, csn eventstore.CSN, end int64) []csnEnd {
	if n := len(list); n > 0 && list[n-1].csn == csn {
		list[n-1].end = end
		return list
	}
	return append(list, csnEnd{csn, end})
}

// endAt returns the partition's end of a watermark at csn: the offset after its last record with a csn of at most that.
func (p *partition) endAt(csn eventstore.CSN) int64 {
	end := p.end
	for _, e := range p.above {
		if e.csn > csn {
			break
		}
		end = e.end
	}
	return end
}

// marked takes note that a watermark at csn was acknowledged.
func (p *partition) marked(csn eventstore.CSN) {
	p.end = p.endAt(csn)
	n := 0
	for n < len(p.above) && p.above[n].csn <= csn {
		n++
	}
	p.above = append(p.above[:0], p.above[n:]...)
}

// slot returns a batch to encode into.
func (p *partition) slot() *encoded {
	if p.used == len(p.batches) {
		p.batches = append(p.batches, &encoded{})
	}
	p.used++
	return p.batches[p.used-1]
}

// drop forgets the flush in hand.
func (p *partition) drop() {
	for _, e := range p.batches[:p.used] {
		if e.lent {
			e.bytes, e.lent = nil, false
		}
	}
	p.building.reset()
	p.used, p.ordinal, p.pending = 0, 0, p.pending[:0]
}

// acknowledged takes note that the flush in hand is there whole.
func (p *partition) acknowledged(last eventstore.Place) {
	i, first := 0, int64(0) // the batch that a record's number is in, and the number of its first record
	for _, e := range p.pending {
		for e.end > first+int64(p.batches[i].count) {
			first += int64(p.batches[i].count)
			i++
		}
		p.above = appendEnd(p.above, e.csn, p.batches[i].base+e.end-first)
	}
	p.last = last
	p.next = p.batches[p.used-1].base + int64(p.batches[p.used-1].count)
	p.drop()
}

// nextSequence returns the sequence number n records after s; they wrap to 0 after the largest.
func nextSequence(s int32, n int) int32 {
	return int32((int64(s) + int64(n)) & math.MaxInt32)
}
