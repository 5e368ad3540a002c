package sinks

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/elasticapi"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/elastic"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// mapping takes the suite's documents, and refuses those whose n is not a number.
const mapping = `{"dynamic": "strict", "properties": {"n": {"type": "long"}, "text": {"type": "text"}}}`

const oneShard = `{"number_of_shards": 1, "number_of_replicas": 0}`

// elasticEnv is the real server, seen by an HTTP client that is not the sink's.
type elasticEnv struct {
	elasticapi.Client
	sink     *elastic.Sink
	progress string
}

// newElastic connects a sink to the server, with an index for progress records of its own, all of which end with the test.
func newElastic(t testing.TB, change ...func(*elastic.Config)) *elasticEnv {
	t.Helper()
	return newElasticAt(t, find(t, servers.Elasticsearch), change...)
}

func newElasticAt(t testing.TB, url string, change ...func(*elastic.Config)) *elasticEnv {
	t.Helper()
	e := &elasticEnv{Client: elasticapi.Client{URL: url}, progress: uniqueName() + "-progress"}
	cfg := elastic.Config{Addresses: []string{e.URL}, ProgressIndex: e.progress}
	for _, c := range change {
		c(&cfg)
	}
	sink, err := elastic.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	e.sink = sink
	t.Cleanup(func() {
		sink.Close()
		e.delete(t, e.progress+"-1")
	})
	return e
}

// target names a read model whose indexes are deleted with the test.
func (e *elasticEnv) target(t testing.TB, options ...elastic.Option) projector.Target {
	name := uniqueName()
	t.Cleanup(func() {
		e.delete(t, name+"__g0,"+name+"__g1,"+name+"__g2")
	})
	return elastic.Index(name, append([]elastic.Option{elastic.Mapping(mapping), elastic.Settings(oneShard)}, options...)...)
}

func (e *elasticEnv) delete(t testing.TB, index string) {
	if err := e.Call(context.Background(), "DELETE", "/"+index+"?ignore_unavailable=true", "", nil); err != nil {
		t.Errorf("clean up: %v", err)
	}
}

func (e *elasticEnv) harness() projectortest.Harness {
	return projectortest.Harness{
		Sink:    e.sink,
		Target:  func(t *testing.T) projector.Target { return e.target(t) },
		Refused: []byte(`{"n": "not a number"}`),
		Search: func(ctx context.Context, t projector.Target) (map[string][]byte, error) {
			if err := e.Call(ctx, "POST", "/"+t.Name+"/_refresh", "", nil); err != nil {
				return nil, err
			}
			return e.search(ctx, t.Name)
		},
		Drop: func(ctx context.Context, t projector.Target, generation uint64) error {
			return e.Call(ctx, "DELETE", fmt.Sprintf("/%s__g%d", t.Name, generation), "", nil)
		},
		Reopen: func(ctx context.Context, t projector.Target, generation uint64) error {
			index := fmt.Sprintf("/%s__g%d", t.Name, generation)
			for _, step := range []string{"/_flush", "/_close", "/_open?wait_for_active_shards=1"} {
				if err := e.Call(ctx, "POST", index+step, "", nil); err != nil {
					return err
				}
			}
			return e.Call(ctx, "GET", "/_cluster/health"+index+"?wait_for_status=yellow", "", nil)
		},
	}
}

// search returns what a search for everything under a name finds, by id.
func (e *elasticEnv) search(ctx context.Context, name string) (map[string][]byte, error) {
	var reply struct {
		Hits struct {
			Hits []struct {
				ID     string          `json:"_id"`
				Source json.RawMessage `json:"_source"`
			}
		}
	}
	if err := e.Call(ctx, "POST", "/"+name+"/_search", `{"size": 10000, "query": {"match_all": {}}}`, &reply); err != nil {
		return nil, err
	}
	found := map[string][]byte{}
	for _, h := range reply.Hits.Hits {
		found[h.ID] = h.Source
	}
	return found, nil
}
