package documents

import (
	"errors"
	"fmt"
)

// Report is what happened in a run, and what was found.
type Report struct {
	Verdict
	Cuts         int
	Seen         int // documents that were read on the way, each version once
	Changes      int // records of the log
	Transactions int // committed
	RolledBack   int
	Written      int // documents
	Unchanged    int // documents that were not written, since the sink had the same
	Refused      int // writes that were too old
	Kills        int // of the projector
	Pauses       int // of the projector
	Losses       int // of its local state
	Rivals       int // times that a second projector worked
	Anew         int // local states that were found to be damaged, and built anew
}

func (r *run) report(changes int) *Report {
	return &Report{Verdict: r.verdict, Cuts: len(r.evidence.cuts), Seen: len(r.evidence.seen), Changes: changes, Transactions: int(r.load.committed.Load()),
		RolledBack: int(r.load.rolledBack.Load()), Written: int(r.written.Load()), Unchanged: int(r.unchanged.Load()), Refused: int(r.refused.Load()),
		Kills: int(r.kills.Load()), Pauses: int(r.pauses.Load()), Losses: int(r.losses.Load()), Rivals: int(r.rivals.Load()), Anew: int(r.anew.Load())}
}

// Add adds up the figures of another run.
func (r *Report) Add(o *Report) {
	for _, f := range []struct{ into, n *int }{
		{&r.Documents, &o.Documents}, {&r.Equal, &o.Equal}, {&r.Missing, &o.Missing}, {&r.Extra, &o.Extra}, {&r.Torn, &o.Torn}, {&r.Stale, &o.Stale},
		{&r.Wrong, &o.Wrong}, {&r.Cuts, &o.Cuts}, {&r.Seen, &o.Seen}, {&r.Changes, &o.Changes}, {&r.Transactions, &o.Transactions},
		{&r.RolledBack, &o.RolledBack}, {&r.Written, &o.Written}, {&r.Unchanged, &o.Unchanged}, {&r.Refused, &o.Refused}, {&r.Kills, &o.Kills},
		{&r.Pauses, &o.Pauses}, {&r.Losses, &o.Losses}, {&r.Rivals, &o.Rivals}, {&r.Anew, &o.Anew},
	} {
		*f.into += *f.n
	}
}

// String is the last line of a run.
func (r *Report) String() string {
	return fmt.Sprintf("transactions %d rolled back %d changes %d cuts %d seen %d written %d unchanged %d refused %d kills %d pauses %d losses %d rivals %d anew %d %s",
		r.Transactions, r.RolledBack, r.Changes, r.Cuts, r.Seen, r.Written, r.Unchanged, r.Refused, r.Kills, r.Pauses, r.Losses, r.Rivals, r.Anew, &r.Verdict)
}

// problems is nil when everything holds, and when enough happened to say so.
func (r *Report) problems(cfg *Config) error {
	var problems []error
	if !r.OK() {
		problems = append(problems, fmt.Errorf("the documents are not what the rows say: %s", &r.Verdict))
	}
	atLeast := func(what string, n, want int) {
		if n < want {
			problems = append(problems, fmt.Errorf("only %d %s, want at least %d: the run shows too little", n, what, want))
		}
	}
	atLeast("cuts", r.Cuts, cfg.Cuts+1)
	atLeast("kills", r.Kills, cfg.Kills+cfg.Losses)
	atLeast("losses", r.Losses, cfg.Losses)
	atLeast("rivals", r.Rivals, cfg.Rivals)
	atLeast("documents that were read on the way", r.Seen, 1)
	atLeast("changes", r.Changes, cfg.Transactions)
	return errors.Join(problems...)
}
