package eventstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/millrace-go/millrace/internal/election"
)

const (
	defaultPartitions     = 4
	defaultMaxRecordBytes = 32 << 20
)

// MemoryLog is a [Log] in memory: topics with partitions, fencing, stamps, watermarks and cuts as on Kafka, without its
// durability. It is meant for tests and small programs of one process; what is in it is gone with the process. It keeps
// everything ever appended.
//
// Its zero value is an empty log. A MemoryLog is safe for concurrent use.
type MemoryLog struct {
	// Partitions is the number of partitions a new topic gets, by default 4. Set it before the first use.
	Partitions int
	// MaxRecordBytes is the largest key and value the log takes, by default 32 MiB. Set it before the first use.
	MaxRecordBytes int

	mu      sync.Mutex
	id      string // random, made with the first watermark
	epoch   uint64 // of the last Begin; a writer of an older one is fenced
	topics  map[string][]*memoryPartition
	marks   []Watermark   // rising by csn, repeats included
	changed chan struct{} // closed and replaced at each change that a reader may wait for
	closed  bool

	beats  []election.Entry // the last ones of what contenders say; see Lead
	beaten int64            // offset after the last
	beat   chan struct{}    // closed and replaced with each
}

// memoryPartition is one partition. Records are only ever added at the end and never modified, so a slice of them may be read
// without the lock.
type memoryPartition struct {
	Partition
	records []memoryRecord
	stamps  []memoryStamp // one each Append that came here, rising by offset; those above the last watermark
}

// memoryRecord is a stored record; its offset is its index.
type memoryRecord struct {
	Place
	key, value []byte
	time       time.Time
}

type memoryStamp struct {
	offset int64
	stamp  *Stamp
}

var _ Log = (*MemoryLog)(nil)

// NewMemoryLog returns an empty log.
func NewMemoryLog() *MemoryLog {
	return &MemoryLog{Partitions: defaultPartitions, MaxRecordBytes: defaultMaxRecordBytes}
}

// lock locks mu, and makes what the zero value lacks.
func (l *MemoryLog) lock() {
	l.mu.Lock()
	if l.changed != nil {
		return
	}
	l.topics, l.changed, l.beat = make(map[string][]*memoryPartition), make(chan struct{}), make(chan struct{})
	if l.Partitions <= 0 {
		l.Partitions = defaultPartitions
	}
	if l.MaxRecordBytes <= 0 {
		l.MaxRecordBytes = defaultMaxRecordBytes
	}
}

// Begin implements [Log].
func (l *MemoryLog) Begin(ctx context.Context) (Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	l.lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, fmt.Errorf("begin: %w", ErrClosed)
	}
	l.epoch++
	w := &memoryWriter{log: l, epoch: l.epoch, start: Start{Epoch: l.epoch}}
	if last := l.lastMark(); last != nil {
		w.start = Start{Watermark: *last, Found: true, Tail: l.tail(last.CSN), Epoch: l.epoch}
	}
	return w, nil
}

// Head implements [Log].
func (l *MemoryLog) Head(ctx context.Context) (Watermark, bool, error) {
	if err := ctx.Err(); err != nil {
		return Watermark{}, false, fmt.Errorf("head: %w", err)
	}
	l.lock()
	defer l.mu.Unlock()
	if l.closed {
		return Watermark{}, false, fmt.Errorf("head: %w", ErrClosed)
	}
	if last := l.lastMark(); last != nil {
		return *last, true, nil
	}
	return Watermark{}, false, nil
}

// Close ends every iteration over cuts and every writer with [ErrClosed].
func (l *MemoryLog) Close() error {
	l.lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.changed)
		close(l.beat)
	}
	return nil
}

func (l *MemoryLog) lastMark() *Watermark {
	if len(l.marks) == 0 {
		return nil
	}
	return &l.marks[len(l.marks)-1]
}

// mark appends a watermark and wakes the readers.
func (l *MemoryLog) mark(w Watermark) {
	if l.id == "" {
		l.id = rand.Text()
	}
	w.LogID = l.id
	l.marks = append(l.marks, w)
	close(l.changed)
	l.changed = make(chan struct{})
}

// tail describes the records above csn.
func (l *MemoryLog) tail(csn CSN) Tail {
	t := Tail{Last: make(map[Partition]Place)}
	var best *memoryStamp
	var bestAt Place
	for _, parts := range l.topics {
		for _, p := range parts {
			above := p.records[p.end(csn):]
			if len(above) == 0 {
				continue
			}
			last := above[len(above)-1].Place
			t.Last[p.Partition] = last
			for _, r := range above {
				if n := len(t.Landed); n == 0 || t.Landed[n-1] != r.CSN {
					t.Landed = append(t.Landed, r.CSN)
				}
			}
			if best == nil || last.Compare(bestAt) > 0 {
				best, bestAt = &p.stamps[len(p.stamps)-1], last
			}
		}
	}
	slices.Sort(t.Landed)
	t.Landed = slices.Compact(t.Landed)
	if best != nil {
		t.Stamp = best.stamp
	}
	return t
}

// ends returns the ends of all partitions at csn.
func (l *MemoryLog) ends(csn CSN) map[Partition]int64 {
	ends := make(map[Partition]int64)
	for _, parts := range l.topics {
		for _, p := range parts {
			ends[p.Partition] = p.end(csn)
		}
	}
	return ends
}

// end returns the offset after the last record with a csn of at most csn.
func (p *memoryPartition) end(csn CSN) int64 {
	i, _ := slices.BinarySearchFunc(p.records, csn, func(r memoryRecord, csn CSN) int {
		if r.CSN <= csn {
			return -1
		}
		return 1
	})
	return int64(i)
}

// last returns the place of the last record, the zero place in an empty partition.
func (p *memoryPartition) last() Place {
	if len(p.records) == 0 {
		return Place{}
	}
	return p.records[len(p.records)-1].Place
}

// Before orders cursors by the place of their head.
func (c *memoryCursor) Before(d *memoryCursor) bool {
	return cmp.Or(c.records[0].Compare(d.records[0].Place), cmp.Compare(c.part.Topic, d.part.Topic)) < 0
}
