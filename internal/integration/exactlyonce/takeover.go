package exactlyonce

import (
	"context"
	"time"
)

// takeover runs both relays as one leader and one standby, and nobody tells them anything: the leader is killed, then the next one is stopped, for long,
// and continued when the other one leads. It measures how long nobody appended.
func (r *run) takeover(ctx context.Context) error {
	for _, m := range r.relays {
		if err := m.kill(ctx); err != nil {
			return err
		}
	}
	leader, other := r.pair()
	before := leader.counts()
	if err := leader.standBy(); err != nil {
		return err
	}
	err := r.await(ctx, "relay "+leader.name+" leads", func() bool { return leader.counts().began > before.began })
	if err != nil {
		return err
	}
	if err := r.follow(ctx, other, leader); err != nil {
		return err
	}

	gone := time.Now()
	if err := leader.kill(ctx); err != nil {
		return err
	}
	if err := r.succeeded(ctx, "killed", gone); err != nil {
		return err
	}
	if err := r.follow(ctx, leader, other); err != nil {
		return err
	}

	leader, other = other, leader
	if err := r.busy(ctx); err != nil {
		return err
	}
	gone = time.Now()
	if err := leader.process.Pause(); err != nil {
		return err
	}
	err = r.succeeded(ctx, "stopped", gone)
	if err == nil {
		err = r.pass(ctx, r.cfg.Stop)
	}
	if err := afterwards(err, leader.process.Continue); err != nil {
		return err
	}
	if err := r.await(ctx, "relay "+leader.name+" stands by", func() bool { return leader.follows(other.name) }); err != nil {
		return err
	}

	for _, m := range r.relays { // from now on they are told again
		if err := m.kill(ctx); err != nil {
			return err
		}
	}
	return r.lead(ctx, r.leader)
}

// follow has a relay stand by.
func (r *run) follow(ctx context.Context, m, leader *member) error {
	if err := m.standBy(); err != nil {
		return err
	}
	return r.await(ctx, "relay "+m.name+" stands by", func() bool { return m.follows(leader.name) })
}

// succeeded waits until the other relay has appended by itself.
func (r *run) succeeded(ctx context.Context, how string, gone time.Time) error {
	_, other := r.pair()
	before := other.counts()
	r.leader = 1 - r.leader
	err := r.await(ctx, "relay "+other.name+" takes over by itself", func() bool { return other.counts().flushed > before.flushed })
	took := time.Since(gone)
	r.report.Takeovers++
	r.report.Slowest = max(r.report.Slowest, took)
	r.say("leader %s, the other one appended after %v", how, took.Round(time.Millisecond))
	return err
}
