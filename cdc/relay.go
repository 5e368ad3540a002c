package cdc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/pause"
)

// Config configures a [Relay]. Source and Log are required; every other field's zero value means its default.
type Config struct {
	// Source is the database to follow, Log where its commits go. The relay closes neither.
	Source Source
	Log    eventstore.Log

	// RowFilters leave out rows, by functions. Nil keeps every row that the source gives.
	RowFilters []RowFilter
	// Routes say to which topics tables go. Readers must be given the same. Nil gives each table its own topic.
	Routes eventstore.Routes

	// MaxBytes bounds what the relay and its source ([BoundedSource]) hold of rows in memory, however large a transaction is: the
	// limits below and the source's follow from it, where they are not set. What the process takes is about twice as much, since Go's
	// collector runs when the heap has doubled.
	//
	// It does not bound a single row, which is held whole. A row larger than two flushes is alone in memory: the relay appends it
	// before it takes the next. A row event of n bytes (both images of an update) takes up to 2.7 n then, as much as two copies
	// of its JSON, in which binary values are base64. The log must take a record that large, too. Default 64 MiB, at least 1 MiB.
	MaxBytes int
	// FlushBytes is how large a flush may grow while the one before it is on its way. Default: a sixteenth of MaxBytes. The relay
	// holds two flushes, plus one slice of the source; a transaction larger than a slice takes several flushes.
	FlushBytes int
	// HoldBytes bounds the transactions held back while a tail is finished whose order differs on this server, beside what else is held.
	// Default MaxBytes.
	HoldBytes int
	// CatchUp is how long a start waits for a server that has not executed yet what the log holds, e.g. a replica that lags, before it
	// gives up with [ErrSourceBehind]. With several servers it is also how long a relay whose server is down waits for that server, or
	// for one of the others to catch up. Default 30 s.
	CatchUp time.Duration
	// Heartbeat is how often an idle relay repeats its watermark, so that silence means failure. Default 5 s.
	Heartbeat time.Duration
	// WatchPeriod is how often the relay asks how long the server keeps what it needs next ([HorizonSource]), and whether the server
	// goes on when the others of its [Topology] do: one that does not, for a whole period, is left. Default 1 min.
	WatchPeriod time.Duration
	// PurgeWarning is the [Horizon] below which the relay logs a warning. Default a quarter of the time that the server keeps its files.
	PurgeWarning time.Duration
	// DrainTimeout bounds what Run does after its context has ended: the flush in hand is still appended and recorded. Default 10 s.
	DrainTimeout time.Duration

	// Standby makes the relay one of any number that run for one log: one leads and writes, the others wait, and one of them takes over when
	// it ends, dies, hangs or is cut off from the log. Give it to all relays of the log, which must be an [eventstore.LeaderLog].
	Standby bool
	// Name tells the relays of a log apart, for humans. Default: the host's name and the process id.
	Name string
	// Patience is how long a leader may be silent until a standby takes its place. A shorter one takes over sooner, and more often without
	// need, which costs some hundred milliseconds and nothing else. The same for all relays of a log. Default 2 s, at least 100 ms.
	Patience time.Duration

	// Snapshot says how tables are read beside the stream.
	Snapshot SnapshotConfig

	// Logger gets what an operator wants to know; nil is silent.
	Logger *slog.Logger
	// Hooks are called on events, from the relay's own goroutines: they must return soon.
	Hooks Hooks
}

const (
	defaultMaxBytes = 64 << 20
	minMaxBytes     = 1 << 20
	minPatience     = 100 * time.Millisecond
)

// ErrSourceBehind says that the log holds commits that the server does not have: it lost them, or it is another server's copy.
var ErrSourceBehind = errors.New("the log holds commits that this server does not have")

// ErrForeignServer says that a server's history has nothing in common with the log's: it is of another topology, or of another flavor.
var ErrForeignServer = errors.New("the server has another history than the log")

