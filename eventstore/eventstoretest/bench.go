package eventstoretest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-go/millrace/eventstore"
)

// The topics of the suite. Keys spread over their partitions.
const (
	orders = "shop.orders"
	stock  = "shop.stock"
	users  = "shop.users"
)

// start is when transaction 0 was committed. Each later one comes 1.5 s after the one before.
var start = time.Date(2026, 3, 14, 15, 9, 26, 535_000_000, time.UTC)

// bench is the store of one test.
type bench struct {
	Harness
	store Store
}

// begin opens the store as a new process and begins.
func (b *bench) begin(t *testing.T, network *Network) *writer {
	t.Helper()
	return begin(t, b.store.Open(t, network))
}

func begin(t *testing.T, log eventstore.Log) *writer {
	t.Helper()
	w, err := log.Begin(t.Context())
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	t.Cleanup(func() { w.Close() })
	return &writer{w}
}

// first begins on an empty log and writes its first watermark.
func (b *bench) first(t *testing.T, network *Network) *writer {
	t.Helper()
	w := b.begin(t, network)
	w.mark(t, 0)
	return w
}

// writer adds to a Writer what a test says most.
type writer struct{ eventstore.Writer }

func (w *writer) append(t *testing.T, txns ...txn) {
	t.Helper()
	if err := w.Append(t.Context(), flush(txns...)); err != nil {
		t.Fatalf("append: %v", err)
	}
}

// appendUnknown appends where the network loses something.
func (w *writer) appendUnknown(t *testing.T, f *eventstore.Flush) {
	t.Helper()
	if err := w.Append(t.Context(), f); !errors.Is(err, eventstore.ErrUnavailable) {
		t.Fatalf("append over a broken network: %v, want ErrUnavailable", err)
	}
}

func (w *writer) mark(t *testing.T, csn eventstore.CSN) {
	t.Helper()
	if err := w.Watermark(t.Context(), mark(csn)); err != nil {
		t.Fatalf("watermark %d: %v", csn, err)
	}
}

// mark returns the watermark at csn: transaction n is GTID 0-1-n.
func mark(csn eventstore.CSN) eventstore.Watermark {
	w := eventstore.Watermark{CSN: csn, Config: "config-1", Position: eventstore.Position{Flavor: "mariadb", Server: "1", File: "bin.000001", Offset: uint64(100 * csn)}}
	if csn > 0 {
		w.Position.GTIDs = gtid(csn)
		w.Time = committed(csn)
	}
	return w
}

func gtid(csn eventstore.CSN) string { return fmt.Sprintf("0-1-%d", csn) }

func committed(csn eventstore.CSN) time.Time {
	return start.Add(time.Duration(csn) * 1500 * time.Millisecond)
}

// txn is a transaction of the suite.
type txn struct {
	csn     eventstore.CSN
	records []eventstore.Record
}

// tx returns a transaction with one record in each of the topics, in that order.
func tx(csn eventstore.CSN, topics ...string) txn {
	t := txn{csn: csn}
	for i, topic := range topics {
		t.records = append(t.records, record(csn, i, topic))
	}
	return t
}

// wide returns a transaction of n records that spread over the topics' partitions.
func wide(csn eventstore.CSN, n int, topics ...string) txn {
	t := txn{csn: csn}
	for i := range n {
		t.records = append(t.records, record(csn, i, topics[i%len(topics)]))
	}
	return t
}

func record(csn eventstore.CSN, i int, topic string) eventstore.Record {
	r := eventstore.Record{
		Place: eventstore.Place{CSN: csn, Index: eventstore.RowIndex(uint64(i), eventstore.RowRecord)},
		Topic: topic,
		Key:   fmt.Appendf(nil, `{"id":%d}`, int(csn)*7+i),
		Time:  committed(csn),
	}
	if (int(csn)+i)%5 != 4 { // every fifth is a tombstone
		r.Value = fmt.Appendf(nil, `{"op":"u","after":{"id":%d,"csn":%d}}`, int(csn)*7+i, csn)
	}
	return r
}

// flush makes one flush of transactions, stamped with themselves.
func flush(txns ...txn) *eventstore.Flush {
	f := &eventstore.Flush{Stamp: eventstore.Stamp{Config: "config-1"}}
	for _, x := range txns {
		f.Stamp.Add(x.csn, gtid(x.csn))
		f.Records = append(f.Records, x.records...)
	}
	return f
}

