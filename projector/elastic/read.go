package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/millrace-go/millrace/projector"
)

type storedDoc struct {
	ID      string            `json:"_id"`
	Found   bool              `json:"found"`
	Version projector.Version `json:"_version"`
	Source  json.RawMessage   `json:"_source"`
	Error   *struct {
		Type string `json:"type"`
	} `json:"error"`
}

// Get reads a document in real time, by its id. The body is the stored text.
func (s *Sink) Get(ctx context.Context, t projector.Target, generation uint64, id string) (projector.Document, bool, error) {
	st, err := newStore(t, generation)
	if err != nil {
		return projector.Document{}, false, err
	}
	if err := projector.CheckID(id); err != nil {
		return projector.Document{}, false, fmt.Errorf("elastic: get: %w", err)
	}
	docs, err := s.mget(ctx, st.write, st.index, []string{id}, true)
	if err != nil || !docs[0].Found {
		return projector.Document{}, false, err
	}
	d := projector.Document{ID: id, Version: docs[0].Version}
	if !isTombstone(docs[0].Source) {
		d.Body = docs[0].Source
	}
	return d, true, nil
}

// mget reads documents by id. Ids travel in the body: in a path some of them would not survive.
func (s *Sink) mget(ctx context.Context, alias, index string, ids []string, source bool) ([]storedDoc, error) {
	body := []byte(`{"ids":[`)
	for i, id := range ids {
		if i > 0 {
			body = append(body, ',')
		}
		body = appendQuoted(body, id)
	}
	body = append(body, "]}"...)
	req := esapi.MgetRequest{Index: alias, Body: bytes.NewReader(body)}
	if !source {
		req.Source = []string{"false"}
	}
	var reply struct{ Docs []storedDoc }
	if err := s.do(ctx, "read from "+alias, req, &reply); err != nil {
		return nil, err
	}
	if len(reply.Docs) != len(ids) {
		return nil, fmt.Errorf("elastic: read from %s: %d documents for %d ids: %w", alias, len(reply.Docs), len(ids), projector.ErrUnavailable)
	}
	for i, d := range reply.Docs {
		switch {
		case d.Error != nil && d.Error.Type == "index_not_found_exception":
			return nil, fmt.Errorf("elastic: read from %s: the index %s was not prepared, or was deleted", alias, index)
		case d.Error != nil:
			return nil, fmt.Errorf("elastic: read from %s: %s: %w", alias, d.Error.Type, projector.ErrUnavailable)
		case d.ID != ids[i]:
			return nil, fmt.Errorf("elastic: read from %s: the reply has another order: %w", alias, projector.ErrUnavailable)
		}
	}
	return reply.Docs, nil
}
