package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/millrace-go/millrace/projector"
)

// progressStore has the names of the index for progress records.
func (s *Sink) progressStore() store {
	return store{index: s.cfg.ProgressIndex + "-1", write: s.cfg.ProgressIndex}
}

// Progress reads the progress record of a projector, in real time.
func (s *Sink) Progress(ctx context.Context, name string) (projector.Progress, bool, error) {
	var p projector.Progress
	if err := projector.CheckID(name); err != nil {
		return p, false, fmt.Errorf("elastic: progress: name of the projector: %w", err)
	}
	st := s.progressStore()
	exists, err := s.indexExists(ctx, st.write)
	if err != nil || !exists {
		return p, false, err
	}
	docs, err := s.mget(ctx, st.write, st.index, []string{name}, true)
	if err != nil || !docs[0].Found {
		return p, false, err
	}
	if err := json.Unmarshal(docs[0].Source, &p); err != nil {
		return p, false, fmt.Errorf("elastic: progress of %q: %w", name, err)
	}
	return p, true, nil
}

// SaveProgress writes a progress record under a version made of its generation and CSN. One that is not older than the stored one
// replaces it.
func (s *Sink) SaveProgress(ctx context.Context, name string, p projector.Progress) error {
	if err := projector.CheckID(name); err != nil {
		return fmt.Errorf("elastic: save progress: name of the projector: %w", err)
	}
	version, err := projector.NewVersion(p.Generation, p.CSN)
	if err != nil {
		return fmt.Errorf("elastic: save progress of %q: %w", name, err)
	}
	record, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("elastic: save progress of %q: %w", name, err)
	}
	st := s.progressStore()
	body := appendIndex(nil, name, version, "external_gte", record)
	for created := false; ; {
		items, err := s.bulk(ctx, st.write, body, func(int) string { return name }, 1)
		if err != nil {
			return err
		}
		it := items[0]
		if it.Error != nil && it.Error.Type == "index_not_found_exception" && !created {
			if err := s.createProgressIndex(ctx, st); err != nil {
				return err
			}
			created = true
			continue
		}
		if it.Status == http.StatusConflict {
			return nil // a newer record is there
		}
		r, err := outcome(st, projector.Write{ID: name, Version: version}, it)
		return errors.Join(err, r.Err)
	}
}

func (s *Sink) createProgressIndex(ctx context.Context, st store) error {
	body := fmt.Sprintf(`{"settings":{"number_of_shards":1},"mappings":{"dynamic":false},"aliases":{%q:{}}}`, st.write)
	err := s.do(ctx, "create index "+st.index, esapi.IndicesCreateRequest{Index: st.index, Body: strings.NewReader(body)}, nil)
	if isType(err, "resource_already_exists_exception") {
		// Another process has just created it, with the alias, or an older one lacks the alias.
		alias := fmt.Sprintf(`{"actions":[{"add":{"index":%q,"alias":%q}}]}`, st.index, st.write)
		err = s.do(ctx, "alias "+st.write, esapi.IndicesUpdateAliasesRequest{Body: bytes.NewReader([]byte(alias))}, nil)
	}
	return err
}
