package election

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"github.com/millrace-go/millrace/internal/pause"
)

// List is the append-only list that the members share. It is safe for concurrent use.
type List interface {
	// Append adds a record at the end. After an error it may be there or not.
	Append(ctx context.Context, r Record) error
	// Read returns the entries from an offset on and the offset to go on at. It waits for the first one up to wait. From -1 on it returns at once
	// the last entries, some hundreds: enough to hold a beat if there is a leader.
	Read(ctx context.Context, from int64, wait time.Duration) (entries []Entry, next int64, err error)
	// Lasting tells errors that asking again does not mend.
	Lasting(err error) bool
}

// Leader says who leads.
type Leader struct {
	Term uint64
	Name string // empty where nobody leads
	Self bool
}

// Options say who contends.
type Options struct {
	Name     string        // for humans
	Patience time.Duration // how long a leader may be silent
	Changed  func(Leader)  // called when another one leads, or none; may be nil
	Logger   *slog.Logger
}

// beatsPerPatience is how many beats a leader's successor waits for.
const beatsPerPatience = 4

// member is one that contends.
type member struct {
	Options
	list  List
	id    string
	state state
	next  int64     // offset to read on at, -1 at first
	heard time.Time // when the state's heard last changed
}

// Lead waits until it is the caller's turn. The leadership ends with ctx, as by the death of the process: the others learn of it by silence.
func Lead(ctx context.Context, list List, o Options) (*Leadership, error) {
	o.Patience = max(o.Patience, minWait) // in less nobody can say anything
	m := &member{Options: o, list: list, id: rand.Text(), state: newState(), next: -1}
	if err := m.wait(ctx); err != nil {
		return nil, err
	}
	l := &Leadership{Leader: m.leader(), Silence: time.Since(m.heard), member: m, lost: make(chan struct{})}
	working, stop := context.WithCancel(ctx)
	l.stop = stop
	term := m.state.term
	l.work.Go(func() { m.beat(working, term) })
	l.work.Go(func() {
		if m.follow(working) {
			close(l.lost)
			stop()
		}
	})
	return l, nil
}

func (m *member) leader() Leader {
	return Leader{Term: m.state.term, Name: m.state.name, Self: m.state.member == m.id}
}

const (
	minBackoff = 20 * time.Millisecond
	maxBackoff = 500 * time.Millisecond
	minWait    = 10 * time.Millisecond
)

// wait reads the list, and claims when nobody leads, until the member has won.
func (m *member) wait(ctx context.Context) error {
	var quiet time.Duration // how long the list has been read without a sign of the leader
	claimed := int64(-2)    // what the state had heard when the member claimed last
	backoff := minBackoff
	for m.state.member != m.id {
		if m.next >= 0 && (quiet >= m.Patience || m.state.member == "" && claimed != m.state.heard) {
			claimed, quiet = m.state.heard, 0
			if err := m.append(ctx, Record{Op: Claim, Term: m.state.term + 1, Heard: m.state.heard}); err != nil && m.list.Lasting(err) {
				return err
			} // else the list tells what has become of it
		}
		heard, wait := m.state.heard, max(min(m.Patience-quiet, m.Patience/beatsPerPatience), minWait)
		begun := time.Now()
		if err := m.read(ctx, wait); err != nil {
			if ctx.Err() != nil || m.list.Lasting(err) {
				return err
			}
			quiet = min(quiet, m.Patience/2) // the leader may have been cut off as well: it has as long to beat again
			if !pause.For(ctx, backoff) {
				return ctx.Err()
			}
			backoff = min(2*backoff, maxBackoff)
			continue
		}
		backoff = minBackoff
		if m.state.heard != heard {
			quiet = 0
		} else {
			quiet += min(time.Since(begun), wait) // longer: the process was paused, and has to listen anew
		}
	}
	return nil
}

// read reads on and tells who listens when another one leads.
func (m *member) read(ctx context.Context, wait time.Duration) error {
	first := m.next < 0
	entries, next, err := m.list.Read(ctx, m.next, wait)
	if err != nil {
		return err
	}
	m.next = next
	before := m.leader()
	for _, e := range entries {
		heard := m.state.heard
		if m.state.apply(e); m.state.heard != heard && e.Member != m.id {
			m.heard = time.Now()
		}
	}
	if now := m.leader(); now != before || first {
		if m.heard.IsZero() {
			m.heard = time.Now()
		}
		if m.Changed != nil {
			m.Changed(now)
		}
	}
	return nil
}

// append adds a record of the member, within its patience.
func (m *member) append(ctx context.Context, r Record) error {
	ctx, cancel := context.WithTimeout(ctx, m.Patience)
	defer cancel()
	r.Member, r.Name = m.id, m.Name
	return m.list.Append(ctx, r)
}

// follow reads on until another one leads; false when ctx ended before.
func (m *member) follow(ctx context.Context) (lost bool) {
	for m.state.member == m.id {
		if err := m.read(ctx, m.Patience); err != nil && !pause.For(ctx, maxBackoff) {
			return false
		}
		if ctx.Err() != nil {
			return false
		}
	}
	return true
}

// Leadership is the caller's turn. Its methods are safe for concurrent use.
type Leadership struct {
	Leader  Leader
	Silence time.Duration // for how long nobody else had given a sign of leading

	member *member
	lost   chan struct{}
	work   sync.WaitGroup
	stop   context.CancelFunc
	once   sync.Once
}

// Lost is closed when another member leads.
func (l *Leadership) Lost() <-chan struct{} { return l.lost }

// Resign ends the leadership, if it was not lost, and lets the next member lead at once. It returns when its goroutines have ended.
func (l *Leadership) Resign(ctx context.Context) (err error) {
	l.once.Do(func() {
		l.stop()
		l.work.Wait() // no beat comes behind the resignation
		select {
		case <-l.lost:
		default:
			err = l.member.append(ctx, Record{Op: Resign, Term: l.Leader.Term})
		}
	})
	return err
}

// beat tells the others that the member lives, until ctx ends.
func (m *member) beat(ctx context.Context, term uint64) {
	tick := time.NewTicker(m.Patience / beatsPerPatience)
	defer tick.Stop()
	told := false
	for {
		err := m.append(ctx, Record{Op: Beat, Term: term})
		if ctx.Err() != nil {
			return
		}
		if err != nil && !told {
			m.Logger.Warn("the others cannot be told that this relay leads; they may take over", "err", err)
		}
		told = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
