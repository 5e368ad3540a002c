package eventstore

import (
	"context"
	"time"
)

// LeaderLog is a [Log] whose would-be writers can agree on one that leads, while the others wait. Nothing depends on it but time: what two
// that both believe they lead would write is kept apart by [Log.Begin], as ever.
type LeaderLog interface {
	Log

	// Lead waits until it is the caller's turn: until nobody leads, or who led has resigned, or was silent for the contender's patience. The
	// time in which the store cannot be read does not count. It retries what may pass, and its error is one that does not, or ctx's.
	//
	// The leadership ends with ctx, without a word, as it would by the death of the process.
	Lead(ctx context.Context, c Contender) (Leadership, error)
}

// Contender is one that wants to lead.
type Contender struct {
	// Name says to humans who it is. It need not be unique.
	Name string
	// Patience is how long a leader may be silent until the contender takes its place. A leader beats four times in its own patience: all
	// contenders of a log should have the same. 0 means 2 s.
	Patience time.Duration
	// Changed is called when another contender leads than before, or none, also once at the beginning, from goroutines of the log: it must
	// return soon. Nil is allowed.
	Changed func(Leader)
}

// Leader is who leads.
type Leader struct {
	// Term rises with each leader.
	Term uint64
	// Name is the leader's, empty where nobody leads.
	Name string
	// Self tells that it is the contender itself.
	Self bool
}

// Leadership is a contender's turn. It is safe for concurrent use.
type Leadership interface {
	// Leader is the contender itself.
	Leader() Leader

	// Silence is for how long nobody had led, as far as the contender could see, when its turn came.
	Silence() time.Duration

	// Lost is closed when another contender is seen to lead.
	Lost() <-chan struct{}

	// Resign ends the turn, and lets the next contender lead at once when ctx leaves the time to tell it. It releases what the leadership
	// holds, also when it returns an error, and must be called once.
	Resign(ctx context.Context) error
}

// DefaultPatience is the patience of a [Contender] that has none of its own.
const DefaultPatience = 2 * time.Second
