package elastic

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/millrace-go/millrace/projector"
)

// sweepPage is how many tombstones are found and removed at a time.
const sweepPage = 1000

// Sweep removes old tombstones: it searches them, and deletes each at the version it was found with. A document that was written
// again since has a newer version, and stays.
func (s *Sink) Sweep(ctx context.Context, t projector.Target, generation uint64, age time.Duration) (int, error) {
	st, err := newStore(t, generation)
	if err != nil {
		return 0, err
	}
	before := time.Now().Add(-age).UnixMilli()
	query := fmt.Sprintf(`{"query":{"range":{%q:{"lte":%d,"format":"epoch_millis"}}},"sort":[{%q:"asc"}],"version":true,"_source":false}`, goneField, before, goneField)
	for removed := 0; ; {
		// Searches do not see the previous round's deletes before a refresh.
		if err := s.refresh(ctx, st); err != nil {
			return removed, err
		}
		var found struct {
			TimedOut bool                       `json:"timed_out"`
			Shards   struct{ Failed int }       `json:"_shards"`
			Hits     struct{ Hits []storedDoc } `json:"hits"`
		}
		size := sweepPage
		req := esapi.SearchRequest{Index: []string{st.index}, Body: strings.NewReader(query), Size: &size}
		if err := s.do(ctx, "search tombstones in "+st.index, req, &found); err != nil {
			return removed, err
		}
		if found.TimedOut || found.Shards.Failed > 0 {
			return removed, fmt.Errorf("elastic: search tombstones in %s: incomplete: %w", st.index, projector.ErrUnavailable)
		}
		n, err := s.remove(ctx, st, found.Hits.Hits)
		removed += n
		if err != nil || n == 0 || len(found.Hits.Hits) < sweepPage {
			return removed, err
		}
	}
}

// remove deletes documents at the versions they were found with, and returns how many it deleted.
func (s *Sink) remove(ctx context.Context, st store, docs []storedDoc) (int, error) {
	if len(docs) == 0 {
		return 0, nil
	}
	var body []byte
	for _, d := range docs {
		body = appendDelete(body, d.ID, d.Version)
	}
	items, err := s.bulk(ctx, st.write, body, func(i int) string { return docs[i].ID }, len(docs))
	if err != nil {
		return 0, err
	}
	n := 0
	for i, it := range items {
		switch {
		case it.Status == http.StatusOK:
			n++
		case it.Status == http.StatusConflict: // written again since
		case it.Status == http.StatusNotFound && it.Error == nil: // another sweeper was faster
		default:
			r, err := outcome(st, projector.Write{ID: docs[i].ID}, it)
			if err == nil {
				err = r.Err
			}
			return n, err
		}
	}
	return n, nil
}
