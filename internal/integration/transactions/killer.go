package transactions

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/millrace-go/millrace/internal/integration/database"
	"github.com/millrace-go/millrace/internal/integration/history"
)

// killRelay kills the relay at moments that the seed chooses, most of them while it appends, spread over the whole load. Where many kills have not left
// a single flush unfinished, it goes on.
func (r *run) killRelay(ctx context.Context) error {
	rnd := rand.New(rand.NewPCG(r.cfg.Seed, 1<<32))
	for n := 0; n < r.cfg.Kills || r.cfg.Kills >= killsForTails && n < 4*r.cfg.Kills && r.report.tails.Load() == 0; n++ {
		at := uint64(r.cfg.Transactions * min(n+1, r.cfg.Kills) / (r.cfg.Kills + 1))
		if err := r.progress.Await(ctx, func() bool { return r.ledger.Started() >= at }); err != nil {
			return err
		}
		moment := "perhaps while it starts"
		if rnd.IntN(5) > 0 {
			if err := r.relay.WaitBegun(ctx); err != nil {
				return err
			}
			moment = "at any moment"
			if rnd.IntN(6) > 0 {
				moment = "while it appends"
				select {
				case <-r.flushing.Next():
				case <-time.After(2 * time.Second): // it may wait for the server
				case <-ctx.Done():
					return context.Cause(ctx)
				}
				select {
				case <-time.After(time.Duration(rnd.Float64() * float64(r.flushTook.Load()))):
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
		}
		r.killed("kill %d of at least %d: %s", n+1, r.cfg.Kills, moment)
	}
	return nil
}

func (r *run) killed(format string, args ...any) {
	r.kills.Add(1)
	r.relay.Kill()
	r.say(format, args...)
}

// minWaiting is how many XA transactions are prepared when the server is restarted.
const minWaiting = 4

// restartServer restarts the server, by turns in good order and by SIGKILL, while XA transactions are prepared. Every other time
// the relay is killed while the server is down.
func (r *run) restartServer(ctx context.Context) error {
	for n := range r.cfg.Restarts {
		at := uint64(r.cfg.Transactions * (2*n + 1) / (2 * r.cfg.Restarts))
		if err := r.progress.Await(ctx, func() bool { return r.ledger.Started() >= at && r.branches.count() >= minWaiting }); err != nil {
			return err
		}
		waiting := r.branches.count()
		restart, how := r.db.ShutDown, "shut down"
		if n%2 == 1 {
			restart, how = r.db.Kill, "killed"
		}
		down := func() {
			r.restarts.Add(1)
			if n%4 < 2 {
				r.killed("relay killed while the server is down")
			}
		}
		if err := restart(ctx, down); err != nil {
			return err
		}
		r.say("server %s and started again, %d XA transactions prepared", how, waiting)
		if err := r.endAgain(ctx); err != nil {
			return err
		}
	}
	return nil
}

// endAgain gives the XA transactions that the server has prepared again, though its binlog has their end, that same end, as docs/guarantees.md
// asks of an operator.
func (r *run) endAgain(ctx context.Context) error {
	conn, err := r.db.Connect(ctx)
	if err != nil {
		return err
	}
	defer database.Drop(conn)
	waiting, err := prepared(ctx, conn)
	if err != nil {
		return err
	}
	transactions, err := r.db.History(ctx)
	if err != nil {
		return err
	}
	ends := map[string]string{} // statements, by id; none while it is prepared
	for _, t := range transactions {
		switch t.Kind {
		case history.Prepare:
			delete(ends, t.XID)
		case history.XACommit:
			ends[t.XID] = "XA COMMIT "
		case history.XARollback:
			ends[t.XID] = "XA ROLLBACK "
		}
	}
	for x := range waiting {
		end := ends[x.sql()]
		if end == "" {
			continue
		}
		_, err := conn.ExecContext(ctx, end+x.sql())
		if e, ok := errors.AsType[*mysql.MySQLError](err); ok && e.Number == notKnown {
			continue // a client has completed it between the two looks
		}
		if err != nil {
			return fmt.Errorf("%s%s a second time: %w", end, x.sql(), err)
		}
		r.say("the server was killed behind %s%s, and had it prepared again", end, x.sql())
		r.report.again.Add(1)
	}
	return nil
}
