package kafkalog

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/kafkalog"
)

const (
	benchRecords = 10_000 // a flush
	benchRow     = 300
)

// benchFlush returns a flush of transactions of 1,000 rows that look like changed rows: about 300 bytes, half of them alike.
func benchFlush(first eventstore.CSN) *eventstore.Flush {
	f := &eventstore.Flush{}
	state := uint64(first) | 1
	for i := range benchRecords {
		csn := first + eventstore.CSN(i/1000)
		if i%1000 == 0 {
			f.Stamp.Add(csn, fmt.Sprintf("0-1-%d", csn))
		}
		state = state*6364136223846793005 + 1442695040888963407
		value := fmt.Appendf(nil, `{"before":null,"after":{"id":%d,"product_id":%d,"qty":%d,"note":"%x%x`, i, state>>40, state%1000, state, state*31)
		for len(value) < benchRow-40 {
			value = fmt.Appendf(value, " lorem %x", state>>(len(value)%32))
		}
		value = append(value, `"},"op":"c","source":{"db":"shop"}}`...)
		f.Records = append(f.Records, eventstore.Record{
			Place: eventstore.Place{CSN: csn, Index: uint64(i%1000) << 2}, Topic: "shop.stock", Key: fmt.Appendf(nil, `{"id":%d}`, i), Value: value,
			Time: time.UnixMilli(1_790_000_000_000 + int64(csn)),
		})
	}
	return f
}

// cpu returns the time that this process has computed.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure reports records a second and the CPU time of one.
func measure(b *testing.B, run func() (records int)) {
	b.ReportAllocs()
	before := cpu(b)
	b.ResetTimer()
	n := run()
	b.StopTimer()
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/1e3/float64(n), "CPU-µs/record")
}

func benchLog(b *testing.B, compression string) *kafkalog.Log {
	cfg := kafkalog.Config{Brokers: genuine.addrs(b), Pipeline: pipeline(), Compression: compression}
	log, err := kafkalog.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { log.Close() })
	return log
}

func benchWriter(b *testing.B, log *kafkalog.Log) eventstore.Writer {
	w, err := log.Begin(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { w.Close() })
	if err := w.Watermark(b.Context(), eventstore.Watermark{}); err != nil {
		b.Fatal(err)
	}
	return w
}

// fill appends flushes with a watermark each.
func fill(b *testing.B, w eventstore.Writer, f *eventstore.Flush, from, flushes int) {
	for i := from; i < from+flushes; i++ {
		first := eventstore.CSN(i*benchRecords/1000 + 1)
		f.Stamp.Runs = f.Stamp.Runs[:0]
		for j := range f.Records {
			f.Records[j].CSN = first + eventstore.CSN(j/1000)
			if j%1000 == 0 {
				f.Stamp.Add(f.Records[j].CSN, fmt.Sprintf("0-1-%d", f.Records[j].CSN))
			}
		}
		if err := w.Append(b.Context(), f); err != nil {
			b.Fatal(err)
		}
		if err := w.Watermark(b.Context(), eventstore.Watermark{CSN: first + benchRecords/1000 - 1}); err != nil {
			b.Fatal(err)
		}
	}
}

// One operation is a flush of 10,000 records and its watermark.
func BenchmarkAppend(b *testing.B) {
	for _, compression := range []string{"none", "lz4", "snappy", "zstd"} {
		b.Run(compression, func(b *testing.B) {
			w, f := benchWriter(b, benchLog(b, compression)), benchFlush(1)
			fill(b, w, f, 0, 1)
			measure(b, func() int {
				fill(b, w, f, 1, b.N)
				return b.N * benchRecords
			})
		})
	}
}

// One operation is 10,000 records of a log of 600,000.
func BenchmarkCuts(b *testing.B) {
	const flushes = 60
	for _, compression := range []string{"none", "lz4", "snappy", "zstd"} {
		b.Run(compression, func(b *testing.B) {
			log := benchLog(b, compression)
			fill(b, benchWriter(b, log), benchFlush(1), 0, flushes)
			measure(b, func() int {
				want, n := b.N*benchRecords, 0
				for n < want {
					for c, err := range log.Cuts(b.Context(), eventstore.CutOptions{}) {
						if err != nil {
							b.Fatal(err)
						}
						for r, err := range c.Records() {
							if err != nil {
								b.Fatal(err)
							}
							n += 1 + 0*len(r.Value)
						}
						if c.CSN == flushes*benchRecords/1000 || n >= want {
							break
						}
					}
				}
				return n
			})
		})
	}
}

// One operation is the way of a transaction of one record through an idle log: append, watermark, and a reader that follows.
func BenchmarkLatency(b *testing.B) {
	log := benchLog(b, "")
	w, f := benchWriter(b, log), benchFlush(1)
	f.Records = f.Records[:1]
	seen := make(chan time.Time)
	go func() {
		for c, err := range log.Cuts(b.Context(), eventstore.CutOptions{}) {
			if err != nil {
				return // the test is over, or says so itself by waiting
			}
			for range c.Records() {
				seen <- time.Now()
			}
		}
	}()
	var spans, appended []time.Duration
	send := func(csn eventstore.CSN) {
		f.Records[0].CSN = csn
		f.Stamp.Runs = f.Stamp.Runs[:0]
		f.Stamp.Add(csn, fmt.Sprintf("0-1-%d", csn))
		begun := time.Now()
		if err := w.Append(b.Context(), f); err != nil {
			b.Fatal(err)
		}
		if err := w.Watermark(b.Context(), eventstore.Watermark{CSN: csn}); err != nil {
			b.Fatal(err)
		}
		appended = append(appended, time.Since(begun))
		spans = append(spans, (<-seen).Sub(begun))
	}
	send(1)
	spans, appended = spans[:0], appended[:0]
	b.ResetTimer()
	for i := range b.N {
		send(eventstore.CSN(i + 2))
	}
	slices.Sort(spans)
	slices.Sort(appended)
	b.ReportMetric(float64(spans[len(spans)/2].Microseconds())/1e3, "p50-ms")
	b.ReportMetric(float64(spans[len(spans)*99/100].Microseconds())/1e3, "p99-ms")
	b.ReportMetric(float64(appended[len(appended)/2].Microseconds())/1e3, "p50-written-ms")
}