// finish appends what of the flush a tail does not hold yet: the successor's duty.
func (w *writer) finish(t *testing.T, f *eventstore.Flush) {
	t.Helper()
	tail := w.Start().Tail
	rest := &eventstore.Flush{Stamp: f.Stamp}
	for _, r := range f.Records {
		at := eventstore.Partition{Topic: r.Topic, Number: w.Partition(r.Topic, r.Key)}
		if last, ok := tail.Last[at]; !ok || r.Place.Compare(last) > 0 {
			rest.Records = append(rest.Records, r)
		}
	}
	if err := w.Append(t.Context(), rest); err != nil {
		t.Fatalf("finish the tail: %v", err)
	}
}

// cut is a cut that was read whole.
type cut struct {
	After, CSN eventstore.CSN
	Records    []eventstore.Record
}

// read reads the cuts of a log through csn, once each.
func read(t *testing.T, log eventstore.Log, through eventstore.CSN, opts eventstore.CutOptions) []cut {
	t.Helper()
	var cuts []cut
	for c, err := range log.Cuts(t.Context(), opts) {
		if err != nil {
			t.Fatalf("cuts after %d: %v", opts.After, err)
		}
		cuts = append(cuts, readCut(t, c))
		if c.CSN >= through {
			break
		}
	}
	return cuts
}

func readCut(t *testing.T, c *eventstore.Cut) cut {
	t.Helper()
	got := cut{After: c.After, CSN: c.CSN}
	for r, err := range c.Records() {
		if err != nil {
			t.Fatalf("cut %d: %v", c.CSN, err)
		}
		got.Records = append(got.Records, copied(r))
	}
	return got
}

// copied copies a record, without its offset, which is the store's own.
func copied(r *eventstore.Record) eventstore.Record {
	c := *r
	c.Key, c.Value = slices.Clone(r.Key), slices.Clone(r.Value)
	c.Partition, c.Offset = 0, 0
	c.Time = c.Time.UTC()
	return c
}

// records are the records of all cuts.
func records(cuts []cut) []eventstore.Record {
	var all []eventstore.Record
	for _, c := range cuts {
		all = append(all, c.Records...)
	}
	return all
}

// wantRecords compares what a new process reads through csn with exactly the transactions.
func (b *bench) wantRecords(t *testing.T, through eventstore.CSN, txns ...txn) {
	t.Helper()
	got := records(read(t, b.store.Open(t, nil), through, eventstore.CutOptions{}))
	diffRecords(t, all(txns), got)
}

func all(txns []txn) []eventstore.Record {
	var want []eventstore.Record
	for _, x := range txns {
		want = append(want, x.records...)
	}
	return want
}

func diffRecords(t *testing.T, want, got []eventstore.Record) {
	t.Helper()
	if diff := cmp.Diff(lines(want), lines(got)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// lines writes records one a line, so that a difference can be read.
func lines(records []eventstore.Record) []string {
	out := make([]string, len(records))
	for i, r := range records {
		value := string(r.Value)
		if r.Value == nil {
			value = "(tombstone)"
		}
		out[i] = strings.Join([]string{fmt.Sprintf("csn %d index %d", r.CSN, r.Index), r.Topic, string(r.Key), value, r.Time.Format(time.RFC3339Nano)}, " ")
	}
	return out
}

// wantTail compares a tail's landed transactions and its stamp's.
func wantTail(t *testing.T, tail eventstore.Tail, landed []eventstore.CSN, stamped ...eventstore.CSN) {
	t.Helper()
	if diff := cmp.Diff(landed, tail.Landed); diff != "" {
		t.Errorf("landed (-want +got):\n%s", diff)
	}
	if tail.Stamp == nil {
		if len(stamped) > 0 {
			t.Errorf("the tail has no stamp, want one of %v", stamped)
		}
		return
	}
	var got []eventstore.CSN
	for csn, id := range tail.Stamp.All() {
		got = append(got, csn)
		if id != gtid(csn) {
			t.Errorf("csn %d is stamped as %s, want %s", csn, id, gtid(csn))
		}
	}
	if diff := cmp.Diff(stamped, got); diff != "" {
		t.Errorf("stamped (-want +got):\n%s", diff)
	}
	if tail.Stamp.Config != "config-1" {
		t.Errorf("stamp's config is %q", tail.Stamp.Config)
	}
}
