package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// history writes transactions 1 to n, some empty, some wide, a watermark after every few, and returns them.
func (b *bench) history(t *testing.T, n int) []txn {
	t.Helper()
	w := b.first(t, nil)
	rng := rand.New(rand.NewPCG(7, uint64(n)))
	topics := []string{orders, stock, users}
	var written, pending []txn
	for i := range n {
		var x txn
		switch csn := eventstore.CSN(i + 1); rng.IntN(4) {
		case 0:
			x = tx(csn)
		case 1:
			x = wide(csn, 1+rng.IntN(12), topics[rng.IntN(3)])
		default:
			x = wide(csn, 1+rng.IntN(25), topics...)
		}
		pending = append(pending, x)
		if len(pending) > rng.IntN(4) || i == n-1 {
			w.append(t, pending...)
			w.mark(t, x.csn)
			written = append(written, pending...)
			pending = nil
		}
	}
	return written
}

func cutsWhole(t *testing.T, b *bench) {
	txns := b.history(t, 60)
	cuts := read(t, b.store.Open(t, nil), 60, eventstore.CutOptions{})
	var after eventstore.CSN
	for _, c := range cuts {
		if c.After != after || c.CSN < c.After {
			t.Errorf("cut (%d, %d] after one up to %d", c.After, c.CSN, after)
		}
		var want []txn
		for _, x := range txns {
			if x.csn > c.After && x.csn <= c.CSN {
				want = append(want, x)
			}
		}
		diffRecords(t, all(want), c.Records)
		after = c.CSN
	}
	diffRecords(t, all(txns), records(cuts))
}

func cutsResume(t *testing.T, b *bench) {
	const n = 25
	txns := b.history(t, n)
	log := b.store.Open(t, nil)
	for after := eventstore.CSN(0); after <= n; after++ {
		cuts := read(t, log, n, eventstore.CutOptions{After: after})
		diffRecords(t, all(txns[after:]), records(cuts))
		if len(cuts) == 0 || cuts[0].After != after {
			t.Errorf("resumed after %d: first cut %+v", after, cuts[0])
		}
	}
}

