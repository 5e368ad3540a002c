package topology

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/integration/history"
)

// step is one thing that happens to the cluster.
type step struct {
	name string
	do   func(ctx context.Context, r *rig) error
}

// short are the steps that every test runs, all in addition those of `make verify-topology`. Each leaves a cluster in which the log has
// everything. Server 1 is the first primary.
var (
	short = []step{{"load and schema changes while the relay lags", lag}, {"primary killed with transactions prepared", kill}, {"purged replica", purge},
		{"switched over", switchOver}}
	all = append(append([]step(nil), short...), step{"half-open connection", halfOpen}, step{"replica cut off from its primary", standStill})
)

// Run starts a cluster and a relay, lets the steps happen under load, and compares the log with both witnesses.
func Run(ctx context.Context, cfg Config) (*Result, error) { return run(ctx, cfg, all) }

func run(ctx context.Context, cfg Config, steps []step) (_ *Result, err error) {
	r, err := newRig(ctx, cfg, 3)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	r.start(ctx)
	if err := r.each(ctx, steps); err != nil {
		return nil, errors.Join(err, r.finish())
	}
	if err := r.finish(); err != nil {
		return nil, fmt.Errorf("the relay ended with %w", err)
	}
	return r.compare(ctx)
}

func (r *rig) each(ctx context.Context, steps []step) error {
	for _, s := range steps {
		r.Logf("%s: %s", r.kind, s.name)
		err := s.do(ctx, r)
		if err == nil {
			err = r.arrived(ctx)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

func (r *rig) burst(ctx context.Context) error { return r.load.run(ctx, r.primary, r.Burst) }

// lag changes tables while the relay is behind: it must decode each row with the table as it was.
func lag(ctx context.Context, r *rig) error {
	if err := r.burst(ctx); err != nil {
		return err
	}
	r.hold()
	defer r.release()
	for _, statements := range [][]string{
		{"ALTER TABLE shop.stock ADD COLUMN extra INT DEFAULT 7 AFTER id"},
		{"ALTER TABLE shop.stock MODIFY COLUMN note VARCHAR(300), RENAME COLUMN extra TO place"},
		{"CREATE TABLE shop.gone (id INT PRIMARY KEY, v INT)", "INSERT INTO shop.gone VALUES (1, 2)", "DROP TABLE shop.gone",
			"CREATE TABLE shop.gone (k VARCHAR(10) PRIMARY KEY)", "INSERT INTO shop.gone VALUES ('x')"},
	} {
		if err := r.primary.exec(ctx, statements...); err != nil {
			return err
		}
		if err := r.burst(ctx); err != nil {
			return err
		}
	}
	return nil
}

// kill prepares two XA transactions, kills the primary while the relay is in the middle of a huge one, and promotes the replica that has
// everything. The prepared ones are ended there.
func kill(ctx context.Context, r *rig) error {
	old, next, other := r.nodes[0], r.nodes[1], r.nodes[2]
	one, err := r.load.prepare(ctx, r.primary, "one")
	if err != nil {
		return err
	}
	two, err := r.load.prepare(ctx, r.primary, "two")
	if err != nil {
		return err
	}
	if err := r.arrived(ctx); err != nil {
		return err
	}
	if err := r.replication(ctx, other, "STOP"); err != nil {
		return err
	}
	for _, n := range r.nodes {
		n.proxy.Limit(1 << 20)
		n.proxy.Cut()
	}
	if err := r.load.huge(ctx, r.primary); err != nil {
		return err
	}
	if err := r.burst(ctx); err != nil {
		return err
	}
	if err := r.torn(ctx); err != nil {
		return err
	}
	if err := r.caughtUp(ctx, next); err != nil {
		return err
	}
	if err := old.Kill(); err != nil {
		return err
	}
	if err := r.promote(ctx, next, other); err != nil {
		return err
	}
	for _, n := range r.nodes {
		n.proxy.Limit(0)
	}
	if err := r.burst(ctx); err != nil {
		return err
	}
	if err := r.load.complete(ctx, r.primary, "COMMIT", "one", one); err != nil {
		return err
	}
	if err := r.load.complete(ctx, r.primary, "ROLLBACK", "two", two); err != nil {
		return err
	}
	if err := r.burst(ctx); err != nil {
		return err
	}
	if err := r.follows(ctx, next); err != nil {
		return err
	}
	if err := old.Restart(ctx); err != nil {
		return err
	}
	if err := r.follow(ctx, old, r.primary); err != nil {
		return err
	}
	return r.caughtUp(ctx, old)
}

// purge cuts the relay off, and purges what it needs next on one replica before it lets it in there and at the other: it must pass over
// the first.
func purge(ctx context.Context, r *rig) error {
	kept, followed, purged := r.nodes[0], r.nodes[1], r.nodes[2]
	if err := r.follows(ctx, followed); err != nil {
		return err
	}
	for _, n := range r.nodes {
		n.proxy.Refuse(true)
		defer n.proxy.Refuse(false)
		n.proxy.Cut()
	}
	if err := r.load.huge(ctx, r.primary); err != nil {
		return err
	}
	if err := r.burst(ctx); err != nil {
		return err
	}
	for _, n := range []*node{kept, purged} {
		if err := r.caughtUp(ctx, n); err != nil {
			return err
		}
	}
	if err := purged.exec(ctx, "FLUSH BINARY LOGS"); err != nil {
		return err
	}
	if err := history.Purge(ctx, purged.admin); err != nil {
		return err
	}
	kept.proxy.Refuse(false)
	purged.proxy.Refuse(false)
	if err := r.burst(ctx); err != nil {
		return err
	}
	return r.follows(ctx, kept)
}

// switchOver makes the relay's server, a replica, the primary, and then another one: the relay follows it through both.
func switchOver(ctx context.Context, r *rig) error {
	for _, next := range []int{0, 1} {
		n := r.nodes[next]
		if err := r.primary.exec(ctx, "SET GLOBAL read_only = 1"); err != nil {
			return err
		}
		for _, other := range r.nodes {
			if other != r.primary {
				if err := r.caughtUp(ctx, other); err != nil {
					return err
				}
			}
		}
		old := r.primary
		if err := r.promote(ctx, n, old, r.nodes[2]); err != nil {
			return err
		}
		if err := n.exec(ctx, "SET GLOBAL read_only = 0"); err != nil {
			return err
		}
		if err := r.burst(ctx); err != nil {
			return err
		}
	}
	return nil
}

// halfOpen makes the network swallow everything: the relay must notice, and go elsewhere.
func halfOpen(ctx context.Context, r *rig) error {
	if err := r.burst(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	followed := r.server
	r.mu.Unlock()
	for _, n := range r.nodes {
		if n.proxy.Addr() == followed {
			n.proxy.Freeze()
			defer n.proxy.Thaw()
		}
	}
	if err := r.burst(ctx); err != nil {
		return err
	}
	return r.await(ctx, "the relay follows another server", func() (bool, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.server != followed, nil
	})
}

// standStill leaves the relay with a replica to which nothing comes any more: it serves its binlog as before, and must be left.
func standStill(ctx context.Context, r *rig) error {
	replica := r.nodes[2]
	for _, n := range r.nodes[:2] {
		n.proxy.Refuse(true)
		defer n.proxy.Refuse(false)
		n.proxy.Cut()
	}
	if err := r.follows(ctx, replica); err != nil {
		return err
	}
	if err := r.replication(ctx, replica, "STOP"); err != nil {
		return err
	}
	for _, n := range r.nodes[:2] {
		n.proxy.Refuse(false)
	}
	if err := r.burst(ctx); err != nil {
		return err
	}
	if err := r.arrived(ctx); err != nil {
		return err
	}
	return r.replication(ctx, replica, "START")
}

// RunLoss shows what the log does about commits that a failover loses: the relay has read them from the old primary, no replica has. It
// must halt, say so, and write nothing of what the promoted server commits under its own numbers.
func RunLoss(ctx context.Context, cfg Config) (err error) {
	r, err := newRig(ctx, cfg, 2)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	r.catchUp = 2 * time.Second // nothing will come
	if err := r.use(schemaName+".*", r.nodes...); err != nil {
		return err
	}
	r.start(ctx)
	old, next := r.nodes[0], r.nodes[1]
	lose := func() error {
		if err := r.burst(ctx); err != nil {
			return err
		}
		if err := r.caughtUp(ctx, next); err != nil {
			return err
		}
		if err := r.replication(ctx, next, "STOP"); err != nil {
			return err
		}
		if err := r.load.run(ctx, old, 1); err != nil { // four transactions, which are lost
			return err
		}
		if err := r.arrived(ctx); err != nil {
			return err
		}
		if err := old.Kill(); err != nil {
			return err
		}
		if err := r.promote(ctx, next); err != nil {
			return err
		}
		return r.load.run(ctx, next, 2) // on MariaDB the first four have the numbers of the lost ones
	}
	if err := lose(); err != nil {
		return errors.Join(err, r.finish())
	}
	defer r.stop()
	select {
	case err = <-r.ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	if !errors.Is(err, cdc.ErrSourceBehind) {
		return fmt.Errorf("the relay ended with %w, want %w", err, cdc.ErrSourceBehind)
	}
	r.Logf("the relay halted: %v", err)
	result, err := r.compare(ctx)
	if err != nil {
		return err
	}
	// The log has the four transactions of the old branch, which the survivor does not know, and none of the eight of the new one.
	if result.Duplicated+result.Reordered > 0 || result.branches != [2]int{4, 8} {
		return fmt.Errorf("got %v, with %v transactions on either side only; want 4 in the log and 8 on the server", result, result.branches)
	}
	return nil
}
