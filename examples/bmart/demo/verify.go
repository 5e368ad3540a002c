package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrace-go/millrace/examples/bmart/check"
	"github.com/millrace-go/millrace/examples/bmart/freshness"
	"github.com/millrace-go/millrace/examples/bmart/home"
	"github.com/millrace-go/millrace/examples/bmart/product"
	"github.com/millrace-go/millrace/examples/bmart/schema"
	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/supervise"
)

// check runs the load, with kills, waits until everything has arrived, and compares.
func (s *supervisor) check(ctx context.Context) error {
	if err := s.load.Fill(ctx); err != nil {
		return err
	}
	if err := s.caughtUp(ctx); err != nil {
		return err
	}
	filled := s.load.Rows()
	s.say("filled: %d catalogs, %d rows, and their documents", s.cfg.Catalogs, filled)
	if err := s.db.compress(ctx); err != nil {
		return err
	}
	s.sampling.Store(true)
	if err := s.loadAndKill(ctx); err != nil {
		return err
	}
	s.say("load over: %d changed rows, %d finished tails, %d relays, %d projectors, %d retries",
		s.load.Rows()-filled, s.tails.Load(), s.starts(s.relay), s.starts(s.projector), s.retries.Load())
	if err := s.caughtUp(ctx); err != nil {
		return err
	}
	s.say("caught up")
	// Nothing is written any more but watermarks; the programs must also end as they should.
	if err := s.drain(); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := s.breakLate(ctx); err != nil {
		return err
	}
	return s.compare(ctx)
}

func (s *supervisor) starts(p *supervise.Process) int {
	_, n := p.PIDAndStarts()
	return n
}

// loadAndKill runs the load until it has changed enough rows and the killer is done.
func (s *supervisor) loadAndKill(ctx context.Context) error {
	killed := make(chan error, 1)
	go func() { killed <- s.killer(ctx) }()
	running, stop := context.WithCancel(ctx)
	defer stop()
	loaded := make(chan error, 1)
	go func() {
		err := s.load.Run(running, s.cfg.Changes)
		if err == nil && s.cfg.Kills > 0 {
			err = s.load.Run(running, 0) // until the killer is done
		}
		loaded <- err
	}()
	enough := s.load.Rows() + s.cfg.Changes
	err := <-killed
	if s.load.Rows() >= enough {
		stop()
	}
	if err != nil {
		stop()
		return errors.Join(err, <-loaded)
	}
	if s.cfg.Kills > 0 && s.load.Rows() < enough {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for s.load.Rows() < enough && ctx.Err() == nil {
			<-tick.C
		}
		stop()
	}
	return <-loaded
}

// compare makes the check's last line, and an error of everything that does not hold.
func (s *supervisor) compare(ctx context.Context) error {
	tables, err := check.ReadTables(ctx, s.db.admin, schema.Database)
	if err != nil {
		return err
	}
	binlog, err := s.db.history(ctx)
	if err != nil {
		return err
	}
	s.say("binlog: %d transactions", len(binlog))
	records, err := history.ReadLog(ctx, s.brokers, pipeline)
	if err != nil {
		return err
	}
	s.say("log: %d records", len(records))
	histories := check.CompareHistories(binlog, records, schema.Database, tables, topic)
	homes, products, err := s.compareDocuments(ctx)
	if err != nil {
		return err
	}
	for _, examples := range [][]string{histories.Examples, homes.Examples, products.Examples} {
		for _, e := range examples {
			s.say("%s", e)
		}
	}
	s.say("%s", homes)
	s.say("%s", products)
	fresh := map[string]freshness.Summary{}
	for _, kind := range []string{home.Name, product.Name} {
		f := s.tracker.Summary(kind, time.Time{})
		fresh[kind] = f
		s.say("%s freshness: %d samples, p50 %s p99 %s max %s, %d without a document", kind, f.Samples, ms(f.P50), ms(f.P99), ms(f.Max), s.tracker.Open(kind))
	}
	fmt.Fprintf(s.cfg.Out, "%s documents %d equal %d tails %d freshness p50 home %s product %s p99 home %s product %s\n",
		histories, homes.Total+products.Total, homes.Equal+products.Equal, s.tails.Load(),
		ms(fresh[home.Name].P50), ms(fresh[product.Name].P50), ms(fresh[home.Name].P99), ms(fresh[product.Name].P99))
	return s.verdict(histories, homes, products)
}

func (s *supervisor) compareDocuments(ctx context.Context) (homes, products *check.Documents, err error) {
	db, err := openDatabase(s.db.addr, s.db.reader.User, s.db.reader.Password)
	if err != nil {
		return nil, nil, err
	}
	defer db.Close()
	wantHomes, err := check.ExpectedHomes(ctx, db)
	if err != nil {
		return nil, nil, err
	}
	wantProducts, err := check.ExpectedProducts(ctx, db)
	if err != nil {
		return nil, nil, err
	}
	if homes, err = check.CompareDocuments(home.Name, wantHomes, s.docs.each(ctx, home.Name)); err != nil {
		return nil, nil, err
	}
	products, err = check.CompareDocuments(product.Name, wantProducts, s.docs.each(ctx, product.Name))
	return homes, products, err
}

// verdict is nil when everything holds, and when enough was checked to say so.
func (s *supervisor) verdict(h *check.Histories, documents ...*check.Documents) error {
	var problems []error
	if !h.OK() {
		problems = append(problems, errors.New("the log is not what the binlog says"))
	}
	if h.Changes < s.cfg.minChanges {
		problems = append(problems, fmt.Errorf("only %d changes, want at least %d", h.Changes, s.cfg.minChanges))
	}
	for _, d := range documents {
		if !d.OK() {
			problems = append(problems, fmt.Errorf("the %s documents are not what the tables say", d.Kind))
		}
		if d.Total < s.cfg.minDocuments {
			problems = append(problems, fmt.Errorf("only %d %s documents, want at least %d", d.Total, d.Kind, s.cfg.minDocuments))
		}
		if s.tracker.Summary(d.Kind, time.Time{}).Samples == 0 {
			problems = append(problems, fmt.Errorf("no freshness of %s documents was measured", d.Kind))
		}
	}
	if s.cfg.Kills >= killsForTails && s.cfg.Kafka == "real" && s.tails.Load() == 0 {
		problems = append(problems, fmt.Errorf("%d kills, but no relay had a tail to finish: the run shows nothing of that", s.cfg.Kills))
	}
	return errors.Join(problems...)
}

// killsForTails is the number of kills from which on a run without a finished tail counts as failed.
const killsForTails = 20

func ms(d time.Duration) string { return d.Round(time.Millisecond).String() }
