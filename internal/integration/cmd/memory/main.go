// Command memory measures the relay's peak resident memory under transactions of gigabytes. On each database it makes, in the server,
//
//	rows        one transaction of 5 million small rows, as the server writes it and compressed by the server
//	updates     updates of a row of 64 MiB (LONGTEXT, LONGBLOB, MariaDB's LONGBLOB COMPRESSED; both images), six in one transaction and six in six
//	compressed  MySQL: the same updates in one compressed transaction, as large as MySQL lets one become: about 1 GB
//
// and for each runs the whole relay, from the binlog into a real Kafka broker, in a process of its own. Then it reads the log with an independent
// client and compares it with what the server's own SELECT says: the number of records and a hash of all images. It prints each
// relay's peak (VmHWM), the peak of its Go heap beside it, and the option that bounds it, and fails beyond the bounds.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// settings are the sizes and bounds of a run. A bound is in megabytes, 10^6 bytes.
type settings struct {
	databases string
	rows      int
	rowsMB    int
	rowMiB    int
	updates   int
	updatesMB int
	payload   int // updates in the compressed transaction
	payloadMB int
}

func main() {
	var s settings
	relay := flag.String("relay", "", "run one relay, described by JSON (used by the command itself)")
	flag.StringVar(&s.databases, "databases", "mariadb,mysql", "databases to measure")
	flag.IntVar(&s.rows, "rows", 5_000_000, "rows of the transaction of small rows; 0 leaves it out")
	flag.IntVar(&s.rowsMB, "rows-bound", 150, "what the relay may take for it, in MB")
	flag.IntVar(&s.rowMiB, "row", 64, "size of the huge row, in MiB")
	flag.IntVar(&s.updates, "updates", 6, "updates of the huge row in one transaction, and then in several; 0 leaves them out")
	flag.IntVar(&s.updatesMB, "updates-bound", 500, "what the relay may take for them, in MB")
	flag.IntVar(&s.payload, "payload", 7, "updates of the huge row in the compressed transaction; 0 leaves it out")
	flag.IntVar(&s.payloadMB, "payload-bound", 500, "what the relay may take for it, in MB")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := func() error { return s.run(ctx) }
	if *relay != "" {
		run = func() error { return runRelay(ctx, *relay) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "memory:", err)
		os.Exit(1)
	}
}

// summary is the highest peak of each group of cases.
type summary struct {
	rows, updates, payload uint64 // bytes
	payloadBytes           uint64 // the size of the compressed event
}

func (s settings) run(ctx context.Context) error {
	var peaks summary
	logf := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	broker, err := s.broker(ctx, logf)
	if err != nil {
		return err
	}
	defer broker.Close()
	for name := range strings.SplitSeq(s.databases, ",") {
		kind, err := servers.ParseKind(name)
		if err != nil {
			return err
		}
		if err := s.measure(ctx, kind, broker, logf, &peaks); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	text, err := s.judge(peaks)
	fmt.Println(text)
	return err
}

// judge sums a run up.
func (s settings) judge(peaks summary) (text string, err error) {
	text = fmt.Sprintf("peak %s rows %d MB of %d, %d MiB rows %d MB of %d, compressed %.2f GB %d MB of %d", count(s.rows), peaks.rows/mb, s.rowsMB,
		s.rowMiB, peaks.updates/mb, s.updatesMB, float64(peaks.payloadBytes)/1e9, peaks.payload/mb, s.payloadMB)
	if peaks.rows > uint64(s.rowsMB)*mb || peaks.updates > uint64(s.updatesMB)*mb || peaks.payload > uint64(s.payloadMB)*mb {
		err = errors.New("a relay took more memory than it may")
	}
	return text, err
}

const mb = 1_000_000

func count(n int) string {
	if n >= 1_000_000 && n%1_000_000 == 0 {
		return fmt.Sprintf("%dM", n/1_000_000)
	}
	return fmt.Sprint(n)
}

// describe is a job as the process of its relay gets it.
func (j job) describe() string {
	text, _ := json.Marshal(j) // strings and numbers
	return string(text)
}
