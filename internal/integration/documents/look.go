package documents

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"

	"github.com/millrace-go/millrace/internal/integration/elasticapi"
	"github.com/millrace-go/millrace/projector"
)

// lookEvery is about how many transactions lie between two looks at the documents.
const lookEvery = 40

// look reads all documents of a kind from a sink, with their versions, at random moments of the load.
func (r *run) look(ctx context.Context) error {
	rnd := rand.New(rand.NewPCG(r.cfg.Seed, 1<<33))
	models := readModels()
	for {
		s, m := r.stores[rnd.IntN(len(r.stores))], models[rnd.IntN(len(models))]
		if m.recompute != nil {
			if err := r.lookAt(ctx, s, m); err != nil && ctx.Err() == nil {
				return err
			}
		}
		begun := r.load.begun.Load()
		at := begun + 1 + int64(rnd.IntN(2*lookEvery))
		r.load.allowed.Store(begun + 2*lookEvery)
		r.moved.Beat()
		if r.load.moved.Await(ctx, func() bool { return r.load.begun.Load() >= at }) != nil {
			return nil //nolint:nilerr // the load is over
		}
	}
}

func (r *run) lookAt(ctx context.Context, s store, m *readModel) error {
	p, found, err := s.sink().Progress(ctx, projectorName(m, s))
	if errors.Is(err, projector.ErrUnavailable) {
		return nil
	}
	if err != nil || !found {
		return err
	}
	err = s.stored(ctx, m.name, p.Generation, func(id string, version projector.Version, body []byte) error {
		sum, err := sumOf(body)
		if err != nil {
			return err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.evidence.seen[sighting{s.kind(), docKey{m.name, id}, version, sum}] = true
		return nil
	})
	if refused, ok := errors.AsType[*elasticapi.Error](err); ok && (refused.Status == http.StatusNotFound || refused.Status == http.StatusServiceUnavailable) {
		return nil // it is not made yet
	}
	return err
}

// explain notes the versions of documents that differ at a cut.
func (r *run) explain(ctx context.Context, c *cut, s store, m *readModel, ids []string) error {
	for _, id := range ids {
		p, _, err := s.sink().Progress(ctx, projectorName(m, s))
		if err != nil {
			return err
		}
		d, found, err := s.sink().Get(ctx, s.target(m.name), p.Generation, id)
		if err != nil {
			return err
		}
		sum, err := sumOf(d.Body)
		if err != nil {
			return err
		}
		if !found || sum == c.want[docKey{m.name, id}] {
			r.say("%s %s of %s has changed while nothing did, to version %d", m.name, id, s.kind(), d.Version.CSN())
		}
		r.evidence.differ[sighting{s.kind(), docKey{m.name, id}, d.Version, sum}] = true
	}
	return nil
}
