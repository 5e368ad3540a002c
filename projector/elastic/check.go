package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"
)

const (
	knownMajor      = "8."
	defaultMaxBytes = 100 << 20 // Elasticsearch's own default for http.max_content_length
)

// clusterPrivileges and indexPrivileges are what the account needs.
var (
	clusterPrivileges = []string{"monitor"}
	indexPrivileges   = []string{"create_index", "manage", "index", "delete", "read", "view_index_metadata"}
)

// Check verifies that Elasticsearch can be reached, that all its nodes are of a known version, and that the account has the
// privileges for the cluster and for progress records; [Sink.Prepare] asks for those of a read model.
func (s *Sink) Check(ctx context.Context) error {
	if _, err := s.nodes(ctx); err != nil {
		return err
	}
	var health struct {
		Status     string `json:"status"`
		Unassigned int    `json:"unassigned_shards"`
	}
	if err := s.do(ctx, "cluster health", esapi.ClusterHealthRequest{}, &health); err != nil {
		return err
	}
	if health.Status == "red" {
		// It may be somebody else's index: Prepare waits for those of the read models.
		s.log.WarnContext(ctx, "elastic: the cluster's status is red", "unassigned_shards", health.Unassigned)
	}
	return s.checkPrivileges(ctx, s.cfg.ProgressIndex)
}

// nodes checks the versions of all nodes, and remembers and returns the smallest http.max_content_length.
func (s *Sink) nodes(ctx context.Context) (int, error) {
	var reply struct {
		Nodes map[string]struct {
			Version string `json:"version"`
			HTTP    struct {
				MaxBytes int64 `json:"max_content_length_in_bytes"`
			} `json:"http"`
		} `json:"nodes"`
	}
	req := esapi.NodesInfoRequest{
		Metric: []string{"http"}, FilterPath: []string{"nodes.*.version", "nodes.*.http.max_content_length_in_bytes"},
	}
	header, err := s.doHeader(ctx, "read node information", req, &reply)
	if err != nil {
		return 0, err
	}
	if header.Get("X-Elastic-Product") != "Elasticsearch" || len(reply.Nodes) == 0 {
		return 0, errors.New("elastic: check: what answers at this address is not Elasticsearch")
	}
	limit := int64(1 << 40)
	for _, n := range reply.Nodes {
		if !strings.HasPrefix(n.Version, knownMajor) {
			return 0, fmt.Errorf("elastic: check: a node has version %s, this sink knows 8.x", n.Version)
		}
		if n.HTTP.MaxBytes > 0 {
			limit = min(limit, n.HTTP.MaxBytes)
		}
	}
	if limit == 1<<40 {
		limit = defaultMaxBytes // the nodes that have no HTTP do not say
	}
	s.maxBytes.Store(limit)
	return int(limit), nil
}

// limit returns the cluster's http.max_content_length.
func (s *Sink) limit(ctx context.Context) (int, error) {
	if n := s.maxBytes.Load(); n > 0 {
		return int(n), nil
	}
	return s.nodes(ctx)
}

// checkPrivileges asks which privileges the account lacks on a name and its generations. Without security everything is allowed.
func (s *Sink) checkPrivileges(ctx context.Context, name string) error {
	names := []string{name, name + "__g*"}
	if name == s.cfg.ProgressIndex {
		names[1] = s.progressStore().index
	}
	type indexes struct {
		Names      []string `json:"names"`
		Privileges []string `json:"privileges"`
	}
	body, err := json.Marshal(map[string]any{
		"cluster": clusterPrivileges, "index": []indexes{{Names: names, Privileges: indexPrivileges}},
	})
	if err != nil {
		return fmt.Errorf("elastic: check privileges: %w", err)
	}
	var reply struct {
		Username string                     `json:"username"`
		All      bool                       `json:"has_all_requested"`
		Cluster  map[string]bool            `json:"cluster"`
		Index    map[string]map[string]bool `json:"index"`
	}
	err = s.do(ctx, "check privileges", esapi.SecurityHasPrivilegesRequest{Body: bytes.NewReader(body)}, &reply)
	if e, ok := errors.AsType[*responseError](err); ok && e.typ == "" && strings.HasPrefix(e.reason, "no handler found") {
		return nil // security is switched off
	}
	if err != nil || reply.All {
		return err
	}
	var missing []string
	for p, has := range reply.Cluster {
		if !has {
			missing = append(missing, fmt.Sprintf("cluster privilege %s", p))
		}
	}
	for index, privileges := range reply.Index {
		for p, has := range privileges {
			if !has {
				missing = append(missing, fmt.Sprintf("index privilege %s on %s", p, index))
			}
		}
	}
	slices.Sort(missing)
	return fmt.Errorf("elastic: check privileges: the account %s lacks: %s: give them to one of its roles (PUT _security/role/…)",
		reply.Username, strings.Join(missing, ", "))
}
