package cdc

import (
	"fmt"
	"slices"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/gtid"
)

// Advance returns the position after the transaction whose last slice is s: where a reader of a stream goes on later.
func Advance(p Position, s *Slice) (Position, error) {
	if !s.Last {
		return p, fmt.Errorf("position after %s: its last slice has not come", s.ID)
	}
	if s.Snapshot != nil {
		p.Snapshot = *s.Snapshot
	}
	if s.IsChunk() {
		return p, nil
	}
	executed, err := gtid.Parse(p.Flavor, p.GTIDs)
	if err != nil {
		return p, fmt.Errorf("position: %w", err)
	}
	if err := executed.Add(s.ID); err != nil {
		return p, fmt.Errorf("position after %s: %w", s.ID, err)
	}
	prepared, err := advancePrepared(p.Prepared, s)
	if err != nil {
		return p, err
	}
	return Position{Flavor: p.Flavor, GTIDs: executed.String(), Server: s.Server, File: s.File, Offset: s.Offset, Prepared: prepared, Snapshot: p.Snapshot}, nil
}

// advancePrepared returns the XA transactions that are open behind the transaction whose last slice is s. It leaves open as it is:
// positions share it.
func advancePrepared(open []eventstore.Prepare, s *Slice) ([]eventstore.Prepare, error) {
	if s.Completed != "" {
		at := slices.IndexFunc(open, func(p eventstore.Prepare) bool { return p.XID == s.Completed })
		if at < 0 {
			return open, fmt.Errorf("transaction %s completes XA transaction %s, of whose prepare the log does not know", s.ID, s.Completed)
		}
		open = slices.Concat(open[:at], open[at+1:])
	}
	if s.Prepared != nil { // an id that is used again: the server has forgotten the one before, or it would have refused
		open = slices.DeleteFunc(slices.Clone(open), func(p eventstore.Prepare) bool { return p.XID == s.Prepared.XID })
		open = append(open, *s.Prepared)
	}
	return open, nil
}
