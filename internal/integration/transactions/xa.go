package transactions

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/go-sql-driver/mysql"

	"github.com/millrace-go/millrace/internal/integration/database"
	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// xid is the name of an XA transaction.
type xid struct {
	global, branch string
	format         int
}

// sql is the name as a literal.
func (x xid) sql() string { return fmt.Sprintf("X'%x',X'%x',%d", x.global, x.branch, x.format) }

// branch is an XA transaction that was prepared.
type branch struct {
	xid    xid
	entry  *history.Entry
	slot   int
	server int      // restarts of the server before it was prepared
	relay  int      // kills of the relay
	steps  []string // that its clients have tried, for messages
}

// tried notes a step, the first ones.
func (x *branch) tried(step string, err error) {
	text := fmt.Sprintf("%s: %v", strings.ToLower(step), err)
	if n := len(x.steps); n < 4 {
		x.steps = append(x.steps, text)
	}
}

// branches are the XA transactions that are prepared and wait, and the slots that keys are taken from.
type branches struct {
	mu      sync.Mutex
	waiting []*branch
	slots   []int // free
}

const maxWaiting = 12

func newBranches() *branches {
	b := &branches{}
	for slot := range 3 * maxWaiting {
		b.slots = append(b.slots, slot+1)
	}
	return b
}

// slot returns a slot, or 0 when enough XA transactions are under way.
func (b *branches) slot() (slot int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.slots) == 0 || len(b.waiting) >= maxWaiting {
		return 0
	}
	slot, b.slots = b.slots[0], b.slots[1:]
	return slot
}

func (b *branches) free(slot int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slots = append(b.slots, slot)
}

func (b *branches) wait(x *branch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, x)
}

// take removes one that waits, the nth modulo their number; nil when there is none.
func (b *branches) take(n int) *branch {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 {
		return nil
	}
	n %= len(b.waiting)
	x := b.waiting[n]
	b.waiting = slices.Delete(b.waiting, n, n+1)
	return x
}

func (b *branches) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting)
}

// String names those that wait.
func (b *branches) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for _, x := range b.waiting {
		names = append(names, fmt.Sprintf("%s (%s)", x.xid.sql(), strings.Join(x.steps, ", ")))
	}
	return strings.Join(names, "; ")
}

