package kafkalog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/produce"

	"github.com/millrace-go/millrace/eventstore"
)

func TestMarkDeltas(t *testing.T) {
	e := make(ends)
	for _, step := range []struct {
		value string
		want  ends
	}{
		{`{"csn":1,"log":"x","ends":{"a.b":[1,2],"c.d":[3]}}`, ends{"a.b": {1, 2}, "c.d": {3}}},
		{`{"csn":2,"log":"x","ends":{"c.d":[4]},"base":0}`, ends{"a.b": {1, 2}, "c.d": {4}}},
		{`{"csn":3,"log":"x","ends":{},"base":0}`, ends{"a.b": {1, 2}, "c.d": {4}}},
		{`{"csn":3,"log":"x","ends":{"e.f":[0,0]},"base":0}`, ends{"a.b": {1, 2}, "c.d": {4}, "e.f": {0, 0}}},
		{`{"csn":4,"log":"x","ends":{"a.b":[9,9]}}`, ends{"a.b": {9, 9}}},
	} {
		m, err := parseMark(7, []byte(step.value))
		if err != nil {
			t.Fatal(err)
		}
		if err := e.apply(m); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, e); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", step.value, diff)
		}
	}
	m, _ := parseMark(8, []byte(`{"csn":5,"log":"x","ends":{"a.b":[9]},"base":0}`))
	if err := e.apply(m); !errors.Is(err, eventstore.ErrLogMismatch) {
		t.Errorf("fewer partitions: %v, want ErrLogMismatch", err)
	}
}

func TestParseMarkRefuses(t *testing.T) {
	for _, value := range []string{``, `{`, `[]`, `{"csn":1}`, `{"csn":-1,"log":"x"}`, `{"csn":1,"log":"x","base":7}`, `{"csn":1,"log":"x","base":-1}`} {
		if _, err := parseMark(7, []byte(value)); !errors.Is(err, eventstore.ErrLogMismatch) {
			t.Errorf("%q: %v, want ErrLogMismatch", value, err)
		}
	}
}