// ErrConfigChanged says that the log ends in an unfinished flush that was written with another filter, choice of columns, key,
// route or renderer.
var ErrConfigChanged = errors.New("the log's unfinished end was written with another configuration")

// Relay carries the commits of a source into a log, each exactly once and in commit order. Any number may run for one log: the last
// one to begin wins, the others stop with [eventstore.ErrFenced], or wait for their turn (Config.Standby).
type Relay struct {
	cfg   Config
	rules rules
	log   *slog.Logger
	asked asked
}

// NewRelay checks the configuration and returns a relay. All problems are in one error. Nothing is connected yet.
func NewRelay(cfg Config) (*Relay, error) {
	var problems []error
	if isNil(cfg.Source) {
		problems, cfg.Source = append(problems, errors.New("Source is missing")), nil
	} else if t, ok := cfg.Source.(Topology); ok {
		if list := t.Servers(); len(list) == 0 || slices.ContainsFunc(list, func(s Server) bool { return isNil(s.Source) }) {
			problems, cfg.Source = append(problems, fmt.Errorf("Source is a %T of %d servers, want at least one, and a Source of each", t, len(list))), nil
		}
	}
	if isNil(cfg.Log) {
		problems, cfg.Log = append(problems, errors.New("Log is missing")), nil
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxBytes
	} else if cfg.MaxBytes < minMaxBytes {
		problems = append(problems, fmt.Errorf("MaxBytes is %d, want at least %d, or 0 for %d", cfg.MaxBytes, minMaxBytes, defaultMaxBytes))
	}
	for _, limit := range []struct {
		name  string
		value *int
		byDef int
	}{
		{"FlushBytes", &cfg.FlushBytes, cfg.MaxBytes / 16},
		{"HoldBytes", &cfg.HoldBytes, cfg.MaxBytes},
	} {
		if *limit.value < 0 {
			problems = append(problems, fmt.Errorf("%s is %d, want bytes, or 0 for the default", limit.name, *limit.value))
		} else if *limit.value == 0 {
			*limit.value = limit.byDef
		}
	}
	for _, span := range []struct {
		name  string
		value *time.Duration
		byDef time.Duration
	}{
		{"CatchUp", &cfg.CatchUp, 30 * time.Second},
		{"Heartbeat", &cfg.Heartbeat, 5 * time.Second},
		{"DrainTimeout", &cfg.DrainTimeout, 10 * time.Second},
		{"WatchPeriod", &cfg.WatchPeriod, time.Minute},
		{"PurgeWarning", &cfg.PurgeWarning, 0},
		{"Patience", &cfg.Patience, eventstore.DefaultPatience},
	} {
		if *span.value < 0 {
			problems = append(problems, fmt.Errorf("%s is %v, want a duration, or 0 for the default", span.name, *span.value))
		} else if *span.value == 0 {
			*span.value = span.byDef
		}
	}
	if cfg.Patience > 0 && cfg.Patience < minPatience {
		problems = append(problems, fmt.Errorf("Patience is %v, want at least %v, or 0 for %v", cfg.Patience, minPatience, eventstore.DefaultPatience))
	}
	if _, ok := cfg.Log.(eventstore.LeaderLog); cfg.Standby && cfg.Log != nil && !ok {
		problems = append(problems, fmt.Errorf("Standby needs a Log that is an eventstore.LeaderLog, %T is none", cfg.Log))
	}
	if cfg.Name == "" {
		cfg.Name = defaultName()
	}
	if err := cfg.Snapshot.validate(cfg.Source); err != nil {
		problems = append(problems, err)
	}
	rules := rules{filters: slices.Clone(cfg.RowFilters), routes: slices.Clone(cfg.Routes)}
	if err := rules.validate(); err != nil {
		problems = append(problems, err)
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("relay config: %w", errors.Join(problems...))
	}
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	cfg.Logger = log
	return &Relay{cfg: cfg, rules: rules, log: log}, nil
}

