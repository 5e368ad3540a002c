package demo

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/millrace-go/millrace/examples/bmart/home"
	"github.com/millrace-go/millrace/examples/bmart/page"
	"github.com/millrace-go/millrace/examples/bmart/product"
)

// show serves the page and runs the load until ctx ends.
func (s *supervisor) show(ctx context.Context) error {
	meter := &meter{s: s, at: time.Now()}
	handler, err := page.Handler(page.Config{
		Document: func(ctx context.Context, catalog uint64) ([]byte, bool, error) {
			return s.docs.get(ctx, home.Name, strconv.FormatUint(catalog, 10))
		},
		Status:  meter.status,
		Catalog: s.openCatalog,
	})
	if err != nil {
		return err
	}
	if err := s.caughtUp(ctx); err != nil {
		return err
	}
	meter.status() // the rates count from here
	url, err := s.serve(ctx, s.cfg.Addr, handler)
	if err != nil {
		return err
	}
	s.say("the documents are there")
	fmt.Fprintf(s.cfg.Out, "\n    %s\n\n    ^C ends it.\n\n", url)
	if s.cfg.shown != nil {
		s.cfg.shown(url, s.db.admin)
	}
	s.sampling.Store(true)
	if s.cfg.Kills > 0 {
		s.children.Go(func() {
			if err := s.killer(ctx); err != nil && ctx.Err() == nil {
				s.failed(err)
			}
		})
	}
	if err := s.load.Run(ctx, 0); err != nil {
		return err
	}
	s.say("ending")
	return nil
}

// openCatalog returns the first catalog that has a document.
func (s *supervisor) openCatalog(ctx context.Context) uint64 {
	for id := range uint64(s.cfg.Catalogs) {
		if _, found, err := s.docs.get(ctx, home.Name, strconv.FormatUint(id+1, 10)); found || err != nil {
			return id + 1
		}
	}
	return 1
}

// meter makes the page's status. The rates are those between two looks, at least rateSpan apart.
type meter struct {
	s  *supervisor
	mu sync.Mutex

	at                   time.Time
	load, log, documents int
	loadRate, logRate    float64
	documentRate         float64
}

const rateSpan = time.Second

// freshSpan is how far back the page's percentiles look.
const freshSpan = 10 * time.Second

func (m *meter) status() page.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.s
	csn, rows, changes := s.flow.figures()
	loaded, documents := s.load.Rows(), int(s.written.Load())
	if d := time.Since(m.at); d >= rateSpan || m.load == 0 {
		m.loadRate, m.logRate, m.documentRate = rate(loaded-m.load, d), rate(rows-m.log, d), rate(documents-m.documents, d)
		m.at, m.load, m.log, m.documents = time.Now(), loaded, rows, documents
	}
	relayPID, relays := s.relay.PIDAndStarts()
	projectorPID, projectors := s.projector.PIDAndStarts()
	status := page.Status{
		Changes: changes,
		Stages: []page.Stage{
			{Name: "database", Kind: s.cfg.DB, Figure: fmt.Sprintf("%.0f rows/s", m.loadRate), Note: fmt.Sprintf("%d rows changed", loaded)},
			{Name: "relay", Kind: fmt.Sprintf("process %d", relayPID), Figure: fmt.Sprintf("%d started", relays), Note: fmt.Sprintf("%d tails finished", s.tails.Load())},
			{Name: "log", Kind: s.kafkaName, Figure: fmt.Sprintf("%.0f rows/s", m.logRate), Note: fmt.Sprintf("csn %d", csn)},
			{Name: "projectors", Kind: fmt.Sprintf("process %d", projectorPID), Figure: fmt.Sprintf("%d started", projectors), Note: "home, product: Join"},
			{Name: "sink", Kind: s.cfg.Sink, Figure: fmt.Sprintf("%.0f documents/s", m.documentRate), Note: fmt.Sprintf("%d written", documents)},
		},
	}
	for _, kind := range []string{home.Name, product.Name} {
		f := s.tracker.Summary(kind, time.Now().Add(-freshSpan))
		behind := uint64(csn - min(csn, s.tracker.Reached(kind)))
		status.Freshness = append(status.Freshness, page.Freshness{Kind: kind, P50: float64(f.P50) / 1e6, P99: float64(f.P99) / 1e6, Samples: f.Samples, Behind: behind})
	}
	return status
}

func rate(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }
