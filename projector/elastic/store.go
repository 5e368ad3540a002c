package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/millrace-go/millrace/projector"
)

// Prepare creates the index of a generation with its write alias, or checks that the existing one is this target's: that it was
// created with the same mapping, and that it does not acknowledge writes which are not on disk. It waits until the index can be
// written to.
func (s *Sink) Prepare(ctx context.Context, t projector.Target, generation uint64) error {
	st, err := newStore(t, generation)
	if err != nil {
		return err
	}
	body, want, err := newIndexBody(st, t.Settings)
	if err != nil {
		return fmt.Errorf("elastic: target %q: %w", t.Name, err)
	}
	if err := s.checkPrivileges(ctx, t.Name); err != nil {
		return err
	}
	if err := s.checkPublicName(ctx, t.Name); err != nil {
		return err
	}
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("elastic: target %q: %w", t.Name, err)
	}
	err = s.do(ctx, "create index "+st.index, esapi.IndicesCreateRequest{Index: st.index, Body: bytes.NewReader(text)}, nil)
	switch {
	case err == nil:
		s.log.InfoContext(ctx, "elastic: index created", "index", st.index)
	case !isType(err, "resource_already_exists_exception"):
		return err
	}
	if err := s.waitActive(ctx, st.index); err != nil {
		return err
	}
	return s.checkIndex(ctx, st, want)
}

// checkIndex verifies an existing index.
func (s *Sink) checkIndex(ctx context.Context, st store, want meta) error {
	var reply map[string]struct {
		Aliases  map[string]json.RawMessage `json:"aliases"`
		Mappings struct {
			Meta struct {
				Millrace *meta `json:"millrace"`
			} `json:"_meta"`
			Properties map[string]struct {
				Type string `json:"type"`
			} `json:"properties"`
		} `json:"mappings"`
		Settings struct {
			Index struct {
				Translog struct {
					Durability string `json:"durability"`
				} `json:"translog"`
			} `json:"index"`
		} `json:"settings"`
	}
	if err := s.do(ctx, "read index "+st.index, esapi.IndicesGetRequest{Index: []string{st.index}}, &reply); err != nil {
		return err
	}
	index, ok := reply[st.index]
	if !ok {
		return fmt.Errorf("elastic: %s is not an index: that name belongs to Millrace", st.index)
	}
	bad := func(format string, args ...any) error {
		return fmt.Errorf("elastic: index %s: "+format, append([]any{st.index}, args...)...)
	}
	got := index.Mappings.Meta.Millrace
	switch {
	case got == nil || index.Mappings.Properties[goneField].Type != "date":
		return bad("it was not created by Millrace: delete it, or choose another name")
	case got.Layout != want.Layout:
		return bad("it has the storage layout %d, this release knows %d: build a new generation", got.Layout, want.Layout)
	case got.Mapping != want.Mapping:
		return bad("it was created with another mapping: a changed mapping needs a new generation (raise the projector's Version)")
	case strings.EqualFold(index.Settings.Index.Translog.Durability, "async"):
		return bad("index.translog.durability is async, so acknowledged writes can be lost: set it to request")
	}
	if _, ok := index.Aliases[st.write]; !ok {
		return bad("its alias %s is missing: put it back with POST _aliases {\"actions\":[{\"add\":{\"index\":%q,\"alias\":%q}}]}", st.write, st.index, st.write)
	}
	holders, err := s.aliasHolders(ctx, st.write)
	if err != nil {
		return err
	}
	if len(holders) != 1 {
		return bad("the alias %s points at other indexes, too: %v", st.write, holders)
	}
	return nil
}

// waitActive waits until the primary shards of an index are there.
func (s *Sink) waitActive(ctx context.Context, index string) error {
	var health struct {
		TimedOut bool   `json:"timed_out"`
		Status   string `json:"status"`
	}
	req := esapi.ClusterHealthRequest{Index: []string{index}, WaitForStatus: "yellow", Timeout: s.cfg.Timeout / 2}
	err := s.do(ctx, "wait for index "+index, req, &health)
	if err == nil && (health.TimedOut || health.Status == "red") {
		err = fmt.Errorf("elastic: index %s: its primary shards are not active: %w", index, projector.ErrUnavailable)
	}
	return err
}