func hugeIsOneCut(t *testing.T, b *bench) {
	w := b.first(t, nil)
	huge, flushes := hugeFlushes(1, 500, 90)
	for _, f := range flushes {
		if err := w.Append(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	w.mark(t, 1)
	full := 0
	for _, c := range read(t, b.store.Open(t, nil), 1, eventstore.CutOptions{}) {
		if len(c.Records) > 0 {
			full++
			diffRecords(t, huge.records, c.Records)
		}
	}
	if full != 1 {
		t.Errorf("the transaction is in %d cuts, want 1", full)
	}
}

func emptyCuts(t *testing.T, b *bench) {
	log := b.store.Open(t, nil)
	w := b.first(t, nil)
	w.append(t, tx(1))
	w.mark(t, 1)
	w.append(t, tx(2, orders))
	w.mark(t, 2)
	w.mark(t, 2)
	w.mark(t, 7) // csns have gaps
	w.mark(t, 7)
	var seen []string
	repeats := 0
	for c, err := range log.Cuts(t.Context(), eventstore.CutOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if c.CSN == c.After {
			repeats++
		} else {
			seen = append(seen, fmt.Sprintf("(%d,%d] %d", c.After, c.CSN, len(readCut(t, c).Records)))
		}
		if !c.Watermark.Time.Equal(mark(c.CSN).Time) {
			t.Errorf("time of watermark %d is %v, want %v", c.CSN, c.Watermark.Time, mark(c.CSN).Time)
		}
		if c.CSN == 7 && c.After == 7 {
			break
		}
	}
	if got, want := fmt.Sprint(seen), "[(0,1] 0 (1,2] 1 (2,7] 0]"; got != want {
		t.Errorf("cuts %v, want %v", got, want)
	}
	if repeats < 3 { // of 0, 2 and 7; the one that lists a topic comes on top
		t.Errorf("%d repeats, want at least 3", repeats)
	}
	// A reader that is up to date learns so at once.
	for c, err := range log.Cuts(t.Context(), eventstore.CutOptions{After: 7}) {
		if err != nil || c.CSN != 7 || c.After != 7 {
			t.Errorf("first cut of an up to date reader: %+v, %v", c, err)
		}
		break
	}
}

func recordsComeBack(t *testing.T, b *bench) {
	w := b.first(t, nil)
	x := tx(1, orders, orders, orders, orders, orders)
	x.records[0].Value = []byte{}
	x.records[1].Value = nil
	x.records[2].Value = []byte("\x00\xff not text")
	x.records[3].Key = []byte(`{"id":"ключ"}`)
	x.records[4].Time = time.Time{}
	w.append(t, x)
	w.mark(t, 1)
	for _, c := range read(t, b.store.Open(t, nil), 1, eventstore.CutOptions{}) {
		for i, r := range c.Records {
			if want := x.records[i].Value; (r.Value == nil) != (want == nil) || string(r.Value) != string(want) {
				t.Errorf("value %d is %q (nil: %v), want %q", i, r.Value, r.Value == nil, want)
			}
		}
		if len(c.Records) > 0 {
			diffRecords(t, x.records, c.Records)
		}
	}
	seen := map[eventstore.Partition]int64{}
	for c, err := range b.store.Open(t, nil).Cuts(t.Context(), eventstore.CutOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		for r, err := range c.Records() {
			if err != nil {
				t.Fatal(err)
			}
			p := eventstore.Partition{Topic: r.Topic, Number: r.Partition}
			if want := w.Partition(r.Topic, r.Key); r.Partition != want {
				t.Errorf("key %s stands in partition %d, want %d", r.Key, r.Partition, want)
			}
			if last, ok := seen[p]; ok && r.Offset <= last {
				t.Errorf("offset %d of %v after %d", r.Offset, p, last)
			}
			if end := c.Watermark.Ends[p]; r.Offset >= end {
				t.Errorf("offset %d of %v is not below the end %d", r.Offset, p, end)
			}
			seen[p] = r.Offset
		}
		if c.CSN == 1 {
			break
		}
	}
}

func chosenTopics(t *testing.T, b *bench) {
	txns := b.history(t, 30)
	cuts := read(t, b.store.Open(t, nil), 30, eventstore.CutOptions{Topics: []string{stock, "shop.never"}})
	var want []eventstore.Record
	for _, r := range all(txns) {
		if r.Topic == stock {
			want = append(want, r)
		}
	}
	diffRecords(t, want, records(cuts))
	if got := records(read(t, b.store.Open(t, nil), 30, eventstore.CutOptions{Topics: []string{}})); len(got) > 0 {
		t.Errorf("%d records of no topic", len(got))
	}
}

func topicCreatedLater(t *testing.T, b *bench) {
	w := b.first(t, nil)
	log := b.store.Open(t, nil)
	written, want := make(chan error), wide(2, 20, users)
	var got []eventstore.Record
	begun := false
	for c, err := range log.Cuts(t.Context(), eventstore.CutOptions{Topics: []string{users}}) {
		if err != nil {
			t.Fatal(err)
		}
		if !begun { // the reader reads, the topic is not there
			begun = true
			go func() {
				defer close(written)
				if err := w.Append(t.Context(), flush(tx(1, orders), want)); err != nil {
					written <- err
				} else if err := w.Watermark(t.Context(), mark(2)); err != nil {
					written <- err
				}
			}()
		}
		if got = append(got, readCut(t, c).Records...); c.CSN == 2 {
			break
		}
	}
	for err := range written {
		t.Fatal(err)
	}
	diffRecords(t, want.records, got)
}

func boundedMemory(t *testing.T, b *bench) {
	w := b.first(t, nil)
	var txns []txn
	for csn := eventstore.CSN(1); csn <= 3; csn++ {
		x := wide(csn, 60, orders, stock)
		for i := range x.records {
			x.records[i].Value = fmt.Appendf(nil, "%0*d", 1+(i*997)%9000, csn)
		}
		w.append(t, x)
		txns = append(txns, x)
	}
	w.mark(t, 3)
	for _, limit := range []int{1, 4 << 10, 64 << 10} { // a record larger than the limit is still delivered
		diffRecords(t, all(txns), records(read(t, b.store.Open(t, nil), 3, eventstore.CutOptions{MaxBytes: limit})))
	}
}

func otherLogID(t *testing.T, b *bench) {
	w := b.first(t, nil)
	w.append(t, tx(1, orders))
	w.mark(t, 1)
	log := b.store.Open(t, nil)
	head, _, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, log, 1, eventstore.CutOptions{LogID: head.LogID}); len(records(got)) != 1 {
		t.Errorf("with the right id: %+v", got)
	}
	for _, after := range []eventstore.CSN{0, 1} {
		wantEnd(t, log, eventstore.CutOptions{After: after, LogID: "another"}, eventstore.ErrLogMismatch)
	}
}

func readerAhead(t *testing.T, b *bench) {
	w := b.first(t, nil)
	w.append(t, tx(1, orders))
	w.mark(t, 1)
	wantEnd(t, b.store.Open(t, nil), eventstore.CutOptions{After: 2}, eventstore.ErrLogMismatch)
}

// wantEnd wants the iteration to end with an error, and no cut before it.
func wantEnd(t *testing.T, log eventstore.Log, opts eventstore.CutOptions, want error) {
	t.Helper()
	var last error
	for c, err := range log.Cuts(t.Context(), opts) {
		if last != nil {
			t.Errorf("the iteration goes on after %v", last)
		}
		if err == nil {
			t.Fatalf("got cut %d, want %v", c.CSN, want)
		}
		last = err
	}
	if !errors.Is(last, want) {
		t.Errorf("ended with %v, want %v", last, want)
	}
}

func unreadRecords(t *testing.T, b *bench) {
	txns := b.history(t, 40)
	i := 0
	for c, err := range b.store.Open(t, nil).Cuts(t.Context(), eventstore.CutOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		var want []eventstore.Record
		for _, x := range txns {
			if x.csn > c.After && x.csn <= c.CSN {
				want = append(want, x.records...)
			}
		}
		switch i++; i % 3 {
		case 0: // nothing is read
		case 1: // half is read
			var got []eventstore.Record
			for r, err := range c.Records() {
				if err != nil {
					t.Fatal(err)
				}
				if got = append(got, copied(r)); len(got) > len(want)/2 {
					break
				}
			}
			diffRecords(t, want[:len(got)], got)
		case 2:
			diffRecords(t, want, readCut(t, c).Records)
			if again := readCut(t, c).Records; len(again) > 0 {
				t.Errorf("ranged over twice, a cut gave %d records again", len(again))
			}
		}
		if c.CSN == 40 {
			break
		}
	}
}

func cancelWaiting(t *testing.T, b *bench) {
	w := b.first(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cuts := 0
	for c, err := range b.store.Open(t, nil).Cuts(ctx, eventstore.CutOptions{}) {
		if err != nil {
			t.Fatalf("after cancel: %v, want the end", err)
		}
		if cuts++; c.CSN == 0 {
			cancel() // the next one never comes
		}
	}
	if cuts != 1 {
		t.Errorf("%d cuts, want 1", cuts)
	}
	w.mark(t, 1)

	for c, err := range b.store.Open(t, nil).Cuts(ctx, eventstore.CutOptions{}) {
		t.Fatalf("with an ended context: %v, %v", c, err)
	}
}

// A cut that is left half-way must not look like a whole one.
func cancelInsideCut(t *testing.T, b *bench) {
	w := b.first(t, nil)
	w.append(t, wide(1, 300, orders, stock))
	w.mark(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for c, err := range b.store.Open(t, nil).Cuts(ctx, eventstore.CutOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		var last error
		for _, err := range c.Records() {
			if last = err; err == nil {
				if n++; n == 10 {
					cancel()
				}
			}
		}
		if c.CSN == 1 && !errors.Is(last, context.Canceled) {
			t.Errorf("after %d of 300 records the cut ended with %v, want context.Canceled", n, last)
		}
	}
}

func concurrentReaders(t *testing.T, b *bench) {
	const n = 40
	w := b.first(t, nil)
	log := b.store.Open(t, nil)
	var txns []txn
	for csn := eventstore.CSN(1); csn <= n; csn++ {
		txns = append(txns, wide(csn, int(csn)%7, orders, stock, users))
	}
	type result struct {
		records []eventstore.Record
		err     error
	}
	results := make(chan result)
	for range 3 {
		go func() {
			var res result
			for c, err := range log.Cuts(t.Context(), eventstore.CutOptions{}) {
				if err != nil {
					res.err = err
					break
				}
				for r, err := range c.Records() {
					if err != nil {
						res.err = err
						break
					}
					res.records = append(res.records, copied(r))
				}
				if c.CSN == n {
					break
				}
			}
			results <- res
		}()
	}
	for _, x := range txns {
		w.append(t, x)
		w.mark(t, x.csn)
	}
	for range 3 {
		res := <-results
		if res.err != nil {
			t.Error(res.err)
		}
		diffRecords(t, all(txns), res.records)
	}
}
