package exactlyonce

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// faults injects one fault after the other, under load, and sees that the relays go on behind each.
func (r *run) faults(ctx context.Context, list []fault) error {
	quota := r.cfg.Changes/rowsPerTransaction/len(list) + 1
	if err := r.goesOn(ctx); err != nil {
		return err
	}
	for n, f := range list {
		r.say("fault %d of %d: %v", n+1, len(list), f)
		r.load.allow(quota)
		if err := r.inject(ctx, f); err != nil {
			return fmt.Errorf("fault %d (%v): %w", n+1, f, err)
		}
		r.heal()
		if err := r.goesOn(ctx); err != nil {
			return fmt.Errorf("behind fault %d (%v): %w", n+1, f, err)
		}
		r.report.Faults++
		if f.isKill() {
			r.report.Kills++
		}
	}
	return nil
}

// inject does one thing.
func (r *run) inject(ctx context.Context, f fault) error {
	if f.kind != network && f.kind != zombieWindow {
		r.spoil(f.toxic)
	}
	switch f.kind {
	case killRelay:
		if f.step != "" {
			return r.killAtStep(ctx, f)
		}
		return r.killRelay(ctx, f)
	case killStarting:
		return r.killStarting(ctx, f)
	case zombie:
		return r.zombie(ctx, f)
	case zombieWindow:
		return r.zombieWindow(ctx, f)
	case lateDelivery:
		return r.lateDelivery(ctx)
	case usurp:
		return r.usurp(ctx)
	case takeover:
		return r.takeover(ctx)
	case pauseRelay:
		return r.pauseRelay(ctx, f)
	case lostReplies:
		return r.lostReplies(ctx)
	case killNode, stopNode, pauseNode, fillNode, killTwoNodes:
		return r.node(ctx, f)
	case killDatabase:
		return r.db.Kill(ctx, func() {})
	case stopDatabase:
		return r.db.ShutDown(ctx, func() {})
	case pauseDatabase:
		if err := r.db.Server.Pause(); err != nil {
			return err
		}
		return afterwards(r.pass(ctx, f.span(4*time.Second)), r.db.Server.Continue)
	case network:
		return r.network(ctx, f)
	}
	return fmt.Errorf("unknown fault %q", f.kind)
}

// afterwards calls do whatever err is.
func afterwards(err error, do func() error) error {
	if failed := do(); err == nil {
		err = failed
	}
	return err
}