// checkPublicName refuses a public name that cannot become an alias, or is somebody else's.
func (s *Sink) checkPublicName(ctx context.Context, name string) error {
	var reply map[string]json.RawMessage
	err := s.do(ctx, "look up "+name, esapi.IndicesGetRequest{Index: []string{name}, FilterPath: []string{"*.aliases"}}, &reply)
	if isStatus(err, http.StatusNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for index := range reply {
		if index == name {
			return fmt.Errorf("elastic: %s is an index, and readers need an alias of that name: delete or reindex it, or choose another name", name)
		}
		if _, ok := generationOf(name, index); !ok {
			return fmt.Errorf("elastic: the alias %s points at %s, which is not Millrace's: remove the alias there, or choose another name", name, index)
		}
	}
	return nil
}

// aliasHolders returns the indexes behind an alias, sorted. None is not an error.
func (s *Sink) aliasHolders(ctx context.Context, alias string) ([]string, error) {
	var reply map[string]json.RawMessage
	err := s.do(ctx, "read alias "+alias, esapi.IndicesGetAliasRequest{Name: []string{alias}}, &reply)
	if isStatus(err, http.StatusNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var indexes []string
	for index := range reply {
		indexes = append(indexes, index)
	}
	slices.Sort(indexes)
	return indexes, nil
}

func (s *Sink) indexExists(ctx context.Context, name string) (bool, error) {
	err := s.do(ctx, "look up "+name, esapi.IndicesExistsRequest{Index: []string{name}}, nil)
	if isStatus(err, http.StatusNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Publish refreshes the index of a generation and moves the readers' alias to it, in one atomic step.
func (s *Sink) Publish(ctx context.Context, t projector.Target, generation uint64) error {
	st, err := newStore(t, generation)
	if err != nil {
		return err
	}
	if err := s.checkPublicName(ctx, t.Name); err != nil {
		return err
	}
	if err := s.refresh(ctx, st); err != nil {
		return err
	}
	type action map[string]map[string]any
	body, err := json.Marshal(map[string][]action{"actions": {
		// A pattern, so that a generation that another process published meanwhile is replaced, too.
		{"remove": {"index": st.public + "__g*", "alias": st.public, "must_exist": false}},
		{"add": {"index": st.index, "alias": st.public, "filter": map[string]any{
			"bool": map[string]any{"must_not": map[string]any{"exists": map[string]any{"field": goneField}}},
		}}},
	}})
	if err != nil {
		return fmt.Errorf("elastic: publish %s: %w", st.index, err)
	}
	var reply struct{ Acknowledged bool }
	err = s.do(ctx, "publish "+st.index, esapi.IndicesUpdateAliasesRequest{Body: bytes.NewReader(body)}, &reply)
	if err == nil && !reply.Acknowledged {
		err = fmt.Errorf("elastic: publish %s: not acknowledged by all nodes in time: %w", st.index, projector.ErrUnavailable)
	}
	if err == nil {
		s.log.InfoContext(ctx, "elastic: generation published", "alias", st.public, "index", st.index)
	}
	return err
}

// refresh makes what was written to an index visible to searches.
func (s *Sink) refresh(ctx context.Context, st store) error {
	var reply struct {
		Shards struct{ Failed int } `json:"_shards"`
	}
	err := s.do(ctx, "refresh "+st.index, esapi.IndicesRefreshRequest{Index: []string{st.index}}, &reply)
	if isStatus(err, http.StatusNotFound) {
		return fmt.Errorf("elastic: refresh: the index %s was not prepared, or was deleted", st.index)
	}
	if err == nil && reply.Shards.Failed > 0 {
		err = fmt.Errorf("elastic: refresh %s: %d shards failed: %w", st.index, reply.Shards.Failed, projector.ErrUnavailable)
	}
	return err
}

// Published returns the generation behind the readers' alias.
func (s *Sink) Published(ctx context.Context, t projector.Target) (uint64, bool, error) {
	if _, err := newStore(t, 0); err != nil {
		return 0, false, err
	}
	indexes, err := s.aliasHolders(ctx, t.Name)
	if err != nil || len(indexes) == 0 {
		return 0, false, err
	}
	generation, ok := generationOf(t.Name, indexes[0])
	if len(indexes) > 1 || !ok {
		return 0, false, fmt.Errorf("elastic: the alias %s points at %v: it must point at one generation", t.Name, indexes)
	}
	return generation, true, nil
}
