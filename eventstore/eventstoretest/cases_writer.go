package eventstoretest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-go/millrace/eventstore"
)

func beginNew(t *testing.T, b *bench) {
	log := b.store.Open(t, nil)
	if _, ok, err := log.Head(t.Context()); ok || err != nil {
		t.Errorf("head of a new log: %v, %v; want none", ok, err)
	}
	w := begin(t, log)
	if s := w.Start(); s.Found || s.Tail.Stamp != nil || len(s.Tail.Landed) != 0 || s.Tail.Highest() != 0 {
		t.Errorf("start of a new log: %+v", s)
	}
	w.mark(t, 0)
	head, ok, err := log.Head(t.Context())
	if !ok || err != nil || head.CSN != 0 || head.LogID == "" || head.Config != "config-1" {
		t.Errorf("head after the first watermark: %+v, %v, %v", head, ok, err)
	}
}

func appendBeforeWatermark(t *testing.T, b *bench) {
	w := b.begin(t, nil)
	if err := w.Append(t.Context(), flush(tx(1, orders))); err == nil {
		t.Error("append before the first watermark: no error")
	}
	w = b.first(t, nil)
	w.append(t, tx(1, orders))
	w.mark(t, 1)
	b.wantRecords(t, 1, tx(1, orders))
}

func keepsID(t *testing.T, b *bench) {
	b.first(t, nil)
	head, _, err := b.store.Open(t, nil).Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := b.begin(t, nil)
	if got := w.Start().Watermark.LogID; got != head.LogID {
		t.Errorf("a successor's log id is %q, want %q", got, head.LogID)
	}
	w.append(t, tx(1, orders))
	w.mark(t, 1)
	if again, _, err := b.store.Open(t, nil).Head(t.Context()); err != nil || again.LogID != head.LogID {
		t.Errorf("log id %q, %v; want %q", again.LogID, err, head.LogID)
	}
	if other, _, err := (&bench{b.Harness, b.New(t)}).firstHead(t); err != nil || other.LogID == head.LogID {
		t.Errorf("another log's id is %q, %v; want another than %q", other.LogID, err, head.LogID)
	}
}

func (b *bench) firstHead(t *testing.T) (eventstore.Watermark, bool, error) {
	t.Helper()
	b.first(t, nil)
	return b.store.Open(t, nil).Head(t.Context())
}

func watermarksNeverFall(t *testing.T, b *bench) {
	w := b.first(t, nil)
	w.append(t, tx(1, orders), tx(2, stock), tx(3, orders))
	w.mark(t, 3)
	if err := w.Watermark(t.Context(), mark(2)); err == nil {
		t.Error("a watermark at a lower csn: no error")
	}
	back := mark(4)
	back.Position.GTIDs = gtid(2)
	if err := w.Watermark(t.Context(), back); err == nil {
		t.Error("a watermark with a lower position: no error")
	}
	head, _, err := b.store.Open(t, nil).Head(t.Context())
	if err != nil || head.CSN != 3 || !cmp.Equal(head.Position, mark(3).Position) || !head.Time.Equal(committed(3)) {
		t.Errorf("head %+v, %v; want csn 3", head, err)
	}
}

func recordTooLarge(t *testing.T, b *bench) {
	w := b.first(t, nil)
	large := tx(2, stock)
	large.records[0].Value = make([]byte, b.MaxRecordBytes+1)
	err := w.Append(t.Context(), flush(tx(1, orders), large))
	refused, ok := errors.AsType[*eventstore.RecordError](err)
	if !ok {
		t.Fatalf("append: %v, want a RecordError", err)
	}
	if refused.Topic != stock || refused.CSN != 2 || refused.Index != large.records[0].Index {
		t.Errorf("refused %v, want csn 2 and the first record of %s", refused, stock)
	}
	if errors.Is(err, eventstore.ErrUnavailable) {
		t.Error("a RecordError does not pass, but wraps ErrUnavailable")
	}
	// Nothing was sent, so the writer goes on.
	w.append(t, tx(1, orders), tx(2, users))
	w.mark(t, 2)
	b.wantRecords(t, 2, tx(1, orders), tx(2, users))
}

func recordOutOfOrder(t *testing.T, b *bench) {
	w := b.first(t, nil)
	w.append(t, wide(5, 20, orders))
	if err := w.Append(t.Context(), flush(tx(6, stock), wide(5, 20, orders))); err == nil {
		t.Error("append of places that are there: no error")
	}
	w.mark(t, 5)
	if err := w.Append(t.Context(), flush(tx(4, stock))); err == nil {
		t.Error("append below the watermark: no error")
	}
	b.wantRecords(t, 5, wide(5, 20, orders))
}

func closedWriter(t *testing.T, b *bench) {
	w := b.first(t, nil)
	if err := w.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
	if err := w.Append(t.Context(), flush(tx(1, orders))); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("append on a closed writer: %v, want ErrClosed", err)
	}
	if err := w.Watermark(t.Context(), mark(1)); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("watermark on a closed writer: %v, want ErrClosed", err)
	}
}

func beginEndedContext(t *testing.T, b *bench) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.store.Open(t, nil).Begin(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("begin: %v, want context.Canceled", err)
	}
}

