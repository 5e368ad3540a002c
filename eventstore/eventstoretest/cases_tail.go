package eventstoretest

import (
	"errors"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
)

func diesBeforeWatermark(t *testing.T, b *bench) {
	w := b.first(t, nil)
	w.append(t, tx(1, orders))
	w.mark(t, 1)
	f := []txn{tx(2, orders, stock), tx(3), wide(4, 20, orders, users)}
	w.append(t, f...)

	successor := b.begin(t, nil)
	s := successor.Start()
	if !s.Found || s.Watermark.CSN != 1 {
		t.Fatalf("start %+v, want watermark 1", s.Watermark)
	}
	// Transaction 3 has no record, but a number.
	wantTail(t, s.Tail, []eventstore.CSN{2, 4}, 2, 3, 4)
	if got := s.Tail.Highest(); got != 4 {
		t.Errorf("highest %d, want 4", got)
	}
	successor.finish(t, flush(f...))
	successor.mark(t, 4)
	b.wantRecords(t, 4, append([]txn{tx(1, orders)}, f...)...)
}

func diesInsideFlush(t *testing.T, b *bench) {
	for _, lost := range []string{orders, stock, users} {
		t.Run(lost, func(t *testing.T) {
			b := &bench{b.Harness, b.New(t)}
			var net Network
			w := b.first(t, &net)
			w.append(t, tx(1, orders, stock, users)) // so that all topics are there
			w.mark(t, 1)
			f := []txn{tx(2, stock), tx(3, orders, users, orders), wide(4, 30, orders, stock), tx(5, users)}
			net.Set(func(topic string) Fate {
				if topic == lost {
					return Drop
				}
				return Deliver
			})
			w.appendUnknown(t, flush(f...))

			successor := b.begin(t, nil)
			s := successor.Start()
			if s.Watermark.CSN != 1 {
				t.Fatalf("start at watermark %d, want 1", s.Watermark.CSN)
			}
			var landed []eventstore.CSN
			for _, x := range f {
				for _, r := range x.records {
					if r.Topic != lost && (len(landed) == 0 || landed[len(landed)-1] != x.csn) {
						landed = append(landed, x.csn)
					}
				}
			}
			wantTail(t, s.Tail, landed, 2, 3, 4, 5)
			for p := range s.Tail.Last {
				if p.Topic == lost {
					t.Errorf("%v has a place in the tail, but its records were lost", p)
				}
			}
			successor.finish(t, flush(f...))
			successor.mark(t, 5)
			successor.append(t, tx(6, orders, stock, users))
			successor.mark(t, 6)
			want := append([]txn{tx(1, orders, stock, users)}, f...)
			b.wantRecords(t, 6, append(want, tx(6, orders, stock, users))...)
		})
	}
}

func successorDies(t *testing.T, b *bench) {
	var net Network
	w := b.first(t, &net)
	w.append(t, tx(1, orders, stock, users))
	w.mark(t, 1)
	f := flush(wide(2, 12, orders, stock, users), wide(3, 12, users, stock, orders))
	for _, landing := range []string{orders, stock} {
		net.Set(func(topic string) Fate {
			if topic == landing {
				return Deliver
			}
			return Drop
		})
		tail := w.Start().Tail
		rest := &eventstore.Flush{Stamp: f.Stamp}
		for _, r := range f.Records {
			if last, ok := tail.Last[eventstore.Partition{Topic: r.Topic, Number: w.Partition(r.Topic, r.Key)}]; !ok || r.Place.Compare(last) > 0 {
				rest.Records = append(rest.Records, r)
			}
		}
		w.appendUnknown(t, rest)
		net.SetAll(Deliver)
		w = b.begin(t, &net)
		wantTail(t, w.Start().Tail, []eventstore.CSN{2, 3}, 2, 3)
	}
	w.finish(t, f)
	w.mark(t, 3)
	b.wantRecords(t, 3, tx(1, orders, stock, users), wide(2, 12, orders, stock, users), wide(3, 12, users, stock, orders))
}

