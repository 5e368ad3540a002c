package eventstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/millrace-go/millrace/internal/election"
)

var _ LeaderLog = (*MemoryLog)(nil)

// Lead implements [LeaderLog].
func (l *MemoryLog) Lead(ctx context.Context, c Contender) (Leadership, error) {
	o := election.Options{Name: c.Name, Patience: c.Patience, Logger: slog.New(slog.DiscardHandler)}
	if o.Patience <= 0 {
		o.Patience = DefaultPatience
	}
	if c.Changed != nil {
		o.Changed = func(now election.Leader) { c.Changed(Leader(now)) }
	}
	turn, err := election.Lead(ctx, (*memoryBeats)(l), o)
	if err != nil {
		return nil, fmt.Errorf("lead: %w", err)
	}
	return memoryTurn{turn}, nil
}

type memoryTurn struct{ *election.Leadership }

// Leader implements [Leadership].
func (t memoryTurn) Leader() Leader { return Leader(t.Leadership.Leader) }

// Silence implements [Leadership].
func (t memoryTurn) Silence() time.Duration { return t.Leadership.Silence }

// memoryBeats is where the contenders of a [MemoryLog] tell each other who leads.
type memoryBeats MemoryLog

// maxBeats is how many entries are kept.
const maxBeats = 100

// Append implements [election.List].
func (l *memoryBeats) Append(ctx context.Context, r election.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	(*MemoryLog)(l).lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	l.beats = append(l.beats, election.Entry{Offset: l.beaten, Record: r})
	if l.beaten++; len(l.beats) > maxBeats {
		l.beats = append([]election.Entry(nil), l.beats[maxBeats/2:]...)
	}
	close(l.beat)
	l.beat = make(chan struct{})
	return nil
}

// Read implements [election.List].
func (l *memoryBeats) Read(ctx context.Context, from int64, wait time.Duration) ([]election.Entry, int64, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		(*MemoryLog)(l).lock()
		beats, next, beat, closed := l.beats, l.beaten, l.beat, l.closed
		l.mu.Unlock()
		switch {
		case closed:
			return nil, 0, ErrClosed
		case from < 0, from < next:
			return beats[max(0, len(beats)-int(next-max(from, 0))):], next, nil
		}
		select {
		case <-beat:
		case <-timer.C:
			return nil, from, nil
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// Lasting implements [election.List].
func (l *memoryBeats) Lasting(err error) bool { return errors.Is(err, ErrClosed) }