func fencedWriter(t *testing.T, b *bench) {
	old := b.first(t, nil)
	old.append(t, tx(1, orders, stock))
	old.mark(t, 1)
	successor := b.begin(t, nil)
	for range 2 { // for good
		if err := old.Append(t.Context(), flush(tx(2, orders, users))); !errors.Is(err, eventstore.ErrFenced) {
			t.Errorf("append of a fenced writer: %v, want ErrFenced", err)
		}
		if err := old.Watermark(t.Context(), mark(2)); !errors.Is(err, eventstore.ErrFenced) {
			t.Errorf("watermark of a fenced writer: %v, want ErrFenced", err)
		}
	}
	successor.append(t, tx(2, stock))
	successor.mark(t, 2)
	b.wantRecords(t, 2, tx(1, orders, stock), tx(2, stock))
}

// A fenced writer takes what its successor has written into a new topic for what it is, not for another program's.
func fencedWriterNewTopic(t *testing.T, b *bench) {
	old := b.first(t, nil)
	old.append(t, tx(1, orders))
	old.mark(t, 1)
	successor := b.begin(t, nil)
	successor.append(t, tx(2, users))
	successor.mark(t, 2)
	for range 2 { // for good
		if err := old.Append(t.Context(), flush(tx(2, users))); !errors.Is(err, eventstore.ErrFenced) {
			t.Errorf("append of a fenced writer to a topic of its successor: %v, want ErrFenced", err)
		}
	}
	b.wantRecords(t, 2, tx(1, orders), tx(2, users))
}

func zombie(t *testing.T, b *bench) {
	var net Network
	old := b.first(t, &net)
	old.append(t, wide(1, 20, orders, stock))
	old.mark(t, 1)
	net.SetAll(Hold)
	old.appendUnknown(t, flush(wide(2, 20, orders, stock)))

	successor := b.begin(t, nil)
	wantTail(t, successor.Start().Tail, nil)
	answers := net.Release()
	if len(answers) == 0 {
		t.Fatal("nothing was held")
	}
	for _, err := range answers {
		if !errors.Is(err, eventstore.ErrFenced) {
			t.Errorf("records that arrive after the fence: %v, want ErrFenced", err)
		}
	}
	successor.append(t, wide(2, 10, stock, users))
	successor.mark(t, 2)
	b.wantRecords(t, 2, wide(1, 20, orders, stock), wide(2, 10, stock, users))
}

func zombieWatermark(t *testing.T, b *bench) {
	var net Network
	old := b.first(t, &net)
	old.append(t, tx(1, orders))
	net.SetAll(Hold)
	if err := old.Watermark(t.Context(), mark(1)); !errors.Is(err, eventstore.ErrUnavailable) {
		t.Fatalf("watermark over a broken network: %v, want ErrUnavailable", err)
	}
	successor := b.begin(t, nil)
	if got := successor.Start().Watermark.CSN; got != 0 {
		t.Fatalf("start at watermark %d, want 0", got)
	}
	for _, err := range net.Release() {
		if !errors.Is(err, eventstore.ErrFenced) {
			t.Errorf("a watermark that arrives after the fence: %v, want ErrFenced", err)
		}
	}
	if head, _, err := b.store.Open(t, nil).Head(t.Context()); err != nil || head.CSN != 0 {
		t.Errorf("head %d, %v; want 0", head.CSN, err)
	}
}

func beginRepeated(t *testing.T, b *bench) {
	w := b.first(t, nil)
	for csn := eventstore.CSN(1); csn <= 5; csn++ {
		w.append(t, tx(csn, orders, stock))
		w.mark(t, csn)
		b.begin(t, nil)
		w = b.begin(t, nil)
		s := w.Start()
		if !s.Found || s.Watermark.CSN != csn || len(s.Tail.Landed) != 0 {
			t.Fatalf("start %+v, want watermark %d and no tail", s, csn)
		}
		if diff := cmp.Diff(mark(csn).Position, s.Watermark.Position); diff != "" {
			t.Errorf("position (-want +got):\n%s", diff)
		}
	}
	b.wantRecords(t, 5, tx(1, orders, stock), tx(2, orders, stock), tx(3, orders, stock), tx(4, orders, stock), tx(5, orders, stock))
}

func endsNeverFall(t *testing.T, b *bench) {
	w := b.first(t, nil)
	for csn := eventstore.CSN(1); csn <= 6; csn++ {
		w.append(t, tx(csn, []string{orders, stock, users}[csn%3]))
		if csn%2 == 0 {
			w = b.begin(t, nil) // with a tail
		}
		w.mark(t, csn)
		w.mark(t, csn)
	}
	var last eventstore.Watermark
	for c, err := range b.store.Open(t, nil).Cuts(t.Context(), eventstore.CutOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Watermark.Follows(last); err != nil {
			t.Errorf("watermark %d: %v", c.CSN, err)
		}
		for p, end := range last.Ends {
			if now, ok := c.Watermark.Ends[p]; !ok || now < end {
				t.Errorf("end of %v falls from %d to %d (listed: %v)", p, end, now, ok)
			}
		}
		if last = c.Watermark; c.CSN == 6 {
			break
		}
	}
	var total int64
	for _, end := range last.Ends {
		total += end
	}
	if total < 6 {
		t.Errorf("ends %v sum up to %d, want at least the 6 records", last.Ends, total)
	}
	topics := map[string]bool{}
	for p := range last.Ends {
		topics[p.Topic] = true
	}
	if got := slices.Sorted(maps.Keys(topics)); !slices.Equal(got, []string{orders, stock, users}) {
		t.Errorf("listed topics %v", got)
	}
}