func repeatedAppend(t *testing.T, b *bench) {
	var net Network
	w := b.first(t, &net)
	w.append(t, tx(1, orders))
	w.mark(t, 1)
	lost := 0
	net.Set(func(string) Fate {
		if lost++; lost > 1 {
			return Deliver
		}
		return LoseReply
	})
	f := flush(wide(2, 20, orders))
	if err := w.Append(t.Context(), f); err != nil { // a log that repeats by itself has no error to report
		if !errors.Is(err, eventstore.ErrUnavailable) {
			t.Fatalf("append: %v, want ErrUnavailable", err)
		}
		net.SetAll(Deliver)
		w = b.begin(t, &net)
		wantTail(t, w.Start().Tail, []eventstore.CSN{2}, 2)
		w.finish(t, f)
	}
	w.mark(t, 2)
	b.wantRecords(t, 2, tx(1, orders), wide(2, 20, orders))
}

func repeatedWatermark(t *testing.T, b *bench) {
	var net Network
	w := b.first(t, &net)
	w.append(t, tx(1, orders))
	net.SetAll(LoseReply)
	if err := w.Watermark(t.Context(), mark(1)); !errors.Is(err, eventstore.ErrUnavailable) {
		t.Fatalf("watermark over a broken network: %v, want ErrUnavailable", err)
	}
	net.SetAll(Deliver)
	w = b.begin(t, &net)
	if s := w.Start(); s.Watermark.CSN != 1 || len(s.Tail.Landed) != 0 {
		t.Fatalf("start %+v, want watermark 1 and no tail", s)
	}
	w.mark(t, 1)
	w.append(t, tx(2, stock))
	w.mark(t, 2)
	b.wantRecords(t, 2, tx(1, orders), tx(2, stock))
}

// slices of one transaction that is too large for one flush.
func hugeFlushes(csn eventstore.CSN, n, size int) (txn, []*eventstore.Flush) {
	huge := wide(csn, n, orders, stock)
	var flushes []*eventstore.Flush
	for at := 0; at < n; at += size {
		flushes = append(flushes, flush(txn{csn, huge.records[at:min(at+size, n)]}))
	}
	return huge, flushes
}

func diesInsideHuge(t *testing.T, b *bench) {
	var net Network
	w := b.first(t, &net)
	w.append(t, tx(1, orders, stock))
	w.mark(t, 1)
	huge, flushes := hugeFlushes(2, 100, 30)
	for _, f := range flushes[:2] {
		if err := w.Append(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	net.Set(func(topic string) Fate {
		if topic == stock {
			return Drop
		}
		return Deliver
	})
	w.appendUnknown(t, flushes[2])

	successor := b.begin(t, nil)
	if got := successor.Start().Watermark.CSN; got != 1 {
		t.Fatalf("start at watermark %d, want 1", got)
	}
	wantTail(t, successor.Start().Tail, []eventstore.CSN{2}, 2)
	for _, f := range flushes {
		successor.finish(t, f)
	}
	successor.mark(t, 2)
	b.wantRecords(t, 2, tx(1, orders, stock), huge)
}

// A successor may state a watermark in the middle of the tail it finishes: each partition's end lies after its last record up
// to that csn, wherever the rest of the tail stands.
func watermarkInsideTail(t *testing.T, b *bench) {
	w := b.first(t, nil)
	txns := []txn{tx(1, orders, stock), tx(2, orders), tx(3, stock, orders), tx(4, users, orders)}
	w.append(t, txns...)
	w = b.begin(t, nil)
	for csn := eventstore.CSN(1); csn <= 3; csn++ {
		w.mark(t, csn)
	}
	w = b.begin(t, nil)
	wantTail(t, w.Start().Tail, []eventstore.CSN{4}, 1, 2, 3, 4)
	w.mark(t, 4)
	for i, c := range read(t, b.store.Open(t, nil), 4, eventstore.CutOptions{})[1:] {
		if len(c.Records) == 0 { // a watermark that lists topics
			continue
		}
		for _, r := range c.Records {
			if r.CSN <= c.After || r.CSN > c.CSN {
				t.Errorf("cut %d (after %d, csn %d) has a record of csn %d", i, c.After, c.CSN, r.CSN)
			}
		}
	}
	b.wantRecords(t, 4, txns...)
}