// isNil tells of an interface that holds nothing, or a nil pointer.
func isNil(v any) bool {
	of := reflect.ValueOf(v)
	return !of.IsValid() || of.Kind() == reflect.Pointer && of.IsNil()
}

// Backoff between sessions after an error that may pass.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 10 * time.Second
)

// Run checks the source, takes over the log and relays until ctx ends; then it stops reading, appends and records what is in hand,
// and returns nil. What may pass (server or log unreachable) is retried for ever with backoff once the relay has run, or stands by; before that,
// and for anything that does not pass, Run returns the error: wrong settings ([*CheckError]), [ErrPositionLost],
// [ErrSourceBehind], [ErrForeignServer], [ErrConfigChanged], [*DecodeError], [*RowFilterError], [eventstore.ErrFenced], [eventstore.ErrLogMismatch], [*eventstore.RecordError].
//
// With Config.Standby it waits for its turn first, and again whenever another relay has taken over, so it never returns ErrFenced. An error
// that may pass ends its turn, too: another relay may reach what this one does not.
//
// Everything up to the last watermark is safe whatever Run returns, and running again goes on from there.
func (r *Relay) Run(ctx context.Context) error {
	if r.log == nil {
		return errors.New("relay: it is not made by NewRelay")
	}
	if err := r.check(ctx); err != nil {
		return r.stopped(ctx, err)
	}
	backoff, servers := minBackoff, newServers(r.cfg.Source)
	for ran := r.cfg.Standby; ; {
		t, err := r.lead(ctx)
		if err != nil {
			return r.stopped(ctx, err)
		}
		s := &session{Config: r.cfg, rules: &r.rules, config: r.rules.configID(r.cfg.Source.ConfigID()), tables: newDefinitions(), logger: r.log, servers: servers, turn: t, asked: &r.asked}
		err = s.run(t.ctx)
		r.over(ctx, t)
		if s.running {
			ran, backoff = true, minBackoff
		}
		fenced := r.cfg.Standby && errors.Is(err, eventstore.ErrFenced)
		switch {
		case ctx.Err() != nil && (err == nil || !s.draining || fenced):
			return nil
		case t.lost() && (err == nil || fenced || isUnavailable(err)):
			r.log.Warn("another relay leads", "err", err)
			continue
		case err == nil:
			return nil
		case fenced:
			backoff = max(backoff, fencedBackoff)
		case !ran || ctx.Err() != nil || !isUnavailable(err) || errors.Is(err, ErrSourceBehind):
			return r.stopped(ctx, err)
		}
		r.log.Warn("relay interrupted, beginning again", "in", backoff, "err", err)
		r.cfg.Hooks.retrying(RetryInfo{Err: err, In: backoff})
		if !pause.For(ctx, backoff) {
			return nil
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// check finds what is wrong before anything is written, also that a first start has everything to read.
func (r *Relay) check(ctx context.Context) error {
	if err := r.cfg.Source.Check(ctx); err != nil {
		return err
	}
	head, found, err := r.cfg.Log.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the log's head: %w", err)
	}
	if !found {
		_, err = firstPosition(ctx, &r.cfg)
		return err
	}
	return r.checkHistory(ctx, head)
}

// checkHistory refuses a source none of whose servers has to do with the log: two pipelines were given one name. Were it found after the
// fence only, the other pipeline's relay would have been stopped.
func (r *Relay) checkHistory(ctx context.Context, head eventstore.Watermark) error {
	var foreign []error
	for _, server := range newServers(r.cfg.Source).list {
		executed, err := server.Executed(ctx)
		if err != nil {
			return nil //nolint:nilerr // it is asked again when it is needed
		}
		err = related(executed, head.Position)
		if err == nil {
			return nil
		}
		foreign = append(foreign, err)
	}
	return errors.Join(foreign...)
}

func (r *Relay) stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return fmt.Errorf("relay: %w", err)
}

func isUnavailable(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, eventstore.ErrUnavailable)
}
