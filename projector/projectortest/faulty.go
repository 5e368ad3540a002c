package projectortest

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
)

// Fate is what becomes of a call of a faulty sink or log.
type Fate uint8

// The fates. Lose and the following up to RetryItems report [projector.ErrUnavailable]; Die and DieAfter an error that does not
// pass, as when the process had ended there.
const (
	Pass Fate = iota
	// Lose: the call is not made.
	Lose
	// LoseReply: the call is made, and its outcome is not known.
	LoseReply
	// Half: of a request with several writes every second one is made, and its outcome is not known. Other calls: LoseReply.
	Half
	// RetryItems: every second write of a request is made, the others are to be repeated; the request succeeds. Other calls: Pass.
	RetryItems
	// Die: the call is not made.
	Die
	// DieHalf: every second write is made. Other calls: Die.
	DieHalf
	// DieAfter: the call is made.
	DieAfter
)

// ErrDied is the error of the fates Die, DieHalf and DieAfter.
var ErrDied = errors.New("died (injected)")

var errLost = fmt.Errorf("no answer (injected): %w", projector.ErrUnavailable)

// NewFaultySink returns sink behind a network: fate is asked once for each call of Apply, SaveProgress, Progress, Prepare, Published and
// Publish, by the method's name, from any goroutine.
func NewFaultySink(sink projector.Sink, fate func(method string) Fate) projector.Sink {
	return &faultySink{sink, fate}
}

type faultySink struct {
	projector.Sink
	fate func(string) Fate
}

// suffer makes a call as its fate will have it.
func (s *faultySink) suffer(method string, call func() error) error {
	switch s.fate(method) {
	case Lose:
		return errLost
	case LoseReply, Half:
		if err := call(); err != nil {
			return err
		}
		return errLost
	case Die, DieHalf:
		return ErrDied
	case DieAfter:
		if err := call(); err != nil {
			return err
		}
		return ErrDied
	}
	return call()
}

func (s *faultySink) Prepare(ctx context.Context, t projector.Target, generation uint64) error {
	return s.suffer("Prepare", func() error { return s.Sink.Prepare(ctx, t, generation) })
}

func (s *faultySink) Publish(ctx context.Context, t projector.Target, generation uint64) error {
	return s.suffer("Publish", func() error { return s.Sink.Publish(ctx, t, generation) })
}

func (s *faultySink) Published(ctx context.Context, t projector.Target) (generation uint64, found bool, err error) {
	err = s.suffer("Published", func() (err error) {
		generation, found, err = s.Sink.Published(ctx, t)
		return err
	})
	return generation, found, err
}

func (s *faultySink) Progress(ctx context.Context, name string) (p projector.Progress, found bool, err error) {
	err = s.suffer("Progress", func() (err error) {
		p, found, err = s.Sink.Progress(ctx, name)
		return err
	})
	return p, found, err
}

func (s *faultySink) SaveProgress(ctx context.Context, name string, p projector.Progress) error {
	return s.suffer("SaveProgress", func() error { return s.Sink.SaveProgress(ctx, name, p) })
}

func (s *faultySink) Apply(ctx context.Context, t projector.Target, generation uint64, writes []projector.Write, results []projector.Result) error {
	fate := s.fate("Apply")
	switch fate {
	case Lose:
		return errLost
	case Die:
		return ErrDied
	case Half, RetryItems, DieHalf:
		var some []projector.Write
		for i := 0; i < len(writes); i += 2 {
			some = append(some, writes[i])
		}
		got := make([]projector.Result, len(some))
		if err := s.Sink.Apply(ctx, t, generation, some, got); err != nil {
			return err
		}
		for i := range results {
			if results[i] = (projector.Result{Outcome: projector.Retry, Err: errLost}); i%2 == 0 {
				results[i] = got[i/2]
			}
		}
	default:
		if err := s.Sink.Apply(ctx, t, generation, writes, results); err != nil {
			return err
		}
	}
	switch fate {
	case LoseReply, Half:
		return errLost
	case DieHalf, DieAfter:
		return ErrDied
	}
	return nil
}

// NewFaultyLog returns log with a reader whose connection breaks: fate is asked before each cut ("Cut") and each record ("Record"). Any
// fate but Pass ends the iteration, with an error that wraps [eventstore.ErrUnavailable], or [ErrDied].
func NewFaultyLog(log eventstore.Log, fate func(what string) Fate) eventstore.Log {
	return &faultyLog{log, fate}
}

type faultyLog struct {
	eventstore.Log
	fate func(string) Fate
}

func (l *faultyLog) suffer(what string) error {
	switch l.fate(what) {
	case Pass:
		return nil
	case Die, DieHalf, DieAfter:
		return ErrDied
	}
	return fmt.Errorf("connection broke (injected): %w", eventstore.ErrUnavailable)
}

func (l *faultyLog) Cuts(ctx context.Context, opts eventstore.CutOptions) iter.Seq2[*eventstore.Cut, error] {
	return func(yield func(*eventstore.Cut, error) bool) {
		for cut, err := range l.Log.Cuts(ctx, opts) {
			if err == nil {
				err = l.suffer("Cut")
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(eventstore.NewCut(cut.After, cut.Watermark, l.records(cut)), nil) {
				return
			}
		}
	}
}

func (l *faultyLog) records(cut *eventstore.Cut) iter.Seq2[*eventstore.Record, error] {
	return func(yield func(*eventstore.Record, error) bool) {
		for rec, err := range cut.Records() {
			if err == nil {
				err = l.suffer("Record")
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}
