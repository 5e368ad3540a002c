package cdc

import (
	"context"
	"errors"
)

// firstPosition returns where a new log begins: before the server's first transaction, or, where the server no longer has that, now or
// a little earlier, and what the tables have by then is read by snapshots.
func firstPosition(ctx context.Context, cfg *Config) (Position, error) {
	source, ok := snapshotSource(cfg.Source)
	from, err := cfg.Source.Oldest(ctx)
	missing := ok && cfg.Snapshot.Mode != SnapshotNever && errors.Is(err, ErrPositionLost)
	if recent, ok := cfg.Source.(RecentSource); missing && ok {
		from, err = recent.Recent(ctx)
	} else if missing {
		from, err = cfg.Source.Executed(ctx)
	}
	if err == nil && ok {
		from.Snapshot = beginning(source.Filter(), missing)
	}
	return from, err
}

// snapshotSource returns a server of source, all of which have the same filter, whose tables can be read beside its stream.
func snapshotSource(source Source) (SnapshotSource, bool) {
	if source == nil {
		return nil, false
	}
	for _, server := range newServers(source).list {
		if s, ok := server.Source.(SnapshotSource); ok {
			return s, true
		}
	}
	return nil, false
}

// prepareSnapshots finds out what the log lacks under the present filter. From the next watermark on the log says so: under another
// filter than the last it lacks more, or less.
func (s *session) prepareSnapshots() (err error) {
	source, ok := s.servers.current().Source.(SnapshotSource)
	if !ok {
		return nil
	}
	if s.snapshots, err = newSnapshots(&s.Config, source, s.last.Position.Snapshot); err != nil {
		return err
	}
	s.last.Position.Snapshot = s.snapshots.text()
	return nil
}

// besideSnapshots puts chunks between the transactions that come out of the tail.
func (s *session) besideSnapshots(stream Stream, t *tail, q *queue) Stream {
	if s.snapshots == nil {
		return stream
	}
	from := s.last.Position
	st := newSnapshotStream(stream, t.held, s.snapshots, s.last, q.position)
	t.held = nil
	switch {
	case t.place.Server != "": // the tail's transactions may have had another order in the log
		st.streamed = t.place
	case s.last.CSN > 0: // before that nobody has seen a transaction end there
		st.streamed = Coordinates{from.Server, from.File, from.Offset}
	}
	if len(st.held) == 0 {
		st.end, st.place = st.streamed, st.streamed
	}
	s.snapshots.schedule.lag = &st.lag
	return st
}

// unread is how the readers of a session's snapshots ended.
type unread struct {
	failed chan error
	ended  chan struct{}
}

// readSnapshots reads what the log lacks until ctx ends.
func (s *session) readSnapshots(ctx context.Context) unread {
	u := unread{failed: make(chan error, 1), ended: make(chan struct{})}
	go func() {
		defer close(u.ended)
		if s.snapshots == nil || s.Snapshot.Mode == SnapshotNever {
			return
		}
		if err := s.snapshots.run(ctx); err != nil {
			u.failed <- err
		}
	}()
	return u
}
