package snapshot

import (
	"errors"
	"fmt"
)

// Report is what happened in a run, and what was found.
type Report struct {
	Verdict
	Transactions int // that the clients ran
	XA           int // of these, XA transactions that were committed
	RolledBack   int // of these, rolled back
	KeyChanges   int // statements that change keys
	DDL          int // schema changes
	Files        int // FLUSH BINARY LOGS
	Chunks       int // read and written
	Discarded    int // read, and thrown away
	Kills        int // of the relay
	Tails        int // unfinished flushes that a relay found and finished
}

// Add adds up the figures of another run.
func (r *Report) Add(o *Report) {
	for _, f := range []struct{ into, n *int }{
		{&r.Rows, &o.Rows}, {&r.Changes, &o.Changes}, {&r.Reads, &o.Reads}, {&r.Repeated, &o.Repeated}, {&r.Mismatched, &o.Mismatched},
		{&r.Lost, &o.Lost}, {&r.Invented, &o.Invented}, {&r.OutOfOrder, &o.OutOfOrder}, {&r.Transactions, &o.Transactions}, {&r.XA, &o.XA},
		{&r.RolledBack, &o.RolledBack}, {&r.KeyChanges, &o.KeyChanges}, {&r.DDL, &o.DDL}, {&r.Files, &o.Files}, {&r.Chunks, &o.Chunks},
		{&r.Discarded, &o.Discarded}, {&r.Kills, &o.Kills}, {&r.Tails, &o.Tails},
	} {
		*f.into += *f.n
	}
}

// String is the last line of a run.
func (r *Report) String() string {
	return fmt.Sprintf("rows %d changes %d reads %d again %d transactions %d xa %d rolled back %d key changes %d ddl %d binlog files %d chunks read %d discarded %d kills %d tails %d %s",
		r.Rows, r.Changes, r.Reads, r.Repeated, r.Transactions, r.XA, r.RolledBack, r.KeyChanges, r.DDL, r.Files, r.Chunks, r.Discarded, r.Kills, r.Tails, &r.Verdict)
}

// What a run has at least; the load goes on until then.
const (
	minXA         = 10
	minRolledBack = 10
	minDDL        = 2
	minFiles      = 2
)

// problems is nil when everything holds, and when enough happened to say so.
func (r *Report) problems(cfg *Config) error {
	var problems []error
	if !r.OK() {
		problems = append(problems, fmt.Errorf("%s: the log is not the tables: %s", cfg.Kind, &r.Verdict))
	}
	atLeast := func(what string, n, want int) {
		if n < want {
			problems = append(problems, fmt.Errorf("%s: only %d %s, want at least %d: the run shows too little", cfg.Kind, n, what, want))
		}
	}
	atLeast("kills", r.Kills, cfg.Kills)
	atLeast("XA commits", r.XA, minXA)
	atLeast("rollbacks", r.RolledBack, minRolledBack)
	atLeast("schema changes", r.DDL, minDDL)
	atLeast("binlog files", r.Files, minFiles)
	atLeast("rows that the log had already when they were read", r.Repeated, cfg.Hot)
	return errors.Join(problems...)
}
