package kafkalog

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// mark is a record of the watermark topic, as JSON.
//
// Ends holds, by topic, the end of each partition, so its length is the topic's partition count. In a full record it has every
// listed topic; otherwise only those that changed since the record before, and Base is the offset of the last full record.
type mark struct {
	CSN      eventstore.CSN      `json:"csn"`
	Position eventstore.Position `json:"position"`
	Time     *time.Time          `json:"time,omitempty"`
	LogID    string              `json:"log"`
	Config   string              `json:"config,omitempty"`
	Ends     map[string][]int64  `json:"ends"`
	Base     *int64              `json:"base,omitempty"`
	Producer int64               `json:"producer"`
	Epoch    int16               `json:"epoch"`
	Lease    int64               `json:"lease,omitempty"` // of its writer, in seconds: step 8

	offset int64 // where it stands
}

const (
	// fullEvery is how many watermarks may follow a full one before the next.
	fullEvery = 1000
	// smallEnds is up to how many partitions every watermark is full.
	smallEnds = 64
)

// stampRecord is the value of the stamp header.
type stampRecord struct {
	LogID string `json:"log"`
	eventstore.Stamp
}

// stampPrefix is how every stamp of a log begins, as JSON: the log's id is its first member.
func stampPrefix(logID string) []byte { return fmt.Appendf(nil, `{"log":%q,`, logID) }

func (m *mark) full() bool { return m.Base == nil }

func parseMark(offset int64, value []byte) (*mark, error) {
	m := &mark{offset: offset}
	if err := json.Unmarshal(value, m); err != nil {
		return nil, fmt.Errorf("%w: watermark record at offset %d: %w", eventstore.ErrLogMismatch, offset, err)
	}
	if m.LogID == "" || m.Base != nil && (*m.Base < 0 || *m.Base >= offset) {
		return nil, fmt.Errorf("%w: record at offset %d of the watermark topic is no watermark", eventstore.ErrLogMismatch, offset)
	}
	return m, nil
}

// ends are the ends of the listed partitions, by topic of the seam.
type ends map[string][]int64

// apply brings the ends up to a watermark. The slices of m are kept.
func (e ends) apply(m *mark) error {
	if m.full() {
		clear(e)
	}
	for topic, now := range m.Ends {
		before := e[topic]
		if len(now) < len(before) {
			return fmt.Errorf("%w: watermark at offset %d lists %d partitions of %s, the one before %d", eventstore.ErrLogMismatch, m.offset, len(now), topic, len(before))
		}
		e[topic] = now
	}
	return nil
}

// clone copies the ends.
func (e ends) clone() ends {
	c := make(ends, len(e))
	for topic, list := range e {
		c[topic] = slices.Clone(list)
	}
	return c
}

// partitions counts the listed partitions.
func (e ends) partitions() (n int) {
	for _, list := range e {
		n += len(list)
	}
	return n
}

// byPartition returns the ends as the seam has them.
func (e ends) byPartition() map[eventstore.Partition]int64 {
	out := make(map[eventstore.Partition]int64, e.partitions())
	for topic, list := range e {
		for n, end := range list {
			out[eventstore.Partition{Topic: topic, Number: int32(n)}] = end
		}
	}
	return out
}

// watermark returns the seam's watermark.
func (m *mark) watermark(byPartition map[eventstore.Partition]int64) eventstore.Watermark {
	w := eventstore.Watermark{CSN: m.CSN, Position: m.Position, LogID: m.LogID, Config: m.Config, Ends: byPartition}
	if m.Time != nil {
		w.Time = *m.Time
	}
	return w
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
