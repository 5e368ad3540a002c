package demo

import (
	"context"
	"log/slog"
	"time"

	"github.com/millrace-go/millrace/examples/bmart/home"
	"github.com/millrace-go/millrace/examples/bmart/product"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/pebblestate"
)

// window is how long changes are collected before their documents are written: the page shows them while one looks.
const window = 50 * time.Millisecond

// runProjector is the projector process. It has the log and the sink, and a folder for the rows: no database.
func runProjector(ctx context.Context, t task, out *reporter, logger *slog.Logger) error {
	log, err := openLog(t.Brokers, logger)
	if err != nil {
		return err
	}
	defer log.Close()
	sink, err := t.Sink.open(logger)
	if err != nil {
		return err
	}
	defer sink.close()
	states, err := pebblestate.New(pebblestate.Config{Dir: t.StateDir, Logger: logger})
	if err != nil {
		return err
	}
	runner, err := projector.NewRunner(projector.Config{
		Log:   log,
		Sinks: []projector.Sink{&tellingSink{Sink: breakSink(sink.Sink, t.Break), out: out}},
		Projectors: []projector.Projector{
			home.Projector(t.Sink.target(home.Name)),
			product.Projector(t.Sink.target(product.Name)),
		},
		States: states,
		Window: window,
		Logger: logger,
		Hooks: projector.Hooks{
			OnRetry: func(i projector.RetryInfo) {
				out.send(report{Event: eventRetry, Kind: i.Projector, Text: i.Step + ": " + i.Err.Error()})
			},
		},
	})
	if err != nil {
		return err
	}
	return runner.Run(ctx)
}

// tellingSink reports which documents its sink has acknowledged, and when, and the progress.
type tellingSink struct {
	projector.Sink
	out *reporter
}

func (s *tellingSink) Apply(ctx context.Context, t projector.Target, generation uint64, writes []projector.Write, results []projector.Result) error {
	if err := s.Sink.Apply(ctx, t, generation, writes, results); err != nil {
		return err
	}
	m := report{Event: eventWritten, At: time.Now(), Kind: t.Name}
	for i, w := range writes {
		if r := results[i].Outcome; r == projector.Applied || r == projector.Stale {
			m.Written = append(m.Written, written{w.ID, w.Version.CSN()})
		}
	}
	s.out.send(m)
	return nil
}

func (s *tellingSink) SaveProgress(ctx context.Context, name string, p projector.Progress) error {
	if err := s.Sink.SaveProgress(ctx, name, p); err != nil {
		return err
	}
	s.out.send(report{Event: eventProgress, Kind: name, CSN: p.CSN})
	return nil
}
