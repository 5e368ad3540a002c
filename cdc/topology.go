package cdc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/millrace-go/millrace/internal/gtid"
	"github.com/millrace-go/millrace/internal/pause"
)

// Topology is a [Source] of several servers with one history, such as a primary and its replicas. The relay follows one of them at a
// time, and another one when that fails, or stands still while another goes on: each start asks them in turn, beginning with the one it
// followed last, for the first that has executed what the log holds, passes its check and still has the binlog from there on. As a
// Source of its own a Topology answers from the first server that can.
type Topology interface {
	Source
	// Servers returns the servers in the order of preference, always the same.
	Servers() []Server
}

// Server is one server of a [Topology].
type Server struct {
	Name string // host:port
	Source
}

// ServersError says of each server of a [Topology] why it was passed over.
type ServersError struct {
	Reasons []ServerReason
}

// ServerReason is why a server was passed over.
type ServerReason struct {
	Server string // its name
	Err    error
}

func (e *ServersError) Error() string {
	var text strings.Builder
	text.WriteString("no server of the source will do:")
	for _, r := range e.Reasons {
		fmt.Fprintf(&text, "\n  - %s: %s", r.Server, strings.ReplaceAll(r.Err.Error(), "\n", "\n    "))
	}
	return text.String()
}

// Unwrap returns all reasons: errors.Is finds what holds for any of the servers.
func (e *ServersError) Unwrap() []error {
	errs := make([]error, len(e.Reasons))
	for i, r := range e.Reasons {
		errs[i] = r.Err
	}
	return errs
}

// servers are those of a source, through all sessions of a run.
type servers struct {
	list []Server
	good int // the one that is followed, or was last
	// moved is what each had executed before the followed one was last seen to have gone on, and what that has since; nil at first. It
	// belongs to overtaken.
	moved []Position
	// checked are those whose settings were looked at in this run, by the identity they gave: another server may answer under an address.
	checked map[string]bool
}

func newServers(source Source) *servers {
	s := &servers{list: []Server{{Source: source}}, checked: map[string]bool{}}
	if t, ok := source.(Topology); ok {
		s.list = t.Servers()
	}
	return s
}

// current is the server that is followed.
func (s *servers) current() Server { return s.list[s.good] }

// skip makes the server behind the current one the first to be tried.
func (s *servers) skip() { s.good = (s.good + 1) % len(s.list) }

// each calls try for the servers, the last good one first, until one will do.
func (s *servers) each(ctx context.Context, try func(Server) error) error {
	failed := &ServersError{}
	for i := range s.list {
		at := (s.good + i) % len(s.list)
		err := try(s.list[at])
		if err == nil {
			s.good = at
			return nil
		}
		if len(s.list) == 1 || ctx.Err() != nil {
			return err
		}
		failed.Reasons = append(failed.Reasons, ServerReason{s.list[at].Name, err})
	}
	return failed
}

// check verifies the settings of a server that is new in this run. The only server of a source was checked before.
func (s *servers) check(ctx context.Context, server Server, identity string) error {
	key := server.Name + " " + identity
	if !s.checked[key] && (len(s.list) > 1 || len(s.checked) > 0) {
		if err := server.Check(ctx); err != nil {
			return err
		}
	}
	s.checked[key] = true
	return nil
}

// open finds a server that has executed what the log holds (11) and begins to stream there (12). It waits for those that lag.
func (s *session) open(ctx context.Context) (stream Stream, plan *tail, err error) {
	found := s.writer.Start().Tail
	if found.Stamp != nil && found.Stamp.Config != s.config {
		return nil, nil, fmt.Errorf("%w (%s, now %s): run the relay once with the filters, columns, keys and routes it had, until it reports the tail as finished",
			ErrConfigChanged, found.Stamp.Config, s.config)
	}
	deadline := time.Now().Add(s.CatchUp)
	for {
		err := s.servers.each(ctx, func(server Server) (err error) {
			executed, err := server.Executed(ctx)
			if err != nil {
				return fmt.Errorf("executed set: %w", err)
			}
			if plan, err = s.plan(executed); err != nil {
				return err
			}
			if err := s.servers.check(ctx, server, executed.Server); err != nil {
				return err
			}
			if stream, err = s.openBounded(ctx, server.Source); err != nil {
				return fmt.Errorf("open stream: %w", err)
			}
			return nil
		})
		if err == nil {
			if name := s.servers.current().Name; name != "" {
				s.logger.Info("following", "server", name)
			}
			return stream, plan, nil
		}
		if ctx.Err() != nil || !errors.Is(err, ErrSourceBehind) || time.Now().After(deadline) {
			return nil, nil, err
		}
		s.logger.Info("waiting for a server to execute what the log holds", "err", err)
		if !pause.For(ctx, min(s.CatchUp/10+time.Millisecond, time.Second)) {
			return nil, nil, ctx.Err()
		}
	}
}

// plan plans the tail for a server, which must have executed everything that the log holds.
func (s *session) plan(executed Position) (*tail, error) {
	if err := related(executed, s.last.Position); err != nil {
		return nil, err
	}
	covered, err := executed.Covers(s.last.Position.GTIDs)
	if err != nil {
		return nil, err
	}
	plan, missing, err := newTail(s.writer.Start().Tail, executed, s.HoldBytes)
	if err != nil {
		return nil, err
	}
	if !covered {
		missing = append(missing, s.last.Position.GTIDs)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%w: it has executed %q, the log also holds %q. Connect to a server that has them, or start a new log",
			ErrSourceBehind, executed.GTIDs, strings.Join(missing, ","))
	}
	return plan, nil
}

// related refuses a server whose history has nothing to do with the log's. One that has executed nothing may only be late.
func related(executed, log Position) error {
	if executed.Flavor != "" && log.Flavor != "" && executed.Flavor != log.Flavor {
		return fmt.Errorf("%w: the log is of a %s server, this is %s", ErrForeignServer, log.Flavor, executed.Flavor)
	}
	have, err := gtid.Parse(executed.Flavor, executed.GTIDs)
	if err != nil {
		return fmt.Errorf("executed set: %w", err)
	}
	want, err := gtid.Parse(executed.Flavor, log.GTIDs)
	if err != nil {
		return fmt.Errorf("position of the log: %w", err)
	}
	if have.Foreign(want) {
		return fmt.Errorf("%w: it has executed %q, the log holds %q, and no server has written to both. Connect to a server of the "+
			"log's topology, or start a new log under another name", ErrForeignServer, executed.GTIDs, log.GTIDs)
	}
	return nil
}
