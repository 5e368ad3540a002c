package eventstoretest

import (
	"context"
	"fmt"
	"slices"

	"github.com/millrace-go/millrace/eventstore"
)

// NewFaulty returns log behind a network that loses things. A flush lands in part when its topics have different fates. What the
// sender does not learn is reported as [eventstore.ErrUnavailable].
func NewFaulty(log eventstore.Log, network *Network) eventstore.Log {
	return &faultyLog{log, network}
}

type faultyLog struct {
	eventstore.Log
	network *Network
}

// Begin implements [eventstore.Log].
func (l *faultyLog) Begin(ctx context.Context) (eventstore.Writer, error) {
	w, err := l.Log.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return &faultyWriter{w, l.network}, nil
}

type faultyWriter struct {
	eventstore.Writer
	network *Network
}

// Append implements [eventstore.Writer].
func (w *faultyWriter) Append(ctx context.Context, f *eventstore.Flush) error {
	fates := make(map[string]Fate)
	deliver := &eventstore.Flush{Stamp: f.Stamp}
	hold := &eventstore.Flush{Stamp: eventstore.Stamp{Config: f.Stamp.Config, Runs: slices.Clone(f.Stamp.Runs)}}
	known := true
	for _, r := range f.Records {
		fate, ok := fates[r.Topic]
		if !ok {
			fate = w.network.Fate(r.Topic)
			fates[r.Topic] = fate
		}
		known = known && fate == Deliver
		switch fate {
		case Deliver, LoseReply:
			deliver.Records = append(deliver.Records, r)
		case Hold:
			r.Key, r.Value = slices.Clone(r.Key), slices.Clone(r.Value)
			hold.Records = append(hold.Records, r)
		}
	}
	if len(hold.Records) > 0 {
		w.network.Keep(func() error { return w.Writer.Append(context.WithoutCancel(ctx), hold) })
	}
	if known || len(deliver.Records) > 0 {
		if err := w.Writer.Append(ctx, deliver); err != nil {
			return err
		}
	}
	return outcome("append", known)
}

// Watermark implements [eventstore.Writer].
func (w *faultyWriter) Watermark(ctx context.Context, mark eventstore.Watermark) error {
	fate := w.network.Fate(Watermarks)
	switch fate {
	case Hold:
		w.network.Keep(func() error { return w.Writer.Watermark(context.WithoutCancel(ctx), mark) })
	case Deliver, LoseReply:
		if err := w.Writer.Watermark(ctx, mark); err != nil {
			return err
		}
	}
	return outcome("watermark", fate == Deliver)
}

func outcome(step string, known bool) error {
	if known {
		return nil
	}
	return fmt.Errorf("%s: no answer (injected): %w", step, eventstore.ErrUnavailable)
}
