package exactlyonce

import (
	"errors"
	"fmt"
	"time"

	"github.com/millrace-go/millrace/internal/integration/history"
)

// Report is what happened in a run, and what was found.
type Report struct {
	history.Verdict
	Faults     int
	Kills      int           // of them: relays that were killed or replaced
	Watermarks int           // of the log
	Tails      int           // unfinished flushes that a relay found and finished
	Fenced     int           // relays that learned of a successor
	Takeovers  int           // by a standby, which nobody told
	Slowest    time.Duration // of them, from the leader's last moment to its successor's first flush
	Peak       uint64        // the most resident memory of a relay in bytes; 0: not measured
	Outage     time.Duration // how long Kafka was down as a whole
	Meanwhile  int           // rows that were committed in that time
}

// Add adds up the figures of another run.
func (r *Report) Add(o *Report) {
	for _, f := range []struct{ into, n *int }{
		{&r.Transactions, &o.Transactions}, {&r.Changes, &o.Changes}, {&r.Lost, &o.Lost}, {&r.Duplicated, &o.Duplicated}, {&r.Reordered, &o.Reordered},
		{&r.Phantom, &o.Phantom}, {&r.Torn, &o.Torn}, {&r.Ahead, &o.Ahead}, {&r.Faults, &o.Faults}, {&r.Kills, &o.Kills},
		{&r.Watermarks, &o.Watermarks}, {&r.Tails, &o.Tails}, {&r.Fenced, &o.Fenced},
	} {
		*f.into += *f.n
	}
	r.Takeovers += o.Takeovers
	r.Slowest = max(r.Slowest, o.Slowest)
}

// Memory is the line of a run in which Kafka was down.
func (r *Report) Memory() string {
	return fmt.Sprintf("kafka down %v, %d rows of %d bytes committed meanwhile, peak memory of the relay %d MB of %d", r.Outage.Round(time.Second),
		r.Meanwhile, wideBytes, r.Peak/1e6, outageBound/1_000_000)
}

// Details is a line of figures beside the last one.
func (r *Report) Details() string {
	return fmt.Sprintf("transactions %d watermarks %d kills %d tails finished %d fenced %d takeovers %d slowest %v", r.Transactions, r.Watermarks, r.Kills,
		r.Tails, r.Fenced, r.Takeovers, r.Slowest.Round(time.Millisecond))
}

// String is the last line of a run.
func (r *Report) String() string {
	return fmt.Sprintf("faults %d changes %d lost %d duplicated %d reordered %d torn %d invented %d ahead %d", r.Faults, r.Changes, r.Lost, r.Duplicated,
		r.Reordered, r.Torn, r.Phantom, r.Ahead)
}

// problems is nil when everything holds, and when enough happened to say so.
func (r *Report) problems(cfg *Config) error {
	var problems []error
	if !r.OK() {
		problems = append(problems, fmt.Errorf("%s: the log is not what was committed (SEED=%d): %s", cfg.Kind, cfg.Seed, r))
	}
	atLeast := func(what string, n, want int) {
		if n < want {
			problems = append(problems, fmt.Errorf("%s: only %d %s, want at least %d: the run shows too little", cfg.Kind, n, what, want))
		}
	}
	atLeast("changes", r.Changes, cfg.Changes)
	if cfg.Kills > 0 {
		atLeast("kills", r.Kills, cfg.Kills-2) // probes that are none
		atLeast("tails finished", r.Tails, 1)
		atLeast("relays fenced", r.Fenced, 2)
	}
	return errors.Join(problems...)
}
