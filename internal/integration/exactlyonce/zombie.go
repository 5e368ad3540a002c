package exactlyonce

import (
	"context"

	"github.com/millrace-go/millrace/internal/integration/faults"
)

// settle waits, where two relays ran, until one of them knows that it is not the leader.
func (r *run) settle(ctx context.Context) error {
	return r.await(ctx, "one of two relays learns that it was replaced", func() bool {
		first, second := r.relays[0].counts().running, r.relays[1].counts().running
		if first {
			r.leader = 0
		} else if second {
			r.leader = 1
		}
		return first != second
	})
}

func (r *run) zombie(ctx context.Context, f fault) error {
	leader, other := r.pair()
	if err := r.halt(ctx, leader, f.step); err != nil {
		return err
	}
	if err := leader.process.Pause(); err != nil {
		return err
	}
	err := r.lead(ctx, 1-r.leader)
	if err == nil {
		before := other.counts()
		err = r.await(ctx, "relay "+other.name+" flushes", func() bool { return other.counts().flushed > before.flushed })
	}
	if err := afterwards(err, leader.process.Continue); err != nil {
		return err
	}
	if err := leader.goOn(); err != nil {
		return err
	}
	return r.settle(ctx)
}

// zombieWindow lets an old relay go on just when the new one has looked where the partitions end.
func (r *run) zombieWindow(ctx context.Context, f fault) error {
	const looked = "10 read after"
	leader, other := r.pair()
	if err := r.halt(ctx, leader, f.step); err != nil {
		return err
	}
	r.spoil(f.toxic)
	if err := other.arm(looked); err != nil {
		return err
	}
	if err := other.run(); err != nil {
		return err
	}
	if err := r.halted(ctx, other, looked); err != nil {
		return err
	}
	before := leader.counts()
	if err := leader.goOn(); err != nil {
		return err
	}
	err := r.await(ctx, "relay "+leader.name+" is refused or not", func() bool {
		now := leader.counts()
		return now.fenced > before.fenced || now.flushed > before.flushed || now.retries > before.retries || now.began > before.began
	})
	if err != nil {
		return err
	}
	r.heal()
	if err := other.goOn(); err != nil {
		return err
	}
	return r.settle(ctx)
}

// smallestProduce is more bytes than requests have that carry no rows.
const smallestProduce = 300

// lateDelivery kills a relay whose requests are held back by the network, and delivers them when its successor has looked where the partitions end.
func (r *run) lateDelivery(ctx context.Context) error {
	const looked = "10 read after"
	leader, other := r.pair()
	if err := r.halt(ctx, leader, "18 data before"); err != nil {
		return err
	}
	leader.every((*faults.Proxy).Freeze)
	if err := leader.goOn(); err != nil {
		return err
	}
	if err := r.poll(ctx, "requests are on their way", func() bool { return leader.held() > smallestProduce }); err != nil {
		return err
	}
	if err := leader.kill(ctx); err != nil {
		return err
	}
	if err := other.arm(looked); err != nil {
		return err
	}
	if err := other.run(); err != nil {
		return err
	}
	if err := r.halted(ctx, other, looked); err != nil {
		return err
	}
	leader.every((*faults.Proxy).Thaw)
	if err := r.poll(ctx, "they are delivered", func() bool { return leader.held() == 0 }); err != nil {
		return err
	}
	if err := other.goOn(); err != nil {
		return err
	}
	r.leader = 1 - r.leader
	return nil
}

// usurp has the other relay begin while the first one writes.
func (r *run) usurp(ctx context.Context) error {
	if err := r.busy(ctx); err != nil {
		return err
	}
	if err := r.lead(ctx, 1-r.leader); err != nil {
		return err
	}
	return r.settle(ctx)
}