// The stamp's JSON is compact: one run is about fifty bytes.
func TestStampRecord(t *testing.T) {
	s := stampRecord{LogID: "L"}
	s.Add(41, "0-1-270")
	s.Add(42, "0-1-271")
	got, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"log":"L","runs":[{"csn":41,"n":2,"id":"0-1-270"}]}`; string(got) != want {
		t.Errorf("stamp %s, want %s", got, want)
	}
	if !bytes.HasPrefix(got, stampPrefix("L")) || bytes.HasPrefix(got, stampPrefix("M")) {
		t.Errorf("stamp %s, prefix %s", got, stampPrefix("L"))
	}
}

func TestEndAt(t *testing.T) {
	p := partition{end: 10, above: []csnEnd{{3, 12}, {5, 15}, {9, 20}}}
	for csn, want := range map[eventstore.CSN]int64{2: 10, 3: 12, 4: 12, 5: 15, 8: 15, 9: 20, 100: 20} {
		if got := p.endAt(csn); got != want {
			t.Errorf("endAt(%d) = %d, want %d", csn, got, want)
		}
	}
	p.marked(5)
	if p.end != 15 || len(p.above) != 1 || p.above[0] != (csnEnd{9, 20}) {
		t.Errorf("after a watermark at 5: end %d, above %v", p.end, p.above)
	}
}

// A flush in several batches, between whose offsets others stand (a fence's marker), ends where its records end.
func TestAcknowledged(t *testing.T) {
	p := partition{end: 100, used: 2, batches: []*encoded{{count: 3, base: 100}, {count: 2, base: 110}},
		pending: []csnEnd{{1, 2}, {2, 4}, {3, 5}}}
	p.acknowledged(eventstore.Place{CSN: 3})
	want := []csnEnd{{1, 102}, {2, 111}, {3, 112}}
	if diff := cmp.Diff(want, p.above, cmp.AllowUnexported(csnEnd{})); diff != "" {
		t.Errorf("ends (-want +got):\n%s", diff)
	}
	if p.next != 112 {
		t.Errorf("next offset %d, want 112", p.next)
	}
}

func TestNextSequenceWraps(t *testing.T) {
	const most = 1<<31 - 1
	for _, tt := range []struct {
		s    int32
		n    int
		want int32
	}{{0, 5, 5}, {most, 1, 0}, {most - 1, 1, most}, {most - 1, 4, 2}} {
		if got := nextSequence(tt.s, tt.n); got != tt.want {
			t.Errorf("%d records after %d comes %d, want %d", tt.n, tt.s, got, tt.want)
		}
	}
}

// A fence is not relied on for longer than the lease, and a batch that was repeated for long is not sent any more.
func TestLease(t *testing.T) {
	log, err := New(Config{Brokers: []string{"localhost:9092"}, Pipeline: "p"})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	now := 7 * time.Hour
	log.uptime = func() time.Duration { return now }
	w := log.newWriter(producerID{1, 1}, now, nil)
	if now += defaultLease/keepAlives - 1; w.ready(t.Context()) != nil || w.lease.due() {
		t.Errorf("a new fence: %v", w.ready(t.Context()))
	}
	if now++; !w.lease.due() {
		t.Error("a sixth of the lease has passed, and no keep-alive is due")
	}
	now = 7*time.Hour + defaultLease - 1
	if err := w.lease.over(); err != nil {
		t.Errorf("within the lease: %v", err)
	}
	now++
	if err := w.ready(t.Context()); !errors.Is(err, eventstore.ErrUnavailable) {
		t.Errorf("an old fence: %v, want ErrUnavailable", err)
	}
	now = 7 * time.Hour // it has ended for good
	if err := w.ready(t.Context()); !errors.Is(err, eventstore.ErrUnavailable) {
		t.Errorf("after an old fence: %v, want ErrUnavailable", err)
	}
	p := w.marks
	p.batches, p.used = []*encoded{{count: 1}}, 1
	now += defaultLease
	if err := w.produce(t.Context(), &p); !errors.Is(err, errBeginAgain) {
		t.Errorf("a batch that is due when the lease is over: %v", err)
	}
}

// acknowledging answers every produce request.
type acknowledging struct{}

func (acknowledging) RoundTrip(context.Context, net.Addr, kafka.Request) (kafka.Response, error) {
	return &produce.Response{Topics: []produce.ResponseTopic{{Partitions: []produce.ResponsePartition{{BaseOffset: 7}}}}}, nil
}

// A successor waits for the lease that the last watermark states, and on a new log for the default. So a writer whose own is longer relies on no more
// until it has stated it.
func TestLeaseIsStatedFirst(t *testing.T) {
	heads := map[time.Duration]*head{
		defaultLease:     nil,
		formerLease:      {mark: &mark{LogID: "l"}, ends: ends{}}, // of a version that stated none
		10 * time.Second: {mark: &mark{LogID: "l", Lease: 10}, ends: ends{}},
	}
	for found, h := range heads {
		for _, own := range []time.Duration{2 * time.Second, maxLease} {
			log, err := New(Config{Brokers: []string{"localhost:9092"}, Pipeline: "p", Lease: own, Transport: acknowledging{}})
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			log.uptime = func() time.Duration { return 0 }
			w := log.newWriter(producerID{1, 1}, 0, h)
			if want := min(own, found); w.lease.length != want || found != stated(h) {
				t.Errorf("lease %v behind one of %v: relied on %v, want %v", own, found, w.lease.length, want)
			}
			if err := w.Watermark(t.Context(), eventstore.Watermark{}); err != nil {
				t.Fatal(err)
			}
			if w.lease.length != own || w.last.Lease != int64(own.Seconds()) {
				t.Errorf("lease %v is stated: relied on %v, the watermark says %d s", own, w.lease.length, w.last.Lease)
			}
		}
	}
}
