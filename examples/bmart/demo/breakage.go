package demo

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
)

// The breakages: each does one thing wrong behind the library's back, and the check must find it.
const (
	breakLose   = "drop-record"    // a record does not reach the log
	breakRepeat = "duplicate"      // a record is in the log twice
	breakTwice  = "repeat"         // the source tells of a transaction twice
	breakOrder  = "reorder"        // the source tells of two transactions in the wrong order
	breakValue  = "wrong-value"    // a row's after image is its before image
	breakStale  = "stale-document" // some documents' later writes do not reach the sink
	breakDelete = "keep-deleted"   // deletes do not reach the sink
	breakTorn   = "torn-document"  // some documents lose their end
)

var breakages = []string{breakLose, breakRepeat, breakTwice, breakOrder, breakValue, breakStale, breakDelete, breakTorn}

const (
	breakAfterRows = 300                // changed rows
	breakAfterCSN  = eventstore.CSN(50) // for documents
)

// unlucky tells which documents are broken.
func unlucky(id string) bool { return strings.HasSuffix(id, "7") }

// breakLog drops a record on its way.
func breakLog(log eventstore.Log, what string) eventstore.Log {
	if what != breakLose {
		return log
	}
	return &losingLog{Log: log}
}

type losingLog struct {
	eventstore.Log
	rows atomic.Int64
	done atomic.Bool
}

func (l *losingLog) Begin(ctx context.Context) (eventstore.Writer, error) {
	w, err := l.Log.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return &losingWriter{w, l}, nil
}

type losingWriter struct {
	eventstore.Writer
	log *losingLog
}

func (w *losingWriter) Append(ctx context.Context, f *eventstore.Flush) error {
	if w.log.rows.Add(int64(len(f.Records))) > breakAfterRows && len(f.Records) > 1 && f.Records[1].Topic != eventstore.SchemaTopic && !w.log.done.Swap(true) {
		less := *f
		less.Records = slices.Delete(slices.Clone(f.Records), 1, 2)
		f = &less
	}
	return w.Writer.Append(ctx, f)
}

// breakSource has a source tell something wrong once.
func breakSource(source cdc.Source, what string) cdc.Source {
	switch what {
	case breakTwice, breakOrder, breakValue:
		return &lyingSource{Source: source, what: what}
	}
	return source
}

type lyingSource struct {
	cdc.Source
	what string
	rows int
	done bool
}

func (s *lyingSource) Open(ctx context.Context, from cdc.Position) (cdc.Stream, error) {
	stream, err := s.Source.Open(ctx, from)
	if err != nil {
		return nil, err
	}
	return &lyingStream{Stream: stream, source: s}, nil
}

type lyingStream struct {
	cdc.Stream
	source *lyingSource
	next   []*cdc.Slice
}

func (s *lyingStream) Next(ctx context.Context) (*cdc.Slice, error) {
	if len(s.next) > 0 {
		slice := s.next[0]
		s.next = s.next[1:]
		return slice, nil
	}
	slice, err := s.Stream.Next(ctx)
	if err != nil {
		return nil, err
	}
	s.source.rows += len(slice.Changes)
	if s.source.done || s.source.rows < breakAfterRows || len(slice.Changes) == 0 || !slice.First || !slice.Last {
		return slice, nil
	}
	switch s.source.what {
	case breakTwice:
		slice = copySlice(slice)
		s.next = append(s.next, slice)
	case breakOrder:
		slice = copySlice(slice)
		other, err := s.Stream.Next(ctx)
		if err != nil {
			return nil, err
		}
		s.next = append(s.next, slice)
		slice = copySlice(other)
	case breakValue:
		if slice.Changes[0].Op != cdc.Update {
			return slice, nil
		}
		slice = copySlice(slice)
		slice.Changes[0].After = slice.Changes[0].Before
	}
	s.source.done = true
	return slice, nil
}

// copySlice returns a slice that stays valid.
func copySlice(s *cdc.Slice) *cdc.Slice {
	out := *s
	out.Changes = slices.Clone(s.Changes)
	for i, c := range out.Changes {
		out.Changes[i].Key, out.Changes[i].OldKey = slices.Clone(c.Key), slices.Clone(c.OldKey)
		out.Changes[i].Before, out.Changes[i].After = slices.Clone(c.Before), slices.Clone(c.After)
		table := *c.Table
		table.Columns, table.Key = slices.Clone(c.Table.Columns), slices.Clone(c.Table.Key)
		out.Changes[i].Table = &table
	}
	return &out
}

// breakSink has a sink keep something to itself.
func breakSink(sink projector.Sink, what string) projector.Sink {
	switch what {
	case breakStale, breakDelete, breakTorn:
		return &losingSink{sink, what}
	}
	return sink
}

type losingSink struct {
	projector.Sink
	what string
}

func (s *losingSink) Apply(ctx context.Context, t projector.Target, generation uint64, writes []projector.Write, results []projector.Result) error {
	var kept []projector.Write
	var at []int
	for i, w := range writes {
		switch {
		case s.what == breakStale && unlucky(w.ID) && w.Version.CSN() > breakAfterCSN, s.what == breakDelete && w.Body == nil:
			results[i] = projector.Result{Outcome: projector.Applied, Stored: w.Version}
			continue
		case s.what == breakTorn && unlucky(w.ID) && w.Body != nil:
			w.Body = torn(w.Body)
		}
		kept, at = append(kept, w), append(at, i)
	}
	some := make([]projector.Result, len(kept))
	if err := s.Sink.Apply(ctx, t, generation, kept, some); err != nil {
		return err
	}
	for i, r := range some {
		results[at[i]] = r
	}
	return nil
}

// torn cuts the last field of a document off.
func torn(body []byte) []byte {
	i := strings.LastIndex(string(body), `,"`)
	for i >= 0 {
		end := strings.Count(string(body[:i]), "[") - strings.Count(string(body[:i]), "]")
		braces := strings.Count(string(body[:i]), "{") - strings.Count(string(body[:i]), "}")
		if end == 0 && braces == 1 {
			return append(slices.Clone(body[:i]), '}')
		}
		i = strings.LastIndex(string(body[:i]), `,"`)
	}
	return body
}

// breakLate repeats a record when everything else has ended, as a stranger with write permission could.
func (s *supervisor) breakLate(ctx context.Context) error {
	if s.cfg.Break != breakRepeat {
		return nil
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(s.brokers...), kgo.DisableIdempotentWrite(), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic("product"): {0: kgo.NewOffset().At(0)}}))
	if err != nil {
		return err
	}
	defer client.Close()
	fetches := client.PollRecords(ctx, 1)
	if err := fetches.Err(); err != nil {
		return err
	}
	r := fetches.Records()[0]
	return client.ProduceSync(ctx, &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers}).FirstErr()
}
