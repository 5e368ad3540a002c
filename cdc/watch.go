package cdc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// errStandsStill ends a session whose server does not go on while another one does.
var errStandsStill = errors.New("the server stands still while another one goes on")

// watch looks after the server that is followed, each WatchPeriod until ctx ends: how long it keeps what the relay needs next, and
// whether it goes on when the others do. It returns why another server should be followed: an old primary that is cut off from its
// successor serves its binlog as before, and would be followed for ever.
func (s *session) watch(ctx context.Context) error {
	tick := time.NewTicker(s.WatchPeriod)
	defer tick.Stop()
	var before []Position
	for {
		s.lookAhead(ctx)
		now := s.standing(ctx)
		if other := s.servers.overtaken(before, now); other >= 0 {
			return fmt.Errorf("%w: %w: %s has executed nothing for %v, and lacks what %s has", ErrUnavailable, errStandsStill,
				s.servers.current().Name, s.WatchPeriod, s.servers.list[other].Name)
		}
		before = now
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// lookAhead asks how long the server keeps what comes next.
func (s *session) lookAhead(ctx context.Context) {
	source, ok := s.servers.current().Source.(HorizonSource)
	if !ok {
		return
	}
	h, err := source.Horizon(ctx, *s.reached.Load())
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.logger.Warn("cannot tell how long the server keeps its binlog", "err", err)
		return
	}
	s.Hooks.horizon(h)
	bound := s.PurgeWarning
	if bound == 0 {
		bound = h.Expiry / 4
	}
	if h.Expires() && h.Left < bound {
		s.logger.Warn("the server may soon purge binlog that the relay has not read", "server", h.Server, "file", h.File, "left", h.Left,
			"expiry", h.Expiry)
	}
}

// standing is what each server has executed now; nil when there is one. A server that does not answer has executed nothing.
func (s *session) standing(ctx context.Context) []Position {
	if len(s.servers.list) == 1 {
		return nil
	}
	now := make([]Position, len(s.servers.list))
	for i, server := range s.servers.list {
		if p, err := server.Executed(ctx); err == nil {
			now[i] = p
		}
	}
	return now
}

// overtaken returns a server that had executed something before which the followed server still has not, although it has not moved
// since; -1 when there is none. The other one must have everything that the followed server has, and must have gone on at last while that
// did not: a transaction that it alone had before is a replica's own, for which an idle primary is not left. Of a server that did not
// answer then, all that it has may be new.
func (s *servers) overtaken(before, now []Position) int {
	if now == nil || now[s.good].GTIDs == "" {
		return -1
	}
	followed := now[s.good]
	if s.moved == nil || s.moved[s.good].GTIDs != followed.GTIDs {
		s.moved = slices.Clone(now)
		if before != nil {
			copy(s.moved, before)
			s.moved[s.good] = followed
		}
	}
	if before == nil || before[s.good].GTIDs != followed.GTIDs {
		return -1
	}
	for i, other := range now {
		if i == s.good || other.Flavor != followed.Flavor {
			continue
		}
		known := Position{Flavor: followed.Flavor, GTIDs: followed.GTIDs + "," + s.moved[i].GTIDs}
		nothingNew, err1 := known.Covers(before[i].GTIDs)
		everything, err2 := other.Covers(followed.GTIDs)
		if err1 == nil && err2 == nil && !nothingNew && everything {
			return i
		}
	}
	return -1
}
