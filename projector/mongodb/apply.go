package mongodb

import (
	"context"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/millrace-go/millrace/projector"
)

// maxUpdates bounds the updates of a command, so that the versions of all can be read back in one reply.
const maxUpdates = 10_000

// Apply writes documents by update commands of about Config.BulkBytes, one after the other.
func (s *Sink) Apply(ctx context.Context, t projector.Target, generation uint64, writes []projector.Write, results []projector.Result) error {
	st, err := newStore(t, generation)
	if err != nil {
		return err
	}
	if len(results) != len(writes) {
		return fmt.Errorf("mongodb: apply: %d results for %d writes", len(results), len(writes))
	}
	uuid, err := s.uuid(ctx, st.collection)
	if err != nil || len(writes) == 0 {
		return err
	}
	a := &applier{sink: s, collection: st.collection, uuid: uuid, writes: writes, results: results, inserts: s.tryInserts(st.collection, writes)}
	for i := range writes {
		if err := a.add(ctx, i); err != nil {
			return err
		}
	}
	for len(a.batch) > 0 { // inserts that fail are collected again, as updates
		if err := a.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// An applier collects writes into one command at a time.
type applier struct {
	sink       *Sink
	collection string
	uuid       bson.Binary
	writes     []projector.Write
	results    []projector.Result

	inserts bool // commands are inserts
	command *writeCommand
	batch   []int // which writes are in command
}

func (a *applier) add(ctx context.Context, i int) error {
	w := a.writes[i]
	if err := projector.CheckID(w.ID); err != nil {
		a.results[i] = refused(w.ID, err)
		return nil
	}
	version := int64(w.Version)
	expression := literal(w.ID, version, w.Body)
	if w.Body == nil {
		expression = tombstone(version)
	}
	for {
		if a.command == nil && a.inserts {
			a.command = newInsertCommand(a.collection, &a.uuid, a.sink.cfg.Timeout)
		} else if a.command == nil {
			a.command = newUpdateCommand(a.collection, &a.uuid, a.sink.cfg.Timeout)
		}
		full := len(a.command.buf)
		var err error
		if a.inserts {
			err = a.command.insert(w.ID, version, w.Body)
		} else {
			err = a.command.add(w.ID, version, keepIfNotOlder, expression)
		}
		if err != nil {
			a.results[i] = refused(w.ID, err)
			return nil
		}
		// What a document takes in BSON is known only now: up to six times its JSON.
		if len(a.batch) > 0 && (len(a.command.buf) > a.sink.cfg.BulkBytes || a.command.n > maxUpdates) {
			a.command.takeBack(full)
			if err := a.flush(ctx); err != nil {
				return err
			}
			continue
		}
		a.batch = append(a.batch, i)
		return nil
	}
}

// flush sends what was collected, and fills the results.
func (a *applier) flush(ctx context.Context) error {
	command, batch := a.command, a.batch
	a.command, a.batch = nil, nil
	if len(batch) == 0 {
		return nil
	}
	reply, err := a.sink.write(ctx, "write to "+a.collection, command)
	if err != nil {
		return err
	}
	for _, i := range batch {
		a.results[i] = projector.Result{Outcome: projector.Applied, Stored: a.writes[i].Version}
	}
	if a.inserts {
		return a.inserted(ctx, reply, batch)
	}
	a.sink.allNew(a.collection, len(batch) >= minInserts && len(reply.Upserted) == len(batch))
	settled := make([]bool, len(batch)) // known without a look
	for _, e := range reply.WriteErrors {
		if e.Index < 0 || e.Index >= len(batch) {
			return fmt.Errorf("mongodb: write to %s: the reply names update %d of %d: %w", a.collection, e.Index, len(batch), projector.ErrUnavailable)
		}
		if e.Code == codeUUIDMismatch {
			return errDropped(a.collection)
		}
		i := batch[e.Index]
		a.results[i] = failed(a.writes[i].ID, e.Code, e.KeyPattern)
		settled[e.Index] = true
	}
	for _, u := range reply.Upserted {
		if u.Index >= 0 && u.Index < len(batch) {
			settled[u.Index] = true
		}
	}
	// The updates that met a stored document and changed it were applied. If that is all of them, no look is needed.
	var open []int
	for k, i := range batch {
		if !settled[k] {
			open = append(open, i)
		}
	}
	if reply.NModified == len(open) {
		return nil
	}
	return a.readBack(ctx, open)
}

// readBack settles updates of which some did not change the stored document, because it is of the same version or of a newer one.
// A version that is newer now may have come after this write: then it is stale all the same.
func (a *applier) readBack(ctx context.Context, open []int) error {
	ids := make([]string, len(open))
	for k, i := range open {
		ids[k] = a.writes[i].ID
	}
	versions, err := a.sink.findVersions(ctx, a.collection, a.uuid, ids)
	if err != nil {
		return err
	}
	for _, i := range open {
		w := a.writes[i]
		stored, found := versions[w.ID]
		switch {
		case !found || projector.Version(stored) < w.Version:
			// Removed in between by the TTL thread, or by hand.
			err := fmt.Errorf("mongodb: document %q: it changed while it was written: %w", w.ID, projector.ErrUnavailable)
			a.results[i] = projector.Result{Outcome: projector.Retry, Err: err}
		case projector.Version(stored) > w.Version:
			a.results[i] = projector.Result{Outcome: projector.Stale, Stored: projector.Version(stored)}
		}
	}
	return nil
}

// failed is the result of an update that the server did not do. The server's message is left out: it quotes documents.
func failed(id string, code int, keyPattern bson.Raw) projector.Result {
	switch {
	case code == codeDuplicateKey && isIDPattern(keyPattern):
		// Two clients created the document at once. The pipeline decides when the update is repeated.
		return retry(id, "lost a race to create it", code)
	case code == codeDuplicateKey:
		return refused(id, fmt.Errorf("its key in the unique index %s exists already (code %d)", fieldNames(keyPattern), code))
	case slices.Contains(passing, code):
		return retry(id, "the server could not do it now", code)
	}
	return refused(id, fmt.Errorf("the server does not take it (code %d)", code))
}

func retry(id, why string, code int) projector.Result {
	err := fmt.Errorf("mongodb: document %q: %s (code %d): %w", id, why, code, projector.ErrUnavailable)
	return projector.Result{Outcome: projector.Retry, Err: err}
}

func refused(id string, err error) projector.Result {
	return projector.Result{Outcome: projector.Refused, Err: fmt.Errorf("mongodb: document %q: refused: %w", id, err)}
}

// isIDPattern says whether a duplicate key error is about _id.
func isIDPattern(pattern bson.Raw) bool {
	names := fieldNames(pattern)
	return len(names) == 1 && names[0] == idField
}

func fieldNames(pattern bson.Raw) []string {
	elements, _ := pattern.Elements() // nil for a server that does not tell
	var names []string
	for _, e := range elements {
		names = append(names, e.Key())
	}
	return names
}