// xa runs an XA transaction up to its XA PREPARE, or to its end.
func (w *worker) xa(ctx context.Context) error {
	slot := w.run.branches.slot()
	if slot == 0 {
		return w.completeXA(ctx)
	}
	t := w.begin()
	t.slot = slot
	x := &branch{entry: t.entry, slot: slot, xid: xid{fmt.Sprintf(`t%d'\`, t.entry.Number), []string{"", "b", "branch"}[w.rnd.IntN(3)], 1 + w.rnd.IntN(3)}}
	prepared, err := w.runXA(ctx, t, x)
	if prepared {
		w.run.branches.wait(x)
	} else {
		w.run.branches.free(slot)
	}
	return err
}

// runXA tells whether x is prepared and waits for its end.
func (w *worker) runXA(ctx context.Context, t *tx, x *branch) (prepared bool, err error) {
	t.entry.Outcome = history.RolledBack // until it is prepared: a lost connection ends it
	if err := w.exec(ctx, "XA START "+x.xid.sql()); err != nil {
		return false, err
	}
	if err := t.changes(ctx); err != nil {
		if !refused(err) {
			return false, err
		}
		if err := w.exec(ctx, "XA END "+x.xid.sql()); err != nil && !refused(err) {
			return false, err
		}
		return false, w.exec(ctx, "XA ROLLBACK "+x.xid.sql())
	}
	if err := w.exec(ctx, "XA END "+x.xid.sql()); err != nil {
		return false, err
	}
	switch p := w.rnd.IntN(20); {
	case p < 2:
		return false, w.exec(ctx, "XA ROLLBACK "+x.xid.sql())
	case p < 5:
		t.entry.Outcome = history.Unknown
		if err := w.stepXA(ctx, "XA COMMIT "+x.xid.sql()+" ONE PHASE"); err != nil {
			return false, err
		}
		t.entry.Outcome = history.Committed
		w.run.onePhase.Add(1)
		return false, nil
	}
	x.server, x.relay = int(w.run.restarts.Load()), int(w.run.kills.Load())
	err = w.stepXA(ctx, "XA PREPARE "+x.xid.sql())
	x.tried("prepare", err)
	if err != nil {
		if database.Lost(err) {
			return w.recover(ctx, x, history.RolledBack)
		}
		return false, err
	}
	t.entry.Outcome = history.Unknown
	switch p := w.rnd.IntN(10); {
	case p < 3:
		return w.complete(ctx, x, history.Committed)
	case p == 3:
		return w.complete(ctx, x, history.RolledBack)
	case w.run.db.Kind == servers.MariaDB || p < 6:
		w.hangUp() // MariaDB lets others complete it only then
	}
	return true, nil
}

// stepXA executes a step that a SIGKILL of the server must not interrupt; see database.Database.Quiet.
func (w *worker) stepXA(ctx context.Context, statement string) error {
	w.run.db.Quiet.RLock()
	defer w.run.db.Quiet.RUnlock()
	return w.exec(ctx, statement)
}

// completeXA completes an XA transaction that somebody has prepared.
func (w *worker) completeXA(ctx context.Context) error {
	x := w.run.branches.take(w.rnd.IntN(maxWaiting))
	if x == nil {
		return nil
	}
	end := history.Committed
	if w.rnd.IntN(3) == 0 {
		end = history.RolledBack
	}
	waits, err := w.complete(ctx, x, end)
	if waits {
		w.run.branches.wait(x)
	} else {
		w.run.branches.free(x.slot)
	}
	return err
}

// notKnown is XAER_NOTA: the server does not know an XA transaction, or this connection may not have it.
const notKnown = 1397

// complete ends x, and tells whether it still waits.
func (w *worker) complete(ctx context.Context, x *branch, end history.Outcome) (waits bool, err error) {
	verb := map[history.Outcome]string{history.Committed: "XA COMMIT ", history.RolledBack: "XA ROLLBACK "}[end]
	err = w.stepXA(ctx, verb+x.xid.sql())
	x.tried(verb, err)
	e, _ := errors.AsType[*mysql.MySQLError](err)
	switch {
	case err == nil:
		x.entry.Outcome = end
		w.run.completed(x)
		return false, nil
	case e != nil && e.Number == notKnown: // the connection that prepared it is not quite gone, or the server has lost it
		return w.forgotten(ctx, x)
	case e != nil && (e.Number == 1205 || e.Number == 3058 || e.Number == 1399): // held up by something
		return true, nil
	case database.Lost(err):
		return w.recover(ctx, x, end)
	}
	return false, err
}

// forgotten tells whether x still waits, of which the server has said that it does not know it. A server that was restarted since it was prepared has no
// connection left that could hold it: MySQL 9.7 was seen to lose, without a word in its binlog, what was prepared while it shut down.
func (w *worker) forgotten(ctx context.Context, x *branch) (waits bool, err error) {
	if int(w.run.restarts.Load()) == x.server {
		return true, nil
	}
	waiting, err := prepared(ctx, w.conn)
	if err != nil && !database.Lost(err) {
		return false, err
	}
	if err != nil || waiting[x.xid] {
		return true, err
	}
	x.entry.Outcome = history.RolledBack
	w.run.forgotten.Add(1)
	w.run.say("the server has lost %s (%s)", x.xid.sql(), strings.Join(x.steps, ", "))
	return false, nil
}

// recover asks the server, when it is there again, whether x still waits. If not, its last step has been done: end says what that makes of it.
func (w *worker) recover(ctx context.Context, x *branch, end history.Outcome) (waits bool, err error) {
	w.run.interrupted.Add(1)
	w.hangUp()
	for {
		if err := w.connect(ctx); err != nil {
			return false, err
		}
		waiting, err := prepared(ctx, w.conn)
		switch {
		case err == nil && waiting[x.xid]:
			x.tried("listed", nil)
			x.entry.Outcome = history.Unknown
			return true, nil
		case err == nil:
			if end == history.RolledBack { // else it was committed, or the server has lost it
				x.entry.Outcome = end
			}
			w.run.completed(x)
			return false, nil
		case !database.Lost(err):
			return false, err
		}
		w.hangUp()
	}
}

// prepared returns the XA transactions that wait, by their names.
func prepared(ctx context.Context, conn *sql.Conn) (map[xid]bool, error) {
	rows, err := conn.QueryContext(ctx, "XA RECOVER")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[xid]bool{}
	for rows.Next() {
		var format, global, branch int
		var data string
		if err := rows.Scan(&format, &global, &branch, &data); err != nil {
			return nil, err
		}
		out[xid{data[:global], data[global:], format}] = true
	}
	return out, rows.Err()
}
