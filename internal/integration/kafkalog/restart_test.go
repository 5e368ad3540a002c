package kafkalog

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// The broker is killed and comes back while a writer writes and a reader reads: neither loses its place.
func TestBrokerRestarts(t *testing.T) {
	const n, kills = 200, 1
	s, err := servers.Start(t.Context(), servers.Kafka, servers.Options{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	cfg := config(t, []string{s.Address().Value}, pipeline())
	cfg.RetryTimeout = 2 * time.Second // so that the writer gives up while the broker is down
	log := open(t, cfg)

	var want []string
	var txns []*eventstore.Flush
	for csn := eventstore.CSN(1); csn <= n; csn++ {
		f := &eventstore.Flush{}
		f.Stamp.Add(csn, fmt.Sprintf("0-1-%d", csn))
		for i := range uint64(5) {
			r := noise(csn, i, 100)
			r.Key = fmt.Appendf(nil, "%d", i)
			f.Records = append(f.Records, r)
			want = append(want, line(&r))
		}
		txns = append(txns, f)
	}
	got := make(chan []string)
	go func() { got <- readLines(t, log, n) }()

	restarted := make(chan error, kills)
	begun := 0
	var w eventstore.Writer
	for csn := eventstore.CSN(0); csn <= n; {
		if w == nil {
			if w, err = log.Begin(t.Context()); err != nil {
				t.Fatal(err)
			}
			if begun++; w.Start().Found {
				csn = w.Start().Watermark.CSN + 1
			}
		}
		if csn > 0 && csn%(n/(kills+1)) == 0 && begun == int(csn)/(n/(kills+1)) {
			if err := s.Kill(); err != nil {
				t.Fatal(err)
			}
			go func() { restarted <- s.Restart(t.Context()) }()
		}
		switch err := step(t, w, csn, txns); {
		case err == nil:
			csn++
		case errors.Is(err, eventstore.ErrUnavailable):
			w.Close()
			w = nil
		default:
			t.Fatal(err)
		}
	}
	for range kills {
		if err := <-restarted; err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(want, <-got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	t.Logf("the writer began %d times", begun)
}