// pass lets time pass.
func (r *run) pass(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// pair returns the relay that leads and the other one.
func (r *run) pair() (leader, other *member) { return r.relays[r.leader], r.relays[1-r.leader] }

// more keeps the relays busy while something is awaited. Two that begin at one time may fence each other off: then the leader is told again.
func (r *run) more() {
	r.load.allow(5)
	leader, other := r.pair()
	if leader.counts().replaced && !other.counts().running {
		if err := leader.run(); err != nil {
			r.say("relay %s: %v", leader.name, err)
		}
	}
}

func (r *run) await(ctx context.Context, what string, ok func() bool) error {
	return await(ctx, r.cfg.Patience, &r.changed, what, r.more, ok)
}

// lead has a relay take over the log. The other one, if it runs, may begin anew meanwhile and fence it off first: then it is told again.
func (r *run) lead(ctx context.Context, n int) error {
	m := r.relays[n]
	r.leader = n
	for before := m.counts(); ; {
		if err := m.run(); err != nil {
			return fmt.Errorf("relay %s: %w", m.name, err)
		}
		if err := r.await(ctx, "relay "+m.name+" takes over", func() bool { return m.counts().began > before.began || m.counts().replaced }); err != nil {
			return err
		}
		if m.counts().began > before.began {
			return nil
		}
	}
}

// goesOn waits until the leader has appended something new.
func (r *run) goesOn(ctx context.Context) error {
	leader, _ := r.pair()
	before := leader.counts()
	r.more()
	return r.await(ctx, "relay "+leader.name+" goes on", func() bool { return leader.counts().flushed > before.flushed })
}

// busy waits until the leader is about to append.
func (r *run) busy(ctx context.Context) error {
	leader, _ := r.pair()
	before := leader.counts()
	return r.await(ctx, "relay "+leader.name+" is about to append", func() bool { return leader.counts().flushing > before.flushing })
}

// halt waits until a relay stands at a step.
func (r *run) halt(ctx context.Context, m *member, step string) error {
	if err := m.arm(step); err != nil {
		return err
	}
	if !strings.HasPrefix(step, "16 ") {
		return r.halted(ctx, m, step)
	}
	var failed error
	fresh := func() { // a table's first row that a relay was writing already does not come by again
		failed = errors.Join(failed, r.load.freshTable(ctx))
		r.more()
	}
	fresh()
	err := await(ctx, r.cfg.Patience, &r.changed, "relay "+m.name+" comes to step "+step, fresh, func() bool { return failed != nil || m.counts().halted == step })
	return errors.Join(failed, err)
}

func (r *run) halted(ctx context.Context, m *member, step string) error {
	return r.await(ctx, "relay "+m.name+" comes to step "+step, func() bool { return m.counts().halted == step })
}

func (r *run) killRelay(ctx context.Context, f fault) error {
	if err := r.busy(ctx); err != nil {
		return err
	}
	leader, other := r.pair()
	leader.mu.Lock()
	took := leader.took
	leader.mu.Unlock()
	if err := r.pass(ctx, f.span(took)); err != nil {
		return err
	}
	if f.over {
		if err := other.run(); err != nil {
			return err
		}
		if err := leader.kill(ctx); err != nil {
			return err
		}
		r.leader = 1 - r.leader
		return nil
	}
	if err := leader.kill(ctx); err != nil {
		return err
	}
	return r.lead(ctx, 1-r.leader)
}

func (r *run) killAtStep(ctx context.Context, f fault) error {
	if strings.HasPrefix(f.step, tailStep) {
		return r.killInTail(ctx, f)
	}
	leader, _ := r.pair()
	if err := r.halt(ctx, leader, f.step); err != nil {
		return err
	}
	if err := leader.kill(ctx); err != nil {
		return err
	}
	return r.lead(ctx, 1-r.leader)
}

// killInTail kills a relay within a flush, and the next one while it finishes that. Of a flush nothing may have landed: then another one is tried.
func (r *run) killInTail(ctx context.Context, f fault) error {
	for {
		leader, other := r.pair()
		if err := r.halt(ctx, leader, "18 data before"); err != nil { // a partition's part of the flush is missing then
			return err
		}
		if err := leader.kill(ctx); err != nil {
			return err
		}
		before := other.counts()
		if err := other.arm(f.step); err != nil {
			return err
		}
		if err := other.run(); err != nil {
			return err
		}
		err := r.await(ctx, "relay "+other.name+" comes to step "+f.step+", or finds nothing to finish", func() bool {
			now := other.counts()
			return now.halted == f.step || now.flushed > before.flushed
		})
		if err != nil {
			return err
		}
		if other.counts().halted != f.step {
			r.leader = 1 - r.leader
			continue
		}
		if err := other.kill(ctx); err != nil {
			return err
		}
		return r.lead(ctx, r.leader)
	}
}

func (r *run) killStarting(ctx context.Context, f fault) error {
	leader, other := r.pair()
	if err := r.busy(ctx); err != nil {
		return err
	}
	if !f.over {
		if err := leader.kill(ctx); err != nil {
			return err
		}
	}
	if err := other.arm(f.step); err != nil {
		return err
	}
	if err := other.run(); err != nil {
		return err
	}
	if err := r.halted(ctx, other, f.step); err != nil {
		return err
	}
	if err := other.kill(ctx); err != nil {
		return err
	}
	if err := r.lead(ctx, 1-r.leader); err != nil {
		return err
	}
	return r.settle(ctx)
}

// poll is await for what nobody tells.
func (r *run) poll(ctx context.Context, what string, ok func() bool) error {
	limited, cancel := context.WithTimeout(ctx, r.cfg.Patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := 0; !ok(); n++ {
		if n%50 == 0 {
			r.more()
		}
		select {
		case <-tick.C:
		case <-limited.Done():
			return fmt.Errorf("not within %v: %s", r.cfg.Patience, what)
		}
	}
	return context.Cause(ctx)
}

func (r *run) pauseRelay(ctx context.Context, f fault) error {
	if err := r.busy(ctx); err != nil {
		return err
	}
	leader, _ := r.pair()
	if err := leader.process.Pause(); err != nil {
		return err
	}
	var err error
	if f.over {
		err = r.lead(ctx, 1-r.leader)
	}
	if err == nil {
		err = r.pass(ctx, f.span(3*time.Second))
	}
	if err := afterwards(err, leader.process.Continue); err != nil {
		return err
	}
	if f.over {
		return r.settle(ctx)
	}
	return nil
}

// node does something to a Kafka node, and sees that the relay goes on without it.
func (r *run) node(ctx context.Context, f fault) error {
	nodes := []*servers.Server{r.brokers.Nodes[f.node]}
	if f.kind == killTwoNodes {
		nodes = append(nodes, r.brokers.Nodes[(f.node+1)%len(r.brokers.Nodes)])
	}
	if err := r.busy(ctx); err != nil {
		return err
	}
	for _, s := range nodes {
		do := s.Kill
		switch f.kind {
		case stopNode:
			do = func() error { return s.Stop(ctx) }
		case pauseNode:
			do = s.Pause
		case fillNode:
			do = s.FillDisk
		}
		if err := do(); err != nil {
			return err
		}
	}
	var err error
	switch f.kind {
	case killTwoNodes:
		err = r.pass(ctx, f.span(3*time.Second))
	case pauseNode:
		err = r.pass(ctx, f.span(8*time.Second))
	default:
		err = r.goesOn(ctx)
	}
	restarted := make(chan error, len(nodes))
	for _, s := range nodes {
		go func() {
			if f.kind == pauseNode {
				restarted <- s.Continue()
			} else {
				restarted <- s.Restart(ctx)
			}
		}()
	}
	for range nodes {
		err = afterwards(err, func() error { return <-restarted })
	}
	if err != nil {
		return err
	}
	return r.brokers.Await(ctx, len(r.brokers.Nodes))
}
