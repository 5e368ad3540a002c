package elastic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/millrace-go/millrace/projector"
)

// Apply writes documents by bulk requests of about Config.BulkBytes, one after the other.
func (s *Sink) Apply(ctx context.Context, t projector.Target, generation uint64, writes []projector.Write, results []projector.Result) error {
	st, err := newStore(t, generation)
	if err != nil {
		return err
	}
	if len(results) != len(writes) {
		return fmt.Errorf("elastic: apply: %d results for %d writes", len(results), len(writes))
	}
	if len(writes) == 0 {
		return nil
	}
	maxBytes, err := s.limit(ctx)
	if err != nil {
		return err
	}
	a := &applier{sink: s, store: st, writes: writes, results: results, max: min(s.cfg.BulkBytes, maxBytes)}
	gone := tombstone(time.Now())
	for i, w := range writes {
		body := gone
		err := projector.CheckID(w.ID)
		if err == nil && w.Body != nil {
			body, err = encodeBody(w.Body)
		}
		if err == nil && lineBytes+6*len(w.ID)+len(body) > maxBytes {
			err = fmt.Errorf("the document has %d bytes, the cluster's http.max_content_length is %d", len(body), maxBytes)
		}
		if err != nil {
			results[i] = refused(w.ID, err)
			continue
		}
		if err := a.add(ctx, i, body); err != nil {
			return err
		}
	}
	return a.flush(ctx)
}

// An applier collects operations into one bulk request at a time.
type applier struct {
	sink    *Sink
	store   store
	writes  []projector.Write
	results []projector.Result
	max     int // bytes of a request that has more than one operation

	body  []byte
	batch []int // which writes are in body
}

func (a *applier) add(ctx context.Context, i int, body []byte) error {
	if len(a.batch) > 0 && len(a.body)+lineBytes+6*len(a.writes[i].ID)+len(body) > a.max {
		if err := a.flush(ctx); err != nil {
			return err
		}
	}
	a.body = appendIndex(a.body, a.writes[i].ID, a.writes[i].Version, "external", body)
	a.batch = append(a.batch, i)
	return nil
}

// flush sends what was collected. The body is not used again: a transport may still read it after an early reply.
func (a *applier) flush(ctx context.Context) error {
	if len(a.batch) == 0 {
		return nil
	}
	body, batch := a.body, a.batch
	a.body, a.batch = make([]byte, 0, len(body)), nil
	return a.send(ctx, body, batch)
}

func (a *applier) send(ctx context.Context, body []byte, batch []int) error {
	id := func(k int) string { return a.writes[batch[k]].ID }
	items, err := a.sink.bulk(ctx, a.store.write, body, id, len(batch))
	if isStatus(err, http.StatusRequestEntityTooLarge) {
		return a.split(ctx, batch, err)
	}
	if err != nil {
		return err
	}
	var ask []int
	for k, i := range batch {
		r, err := outcome(a.store, a.writes[i], items[k])
		switch {
		case errors.Is(err, errAsk):
			ask = append(ask, i)
		case err != nil:
			return err
		}
		a.results[i] = r
	}
	return a.ask(ctx, ask)
}

// split halves a request that something on the way, such as a proxy, finds too large.
func (a *applier) split(ctx context.Context, batch []int, cause error) error {
	if len(batch) == 1 {
		a.results[batch[0]] = refused(a.writes[batch[0]].ID, cause)
		return nil
	}
	for _, half := range [][]int{batch[:len(batch)/2], batch[len(batch)/2:]} {
		var body []byte
		gone := tombstone(time.Now())
		for _, i := range half {
			w := a.writes[i]
			line := gone
			if w.Body != nil {
				var err error
				if line, err = encodeBody(w.Body); err != nil {
					return err // cannot be: it was in the request
				}
			}
			body = appendIndex(body, w.ID, w.Version, "external", line)
		}
		if err := a.send(ctx, body, half); err != nil {
			return err
		}
	}
	return nil
}

// ask settles conflicts whose reason did not tell the stored version.
func (a *applier) ask(ctx context.Context, conflicts []int) error {
	if len(conflicts) == 0 {
		return nil
	}
	ids := make([]string, len(conflicts))
	for k, i := range conflicts {
		ids[k] = a.writes[i].ID
	}
	docs, err := a.sink.mget(ctx, a.store.write, a.store.index, ids, false)
	if err != nil {
		return err
	}
	for k, i := range conflicts {
		w, d := a.writes[i], docs[k]
		switch {
		case !d.Found: // swept since, but its version is remembered: newer than this write, or the same
			a.results[i] = projector.Result{Outcome: projector.Stale}
		case d.Version >= w.Version:
			a.results[i] = conflict(w.Version, d.Version)
		default: // another client forced an older version in
			err := fmt.Errorf("elastic: document %q: conflict with the older version %d: %w", w.ID, d.Version, projector.ErrUnavailable)
			a.results[i] = projector.Result{Outcome: projector.Retry, Err: err}
		}
	}
	return nil
}

// bulk sends one bulk request through an alias, and returns its n items.
func (s *Sink) bulk(ctx context.Context, alias string, body []byte, id func(int) string, n int) ([]bulkItem, error) {
	requireAlias := true
	var reply bulkReply
	req := esapi.BulkRequest{Index: alias, Body: bytes.NewReader(body), RequireAlias: &requireAlias, FilterPath: bulkReplyFields}
	if err := s.do(ctx, "bulk to "+alias, req, &reply); err != nil {
		return nil, err
	}
	return reply.items(id, n)
}
