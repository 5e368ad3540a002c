package projector

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// Config configures a [Runner]. Log, Sinks and Projectors are required; every other field's zero value means its default.
type Config struct {
	// Log is what the projectors follow.
	Log eventstore.Log
	// Sinks hold the documents, one of each [Sink.Kind] that a projector's target names.
	Sinks []Sink
	// Projectors are [Query], [Fold] and [Join] values. Names and targets are unique.
	Projectors []Projector

	// States hold the local states of [Join] projectors. Nil keeps them in memory, in the Runner: a new process builds them from the log.
	States LocalStates

	// Routes are those that the log's writer was given: they tell in which topics a table's rows are. Nil is right where the writer has none.
	Routes eventstore.Routes

	// Window is how long changes are collected before their documents are written, counted from the first. Default 200 ms.
	Window time.Duration
	// WindowTargets closes a window at this number of documents, at a transaction's end. Default 10,000.
	WindowTargets int
	// BatchDocuments and BatchBytes bound one request to a sink. Defaults 1,000 and 4 MiB; a larger document goes alone.
	BatchDocuments int
	BatchBytes     int
	// DrainTimeout bounds what Run does after its context has ended: the window in hand is still written. Default 10 s.
	DrainTimeout time.Duration
	// TombstoneAge is how long tombstones of deleted documents are kept, where the sink's server does not remove them by itself. It
	// must be longer than any pause of a projector process. Default 24 h.
	TombstoneAge time.Duration

	// Logger gets what an operator wants to know; nil is silent.
	Logger *slog.Logger
	// Hooks are called on events.
	Hooks Hooks
}

// Hooks are called from the projectors' goroutines: they must return soon, and several may be called at the same time. Nil ones are left out.
type Hooks struct {
	// OnWindow is called when all documents of a window are acknowledged.
	OnWindow func(WindowInfo)
	// OnRetry is called when something that may pass has failed, before waiting to do it again. Reading is paused meanwhile.
	OnRetry func(RetryInfo)
	// OnPublish is called when readers have begun to see a generation.
	OnPublish func(PublishInfo)
	// OnHalt is called when a projector has stopped for good.
	OnHalt func(HaltInfo)
}

// WindowInfo says what a window wrote.
type WindowInfo struct {
	Projector string
	// CSN is the last commit in the window. Everything up to it is in the sink now.
	CSN eventstore.CSN
	// Transactions and Changes were read; Documents were written, Deletes of them as tombstones; Stale of them were refused because the
	// sink has newer ones; Unchanged were not written because the sink has the same bytes.
	Transactions, Changes                int
	Documents, Deletes, Stale, Unchanged int
	// Bytes is the size of the written documents.
	Bytes int
	// Duration is the time from the window's end to the last acknowledgement.
	Duration time.Duration
	// Committed is the commit time of the newest watermark that the window reached, as precise as the source has it.
	Committed time.Time
}

// RetryInfo says what failed and will be done again.
type RetryInfo struct {
	Projector string
	// Step is what failed, e.g. "write documents".
	Step    string
	Attempt int // from 1
	In      time.Duration
	Err     error
}

// PublishInfo says what readers have begun to see.
type PublishInfo struct {
	Projector  string
	Target     Target
	Generation uint64
	CSN        eventstore.CSN
}

// HaltInfo says which projector has stopped for good, and why.
type HaltInfo struct {
	Projector string
	CSN       eventstore.CSN // its progress
	Err       error
}

// withDefaults returns the configuration with every zero value filled in, or all its problems in one error.
func (c Config) withDefaults() (Config, error) {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.Log == nil {
		bad("Log is missing")
	}
	for _, n := range []struct {
		name  string
		value *int
		byDef int
	}{
		{"WindowTargets", &c.WindowTargets, 10_000},
		{"BatchDocuments", &c.BatchDocuments, 1_000},
		{"BatchBytes", &c.BatchBytes, 4 << 20},
	} {
		if *n.value < 0 {
			bad("%s is %d, want a positive number, or 0 for the default", n.name, *n.value)
		} else if *n.value == 0 {
			*n.value = n.byDef
		}
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		byDef time.Duration
	}{
		{"Window", &c.Window, 200 * time.Millisecond},
		{"DrainTimeout", &c.DrainTimeout, 10 * time.Second},
		{"TombstoneAge", &c.TombstoneAge, 24 * time.Hour},
	} {
		if *d.value < 0 {
			bad("%s is %v, want a positive duration, or 0 for the default", d.name, *d.value)
		} else if *d.value == 0 {
			*d.value = d.byDef
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.States == nil {
		c.States = NewMemoryStates()
	}
	c.Routes = slices.Clone(c.Routes)
	if err := c.Routes.Validate(); err != nil {
		problems = append(problems, err)
	}
	problems = append(problems, c.checkProjectors()...)
	if len(problems) > 0 {
		return c, fmt.Errorf("projector config: %w", errors.Join(problems...))
	}
	return c, nil
}

func (c Config) checkProjectors() (problems []error) {
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	sinks := map[string]bool{}
	for i, s := range c.Sinks {
		switch {
		case s == nil:
			bad("Sinks[%d] is nil", i)
		case sinks[s.Kind()]:
			bad("Sinks: more than one of kind %q", s.Kind())
		default:
			sinks[s.Kind()] = true
		}
	}
	if len(c.Projectors) == 0 {
		bad("Projectors is empty")
	}
	names, targets := map[string]bool{}, map[[2]string]string{}
	for i, p := range c.Projectors {
		if p == nil {
			bad("Projectors[%d] is nil", i)
			continue
		}
		d := p.definition()
		if d.name == "" {
			bad("Projectors[%d] has no Name", i)
		} else if names[d.name] {
			bad("projector %q: the name occurs twice", d.name)
		}
		names[d.name] = true
		if d.version < 1 {
			bad("projector %q: Version is %d, want 1 or more", d.name, d.version)
		}
		target := [2]string{d.target.Sink, d.target.Name}
		switch {
		case d.target.Name == "" || d.target.Sink == "":
			bad("projector %q: Target needs a sink and a name", d.name)
		case !sinks[d.target.Sink]:
			bad("projector %q: Target wants a sink of kind %q, and Sinks has none", d.name, d.target.Sink)
		case targets[target] != "":
			bad("projector %q: its target %q is already that of projector %q", d.name, d.target.Name, targets[target])
		}
		targets[target] = d.name
		for _, t := range d.tables {
			for _, topic := range c.Routes.Topics(t.schema, t.name) {
				if slices.Contains(d.events, topic) {
					bad("projector %q: topic %s has the rows of table %s, it is none of events", d.name, topic, t)
				}
			}
		}
		for _, err := range d.problems {
			bad("projector %q: %w", d.name, err)
		}
	}
	return problems
}
