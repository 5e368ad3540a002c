package cdc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

const (
	// resignTimeout bounds what a relay spends on telling the others that its turn is over.
	resignTimeout = 2 * time.Second
	// fencedBackoff is the least that a standby waits when another relay, which does not stand by, has taken the log.
	fencedBackoff = time.Second
)

// turn is a relay's time to write the log: its leadership or, without standby, its whole life.
type turn struct {
	ctx        context.Context // ends with the relay's, and when another one leads
	end        context.CancelFunc
	began      time.Time
	leadership eventstore.Leadership // nil without standby
	silence    context.CancelFunc    // ends the leadership without a word
}

// lead waits for the relay's turn.
func (r *Relay) lead(ctx context.Context) (*turn, error) {
	t := &turn{}
	t.ctx, t.end = context.WithCancel(ctx)
	if !r.cfg.Standby {
		t.began = time.Now()
		return t, nil
	}
	// The leadership outlives ctx by the time that it takes to write what is in hand.
	life, silence := context.WithCancel(context.WithoutCancel(ctx))
	t.silence = silence
	waiting := context.AfterFunc(ctx, silence)
	log := r.cfg.Log.(eventstore.LeaderLog) // NewRelay has looked
	leadership, err := log.Lead(life, eventstore.Contender{Name: r.cfg.Name, Patience: r.cfg.Patience, Changed: r.standing})
	if err != nil {
		silence()
		t.end()
		return nil, errors.Join(ctx.Err(), err)
	}
	t.leadership, t.began = leadership, time.Now()
	if !waiting() {
		r.over(ctx, t)
		return nil, ctx.Err()
	}
	go func() {
		select {
		case <-leadership.Lost():
			t.end()
		case <-t.ctx.Done():
		}
	}()
	return t, nil
}

// standing says who leads when that is not this relay.
func (r *Relay) standing(now eventstore.Leader) {
	if !now.Self {
		r.log.Info("standing by", "leader", now.Name, "term", now.Term)
		r.cfg.Hooks.standby(StandbyInfo{Leader: now.Name, Term: now.Term})
	}
}

// over ends a turn: another relay may begin at once.
func (r *Relay) over(ctx context.Context, t *turn) {
	t.end()
	if t.leadership == nil {
		return
	}
	defer t.silence()
	resigning, cancel := context.WithTimeout(context.WithoutCancel(ctx), resignTimeout)
	defer cancel()
	if err := t.leadership.Resign(resigning); err != nil {
		r.log.Warn("the other relays could not be told that this one does not lead any more", "err", err)
	}
}

// lost tells whether another relay leads.
func (t *turn) lost() bool {
	if t.leadership == nil {
		return false
	}
	select {
	case <-t.leadership.Lost():
		return true
	default:
		return false
	}
}

// info says how the turn began.
func (t *turn) info(start eventstore.Start) LeadingInfo {
	info := LeadingInfo{Epoch: start.Epoch, Took: time.Since(t.began)}
	if t.leadership != nil {
		info.Term, info.Name, info.Silence = t.leadership.Leader().Term, t.leadership.Leader().Name, t.leadership.Silence()
	}
	return info
}

// defaultName says which relay this is where the configuration does not.
func defaultName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}
