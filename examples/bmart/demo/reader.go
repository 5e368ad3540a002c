package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/millrace-go/millrace/examples/bmart/check"
	"github.com/millrace-go/millrace/projector"
)

// reader reads documents as any program would that shows them: by the name of the read model, without the library's sinks.
type reader interface {
	// get reads one document.
	get(ctx context.Context, name, id string) (body []byte, found bool, err error)
	// each yields every document that a search finds.
	each(ctx context.Context, name string) iter.Seq2[check.Document, error]
}

// memoryReader reads the sink in memory.
type memoryReader struct{ sink *projector.MemorySink }

func (r memoryReader) get(_ context.Context, name, id string) ([]byte, bool, error) {
	d, found := r.sink.Find(name, id)
	return d.Body, found, nil
}

func (r memoryReader) each(_ context.Context, name string) iter.Seq2[check.Document, error] {
	return func(yield func(check.Document, error) bool) {
		for d := range r.sink.Each(name) {
			if !yield(check.Document{ID: d.ID, Body: d.Body}, nil) {
				return
			}
		}
	}
}

// elasticReader reads through the alias, over plain HTTP.
type elasticReader struct{ url string }

func (r elasticReader) get(ctx context.Context, name, id string) ([]byte, bool, error) {
	query, err := json.Marshal(map[string]any{"query": map[string]any{"ids": map[string]any{"values": []string{id}}}})
	if err != nil {
		return nil, false, err
	}
	page, err := r.search(ctx, "/"+url.PathEscape(name)+"/_search", query)
	if err != nil || len(page.Hits.Hits) == 0 {
		return nil, false, err
	}
	return page.Hits.Hits[0].Source, true, nil
}

// page is a page of search results.
type elasticPage struct {
	ScrollID string `json:"_scroll_id"`
	Hits     struct {
		Hits []struct {
			ID     string          `json:"_id"`
			Source json.RawMessage `json:"_source"`
		}
	}
}

func (r elasticReader) each(ctx context.Context, name string) iter.Seq2[check.Document, error] {
	return func(yield func(check.Document, error) bool) {
		alias := "/" + url.PathEscape(name)
		if _, err := r.search(ctx, alias+"/_refresh", nil); err != nil {
			yield(check.Document{}, err)
			return
		}
		page, err := r.search(ctx, alias+"/_search?scroll=1m", []byte(`{"size": 1000, "sort": ["_doc"]}`))
		for {
			if err != nil {
				yield(check.Document{}, err)
				return
			}
			if len(page.Hits.Hits) == 0 {
				return
			}
			for _, h := range page.Hits.Hits {
				if !yield(check.Document{ID: h.ID, Body: h.Source}, nil) {
					return
				}
			}
			next, _ := json.Marshal(map[string]string{"scroll": "1m", "scroll_id": page.ScrollID}) // strings always marshal
			page, err = r.search(ctx, "/_search/scroll", next)
		}
	}
}

func (r elasticReader) search(ctx context.Context, path string, body []byte) (*elasticPage, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("elasticsearch: %s: %s", path, resp.Status)
	}
	var page elasticPage
	return &page, json.Unmarshal(text, &page)
}

// mongoReader reads through the view.
type mongoReader struct{ client *mongo.Client }

func newMongoReader(uri string) (*mongoReader, error) {
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		return nil, err
	}
	return &mongoReader{client}, nil
}

func (r *mongoReader) close() error { return r.client.Disconnect(context.Background()) }

func (r *mongoReader) view(name string) *mongo.Collection {
	return r.client.Database(pipeline).Collection(name)
}

func (r *mongoReader) get(ctx context.Context, name, id string) ([]byte, bool, error) {
	var m bson.M
	err := r.view(name).FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Decode(&m)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	d, err := mongoDocument(m)
	return d.Body, true, err
}

func (r *mongoReader) each(ctx context.Context, name string) iter.Seq2[check.Document, error] {
	return func(yield func(check.Document, error) bool) {
		cursor, err := r.view(name).Find(ctx, bson.D{})
		if err != nil {
			yield(check.Document{}, err)
			return
		}
		defer cursor.Close(ctx)
		for cursor.Next(ctx) {
			var m bson.M
			if err := cursor.Decode(&m); err != nil {
				yield(check.Document{}, err)
				return
			}
			if d, err := mongoDocument(m); !yield(d, err) || err != nil {
				return
			}
		}
		if err := cursor.Err(); err != nil {
			yield(check.Document{}, err)
		}
	}
}

// mongoDocument gives a stored document back as JSON. The example's documents hold texts, whole numbers, arrays and objects.
func mongoDocument(m bson.M) (check.Document, error) {
	id, ok := m["_id"].(string)
	if !ok {
		return check.Document{}, errors.New("mongodb: a document whose _id is not a string")
	}
	delete(m, "_id")
	body, err := json.Marshal(plainValue(m))
	return check.Document{ID: id, Body: body}, err
}

func plainValue(v any) any {
	switch v := v.(type) {
	case bson.M:
		for name, field := range v {
			v[name] = plainValue(field)
		}
		return v
	case bson.D:
		m := make(map[string]any, len(v))
		for _, e := range v {
			m[e.Key] = plainValue(e.Value)
		}
		return m
	case bson.A:
		for i := range v {
			v[i] = plainValue(v[i])
		}
		return v
	default:
		return v
	}
}
