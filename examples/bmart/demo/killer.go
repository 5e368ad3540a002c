package demo

import (
	"context"
	"math/rand/v2"
	"time"
)

// How the killer works.
const (
	relayShare   = 0.65 // of the kills; the rest are the projector's
	inFlushShare = 0.8  // of the relay's kills come while it appends: within the time that its last flushes took
	earlyShare   = 0.2  // of the kills do not wait until the one before has recovered
	loadShare    = 0.8  // of the load's time is for the kills
)

// killer kills relay and projector at moments that the seed chooses, and returns when it has done so often enough.
func (s *supervisor) killer(ctx context.Context) error {
	r := rand.New(rand.NewPCG(s.cfg.Seed, 1<<32))
	mean := float64(s.loadTime()) * loadShare / float64(max(1, s.cfg.Kills))
	for n := range s.cfg.Kills {
		victim, moment := s.projector, "at any moment"
		if r.Float64() < relayShare {
			victim = s.relay
		}
		if r.Float64() >= earlyShare {
			if err := victim.WaitBegun(ctx); err != nil {
				return err
			}
		} else {
			moment = "perhaps while it starts"
		}
		inFlush := victim == s.relay && r.Float64() < inFlushShare
		pause := time.Duration(min(r.ExpFloat64(), 3) * mean)
		if !sleep(ctx, pause) {
			return nil
		}
		if inFlush {
			moment = "while it appends"
			select {
			case <-s.flushing.Next():
			case <-time.After(2 * time.Second): // it may just be starting
			case <-ctx.Done():
				return nil
			}
			if !sleep(ctx, time.Duration(r.Float64()*float64(s.flushTook.Load()))) {
				return nil
			}
		}
		pid, _ := victim.PIDAndStarts()
		victim.Kill()
		s.say("kill %d of %d: %s (process %d), %s", n+1, s.cfg.Kills, victim.Name(), pid, moment)
	}
	return nil
}

// loadTime is how long the load takes at its rate; for a load without end, as long as the kills may take together.
func (s *supervisor) loadTime() time.Duration {
	if s.cfg.Changes == 0 {
		return time.Duration(s.cfg.Kills) * 5 * time.Second
	}
	return time.Duration(s.cfg.Changes) * time.Second / time.Duration(s.cfg.Rate)
}

// sleep returns false when ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
