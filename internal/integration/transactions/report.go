package transactions

import (
	"errors"
	"fmt"
	"strings"

	"github.com/millrace-go/millrace/internal/integration/history"
)

// Report is what happened in a run, and what was found.
type Report struct {
	history.Verdict
	Begun        int // transactions that the clients began
	XACommits    int // XA COMMIT of what was prepared, in the binlog
	XARollbacks  int // XA ROLLBACK of what was prepared, in the binlog
	OnePhase     int // XA COMMIT … ONE PHASE, acknowledged
	OverServer   int // XA transactions that were prepared before a restart of the server and completed after it
	OverRelay    int // … of the relay
	TookBack     int // transactions with a ROLLBACK TO that took rows back
	Plain        int // statements on tables without transactions
	DDL          int // schema changes
	Kills        int // of the relay
	Tails        int // unfinished flushes that a relay found and finished
	Restarts     int // of the server, half of them by SIGKILL
	Interrupted  int // transactions whose connection was lost
	Forgotten    int // XA transactions that the server's binlog has as prepared, and the server lost in a restart
	Again        int // XA transactions that the server had prepared again when it was killed behind their end
	RelayRetries int

	unknown []string // in what the last watermark says about prepared XA transactions
}

// Add adds up the figures of another run.
func (r *Report) Add(o *Report) {
	for _, f := range []struct{ into, n *int }{
		{&r.Transactions, &o.Transactions}, {&r.Changes, &o.Changes}, {&r.Lost, &o.Lost}, {&r.Duplicated, &o.Duplicated},
		{&r.Reordered, &o.Reordered}, {&r.Phantom, &o.Phantom}, {&r.Begun, &o.Begun}, {&r.XACommits, &o.XACommits},
		{&r.XARollbacks, &o.XARollbacks}, {&r.OnePhase, &o.OnePhase}, {&r.OverServer, &o.OverServer}, {&r.OverRelay, &o.OverRelay},
		{&r.TookBack, &o.TookBack}, {&r.Plain, &o.Plain}, {&r.DDL, &o.DDL}, {&r.Kills, &o.Kills}, {&r.Tails, &o.Tails},
		{&r.Restarts, &o.Restarts}, {&r.Interrupted, &o.Interrupted}, {&r.Forgotten, &o.Forgotten}, {&r.Again, &o.Again}, {&r.RelayRetries, &o.RelayRetries},
	} {
		*f.into += *f.n
	}
}

// String is the last line of a run.
func (r *Report) String() string {
	return fmt.Sprintf("transactions %d changes %d xa commits %d rollbacks %d one-phase %d prepared across server restarts %d relay restarts %d "+
		"rolled back to savepoints %d non-transactional %d ddl %d kills %d tails %d server restarts %d interrupted %d forgotten by the server %d prepared by it again %d %s",
		r.Transactions, r.Changes, r.XACommits, r.XARollbacks, r.OnePhase, r.OverServer, r.OverRelay,
		r.TookBack, r.Plain, r.DDL, r.Kills, r.Tails, r.Restarts, r.Interrupted, r.Forgotten, r.Again, &r.Verdict)
}

// killsForTails is the number of kills from which on a run without a finished tail counts as failed.
const killsForTails = 12

// problems is nil when everything holds, and when enough happened to say so.
func (r *Report) problems(cfg *Config) error {
	var problems []error
	if !r.OK() {
		problems = append(problems, fmt.Errorf("%s: the log is not what was committed: %s", cfg.Kind, &r.Verdict))
	}
	if len(r.unknown) > 0 {
		problems = append(problems, fmt.Errorf("%s: the last watermark lists as prepared: %s", cfg.Kind, strings.Join(r.unknown, "; ")))
	}
	atLeast := func(what string, n, want int) {
		if n < want {
			problems = append(problems, fmt.Errorf("%s: only %d %s, want at least %d: the run shows too little", cfg.Kind, n, what, want))
		}
	}
	atLeast("transactions", r.Transactions, cfg.Transactions/2)
	atLeast("changes", r.Changes, cfg.Transactions)
	atLeast("XA commits", r.XACommits, cfg.Transactions/50)
	atLeast("XA rollbacks", r.XARollbacks, cfg.Transactions/100)
	atLeast("XA transactions in one phase", r.OnePhase, cfg.Transactions/100)
	atLeast("XA transactions over a restart of the server", r.OverServer, (cfg.Restarts+1)/2) // MySQL forgets some
	atLeast("XA transactions over a restart of the relay", r.OverRelay, cfg.Kills/2)
	atLeast("statements on tables without transactions", r.Plain, cfg.Transactions/50)
	atLeast("schema changes", r.DDL, cfg.Transactions/200)
	atLeast("kills", r.Kills, cfg.Kills)
	atLeast("restarts of the server", r.Restarts, cfg.Restarts)
	if cfg.Kills >= killsForTails {
		atLeast("tails finished", r.Tails, 1)
	}
	return errors.Join(problems...)
}
