package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go"

	"github.com/millrace-go/millrace/eventstore"
)

// counter counts requests.
type counter struct {
	next kafka.RoundTripper
	n    atomic.Int64
}

func (c *counter) RoundTrip(ctx context.Context, addr net.Addr, req kafka.Request) (kafka.Response, error) {
	c.n.Add(1)
	return c.next.RoundTrip(ctx, addr, req)
}

// chaos loses requests and replies of every kind.
type chaos struct {
	next kafka.RoundTripper
	mu   sync.Mutex
	rng  *rand.Rand
	lost int
}

func (c *chaos) RoundTrip(ctx context.Context, addr net.Addr, req kafka.Request) (kafka.Response, error) {
	c.mu.Lock()
	fate := c.rng.IntN(20)
	if fate < 2 {
		c.lost++
	}
	c.mu.Unlock()
	if fate == 0 {
		return nil, fmt.Errorf("injected: %w", syscall.ECONNRESET)
	}
	res, err := c.next.RoundTrip(ctx, addr, req)
	if fate == 1 && err == nil {
		return nil, fmt.Errorf("injected: %w", io.ErrUnexpectedEOF)
	}
	return res, err
}

// Whatever is lost on the way, of whatever request, a reader sees every record once and in order, while a writer that begins again
// after each unknown outcome finishes what it began. Some writers are left for dead in the middle of a flush.
func TestChaos(t *testing.T) {
	for _, b := range []brokers{fake, threeFakes, genuine} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%s/%d", b.name, seed), func(t *testing.T) {
				t.Parallel()
				testChaos(t, b.addrs(t), seed)
			})
		}
	}
}

func testChaos(t *testing.T, addrs []string, seed uint64) {
	const n = 60
	cfg := config(t, addrs, pipeline())
	broken := &chaos{next: cfg.Transport, rng: rand.New(rand.NewPCG(seed, 1))}
	cfg.Transport, cfg.RetryTimeout = broken, 10*time.Second
	log := open(t, cfg)
	rng := rand.New(rand.NewPCG(seed, 2))

	var want []string
	var txns []*eventstore.Flush
	for csn := eventstore.CSN(1); csn <= n; csn++ {
		f := &eventstore.Flush{}
		f.Stamp.Add(csn, fmt.Sprintf("0-1-%d", csn))
		for i := range uint64(rng.IntN(30)) {
			r := noise(csn, i, rng.IntN(2000))
			r.Topic, r.Key = []string{"shop.stock", "shop.orders", "shop.users"}[rng.IntN(3)], fmt.Appendf(nil, "%d", rng.IntN(50))
			f.Records = append(f.Records, r)
			want = append(want, line(&r))
		}
		txns = append(txns, f)
	}

	got := make(chan []string)
	go func() { got <- readLines(t, log, n) }()

	deaths := 0
	var w eventstore.Writer
	for csn := eventstore.CSN(0); csn <= n; {
		if w == nil {
			var err error
			if w, err = log.Begin(t.Context()); err != nil {
				t.Fatal(err)
			}
			if w.Start().Found {
				csn = w.Start().Watermark.CSN + 1
			}
		}
		err := step(t, w, csn, txns)
		if err == nil && rng.IntN(10) > 0 {
			csn++
			continue
		}
		if err != nil && !errors.Is(err, eventstore.ErrUnavailable) {
			t.Fatal(err)
		}
		deaths++
		w.Close()
		w = nil
	}
	if diff := cmp.Diff(want, <-got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	t.Logf("%d requests or replies lost, %d writers given up", broken.lost, deaths)
}

// step appends what is not there yet of transaction csn, and its watermark.
func step(t *testing.T, w eventstore.Writer, csn eventstore.CSN, txns []*eventstore.Flush) error {
	if csn > 0 {
		f := txns[csn-1]
		rest := &eventstore.Flush{Stamp: f.Stamp}
		for _, r := range f.Records {
			at := eventstore.Partition{Topic: r.Topic, Number: w.Partition(r.Topic, r.Key)}
			if last, ok := w.Start().Tail.Last[at]; !ok || r.Place.Compare(last) > 0 {
				rest.Records = append(rest.Records, r)
			}
		}
		if err := w.Append(t.Context(), rest); err != nil {
			return err
		}
	}
	return w.Watermark(t.Context(), eventstore.Watermark{CSN: csn})
}

func line(r *eventstore.Record) string {
	return fmt.Sprintf("%d/%d %s %s %d bytes", r.CSN, r.Index, r.Topic, r.Key, len(r.Value))
}

// readLines follows the log up to a csn.
func readLines(t *testing.T, log eventstore.Log, through eventstore.CSN) (lines []string) {
	for c, err := range log.Cuts(t.Context(), eventstore.CutOptions{MaxBytes: 64 << 10}) {
		if err != nil {
			return append(lines, err.Error())
		}
		for r, err := range c.Records() {
			if err != nil {
				return append(lines, err.Error())
			}
			lines = append(lines, line(r))
		}
		if c.CSN == through {
			break
		}
	}
	return lines
}
