package cdc

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace-go/millrace/internal/pause"
)

// lagClock says how far the stream is behind, for those who read chunks.
type lagClock struct {
	time    atomic.Int64 // commit time of the last transaction
	waiting atomic.Int64 // since when the stream has nothing, 0 while it has
}

// idleAfter is how long a stream must have had nothing to be at its end.
const idleAfter = 50 * time.Millisecond

// busy tells whether the stream has had transactions until a moment ago.
func (l *lagClock) busy(now time.Time) bool {
	since := l.waiting.Load()
	return l.time.Load() != 0 && (since == 0 || now.UnixNano()-since <= int64(idleAfter))
}

// behind is how far the stream is behind the server's commits.
func (l *lagClock) behind(now time.Time) time.Duration {
	if !l.busy(now) {
		return 0
	}
	return now.Sub(time.Unix(0, l.time.Load()))
}

// tellEvery is how often the operator hears that chunks wait for the stream.
const tellEvery = time.Minute

// yield waits while the stream is too far behind.
func (s *snapshots) yield(ctx context.Context) error {
	told := time.Now()
	for {
		now := time.Now()
		lag := s.schedule.lag.behind(now)
		if lag <= s.MaxLag {
			return nil
		}
		if now.Sub(told) >= tellEvery {
			told = now
			s.logger.Warn("the snapshot waits for the stream, which is behind, or the clocks of server and relay differ", "lag", lag.Round(time.Millisecond), "MaxLag", s.MaxLag)
		}
		if !pause.For(ctx, 10*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// pace keeps a number of rows to a second. Safe for concurrent use.
type pace struct {
	perSecond int
	mu        sync.Mutex
	next      time.Time
}

// wait waits until n more rows may have been read.
func (p *pace) wait(ctx context.Context, n int) error {
	if p.perSecond == 0 {
		return nil
	}
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(time.Duration(n) * time.Second / time.Duration(p.perSecond))
	until := p.next.Sub(now)
	p.mu.Unlock()
	if !pause.For(ctx, until) {
		return ctx.Err()
	}
	return nil
}
