package mongodb

import (
	"context"
	"fmt"
	"slices"

	"github.com/millrace-go/millrace/projector"
)

// minInserts is the least number of writes that are tried as inserts. A server inserts new documents about twice as fast as it updates them into being,
// and pays as much again for each that is there already.
const minInserts = 100

// tryInserts says whether writes are sent as inserts: many, without tombstones, whose time is the server's, to a collection whose last large
// command has met no stored document. That is a guess: what an insert does not do, an update decides.
func (s *Sink) tryInserts(collection string, writes []projector.Write) bool {
	if len(writes) < minInserts || slices.ContainsFunc(writes, func(w projector.Write) bool { return w.Body == nil }) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fresh[collection]
}

// allNew notes whether a command has met no stored document.
func (s *Sink) allNew(collection string, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fresh[collection] = all
}

// inserted takes the reply to inserts. Those that failed, for whatever reason, are collected as updates, and with them all that follow.
func (a *applier) inserted(ctx context.Context, reply writeReply, batch []int) error {
	if len(reply.WriteErrors) == 0 {
		return nil
	}
	a.inserts = false
	a.sink.allNew(a.collection, false)
	for _, e := range reply.WriteErrors {
		if e.Index < 0 || e.Index >= len(batch) {
			return fmt.Errorf("mongodb: write to %s: the reply names insert %d of %d: %w", a.collection, e.Index, len(batch), projector.ErrUnavailable)
		}
		if e.Code == codeUUIDMismatch {
			return errDropped(a.collection)
		}
		a.results[batch[e.Index]] = projector.Result{}
		if err := a.add(ctx, batch[e.Index]); err != nil {
			return err
		}
	}
	return nil
}
