package documents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/millrace-go/millrace/internal/integration/elasticapi"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/elastic"
	"github.com/millrace-go/millrace/projector/mongodb"
)

// place says where the documents are, to whichever process.
type place struct {
	Elastic, Mongo string // addresses
	// Name is the database in MongoDB, and what the names in Elasticsearch begin with.
	Name string
}

// store is a sink, and a reader of what is in it that is not the sink's.
type store interface {
	kind() servers.Kind
	sink() projector.Sink
	target(model string) projector.Target
	// public hands out the documents that readers see, by a search, when everything that was written can be found.
	public(ctx context.Context, model string, each func(id string, body []byte) error) error
	// stored hands out what some generation holds, with versions; a tombstone has no body.
	stored(ctx context.Context, model string, generation uint64, each func(id string, version projector.Version, body []byte) error) error
	// remove removes everything, and close ends the connections.
	remove(ctx context.Context) error
	close() error
}

// open connects to both.
func (p place) open() (stores []store, err error) {
	e := &elasticStore{place: p, api: elasticapi.Client{URL: p.Elastic}}
	if e.own, err = elastic.New(elastic.Config{Addresses: []string{p.Elastic}, ProgressIndex: p.Name + "-progress"}); err != nil {
		return nil, err
	}
	m := &mongoStore{place: p}
	if m.own, err = mongodb.New(mongodb.Config{URI: p.Mongo, Database: p.Name}); err != nil {
		return nil, errors.Join(err, e.close())
	}
	if m.client, err = mongo.Connect(options.Client().ApplyURI(p.Mongo)); err != nil {
		return nil, errors.Join(err, e.close(), m.own.Close())
	}
	return []store{e, m}, nil
}

// elasticStore is Elasticsearch by plain HTTP.
type elasticStore struct {
	place
	own *elastic.Sink
	api elasticapi.Client
}

func (s *elasticStore) kind() servers.Kind   { return servers.Elasticsearch }
func (s *elasticStore) sink() projector.Sink { return s.own }
func (s *elasticStore) close() error         { return s.own.Close() }

func (s *elasticStore) target(model string) projector.Target {
	return elastic.Index(s.Name+"-"+model, elastic.Mapping(`{"dynamic": false, "properties": {}}`), elastic.Settings(`{"number_of_shards": 1, "number_of_replicas": 0}`))
}

func (s *elasticStore) public(ctx context.Context, model string, each func(string, []byte) error) error {
	name := s.Name + "-" + model
	if err := s.api.Call(ctx, "POST", "/"+name+"/_refresh", "", nil); err != nil {
		return err
	}
	return s.scroll(ctx, name, func(id string, _ projector.Version, body []byte) error { return each(id, body) })
}

func (s *elasticStore) stored(ctx context.Context, model string, generation uint64, each func(string, projector.Version, []byte) error) error {
	return s.scroll(ctx, fmt.Sprintf("%s-%s__g%d", s.Name, model, generation), func(id string, version projector.Version, body []byte) error {
		var tombstone struct {
			Gone any `json:"_gone"`
		}
		if err := json.Unmarshal(body, &tombstone); err != nil {
			return err
		}
		if tombstone.Gone != nil {
			body = nil
		}
		return each(id, version, body)
	})
}

// scroll hands out all documents of an index or alias.
func (s *elasticStore) scroll(ctx context.Context, name string, each func(string, projector.Version, []byte) error) error {
	type page struct {
		Scroll string `json:"_scroll_id"`
		Hits   struct {
			Hits []struct {
				ID      string            `json:"_id"`
				Version projector.Version `json:"_version"`
				Source  json.RawMessage   `json:"_source"`
			}
		}
	}
	var p page
	err := s.api.Call(ctx, "POST", "/"+name+"/_search?scroll=1m", `{"size": 2000, "sort": ["_doc"], "version": true}`, &p)
	for err == nil && len(p.Hits.Hits) > 0 {
		for _, h := range p.Hits.Hits {
			if err := each(h.ID, h.Version, h.Source); err != nil {
				return err
			}
		}
		scroll := p.Scroll
		p = page{}
		err = s.api.Call(ctx, "POST", "/_search/scroll", fmt.Sprintf(`{"scroll": "1m", "scroll_id": %q}`, scroll), &p)
	}
	if p.Scroll != "" {
		err = errors.Join(err, s.api.Call(ctx, "DELETE", "/_search/scroll", fmt.Sprintf(`{"scroll_id": %q}`, p.Scroll), nil))
	}
	return err
}

func (s *elasticStore) remove(ctx context.Context) error {
	var names map[string]any
	if err := s.api.Call(ctx, "GET", "/"+s.Name+"-*?ignore_unavailable=true", "", &names); err != nil {
		return err
	}
	var errs []error
	for name := range names {
		errs = append(errs, s.api.Call(ctx, "DELETE", "/"+name, "", nil))
	}
	return errors.Join(errs...)
}

// mongoStore is MongoDB by the plain driver.
type mongoStore struct {
	place
	own    *mongodb.Sink
	client *mongo.Client
}

func (s *mongoStore) kind() servers.Kind                   { return servers.MongoDB }
func (s *mongoStore) sink() projector.Sink                 { return s.own }
func (s *mongoStore) target(model string) projector.Target { return mongodb.Collection(model) }

func (s *mongoStore) close() error {
	return errors.Join(s.own.Close(), s.client.Disconnect(context.Background()))
}

func (s *mongoStore) remove(ctx context.Context) error { return s.client.Database(s.Name).Drop(ctx) }

func (s *mongoStore) public(ctx context.Context, model string, each func(string, []byte) error) error {
	return s.find(ctx, model, func(id string, d bson.D) error {
		body, err := bson.MarshalExtJSON(d, false, false)
		if err != nil {
			return err
		}
		return each(id, body)
	})
}

func (s *mongoStore) stored(ctx context.Context, model string, generation uint64, each func(string, projector.Version, []byte) error) error {
	return s.find(ctx, fmt.Sprintf("%s__g%d", model, generation), func(id string, d bson.D) error {
		var version projector.Version
		gone, kept := false, d[:0]
		for _, e := range d {
			switch e.Key {
			case "_v":
				switch v := e.Value.(type) {
				case int64:
					version = projector.Version(v)
				case float64:
					version = projector.Version(v)
				default:
					return fmt.Errorf("document %s has the version %v", id, v)
				}
			case "_gone":
				gone = true
			default:
				kept = append(kept, e)
			}
		}
		if gone {
			return each(id, version, nil)
		}
		body, err := bson.MarshalExtJSON(kept, false, false)
		if err != nil {
			return err
		}
		return each(id, version, body)
	})
}

// find hands out everything in a collection or view.
func (s *mongoStore) find(ctx context.Context, name string, each func(string, bson.D) error) error {
	cursor, err := s.client.Database(s.Name).Collection(name).Find(ctx, bson.D{})
	if err != nil {
		return err
	}
	defer cursor.Close(ctx)
	for cursor.Next(ctx) {
		var d bson.D
		if err := cursor.Decode(&d); err != nil {
			return err
		}
		id, ok := d[0].Value.(string)
		if d[0].Key != "_id" || !ok {
			return fmt.Errorf("a document of %s does not begin with a string _id: %v", name, d[0])
		}
		if err := each(id, d[1:]); err != nil {
			return err
		}
	}
	return cursor.Err()
}
