package sinks

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/mongodb"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// mongoEnv is the real server, seen by a client that is not the sink's.
type mongoEnv struct {
	uri  string
	sink *mongodb.Sink
	db   *mongo.Database
}

// newMongo connects a sink to a database of its own on the shared server. The database ends with the test.
func newMongo(t testing.TB, change ...func(*mongodb.Config)) *mongoEnv {
	t.Helper()
	return newMongoAt(t, find(t, servers.MongoDB), change...)
}

func newMongoAt(t testing.TB, uri string, change ...func(*mongodb.Config)) *mongoEnv {
	t.Helper()
	e := &mongoEnv{uri: uri}
	cfg := mongodb.Config{URI: e.uri, Database: uniqueName()}
	for _, c := range change {
		c(&cfg)
	}
	client, err := mongo.Connect(options.Client().ApplyURI(e.uri))
	if err != nil {
		t.Fatal(err)
	}
	e.db = client.Database(cfg.Database)
	if e.sink, err = mongodb.New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.sink.Close(); err != nil {
			t.Error(err)
		}
		ctx := context.Background()
		if err := e.db.Drop(ctx); err != nil {
			t.Errorf("clean up: %v", err)
		}
		if err := client.Disconnect(ctx); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return e
}

func (e *mongoEnv) harness() projectortest.Harness {
	return projectortest.Harness{
		Sink:   e.sink,
		Target: func(*testing.T) projector.Target { return mongodb.Collection(uniqueName()) },
		// One level more than MongoDB documents as possible.
		Refused: []byte(strings.Repeat(`{"n":`, 101) + "1" + strings.Repeat("}", 101)),
		Search: func(ctx context.Context, t projector.Target) (map[string][]byte, error) {
			return e.search(ctx, t.Name)
		},
		Drop: func(ctx context.Context, t projector.Target, generation uint64) error {
			return e.db.Collection(fmt.Sprintf("%s__g%d", t.Name, generation)).Drop(ctx)
		},
		SweptByServer: true,
	}
}

// search reads everything from a view, by id.
func (e *mongoEnv) search(ctx context.Context, name string) (map[string][]byte, error) {
	cursor, err := e.db.Collection(name).Find(ctx, bson.D{})
	if err != nil {
		return nil, err
	}
	var docs []bson.D
	if err := cursor.All(ctx, &docs); err != nil {
		return nil, err
	}
	found := map[string][]byte{}
	for _, d := range docs {
		id, ok := d[0].Value.(string)
		if d[0].Key != "_id" || !ok {
			return nil, fmt.Errorf("a document does not begin with a string _id: %v", d)
		}
		text, err := bson.MarshalExtJSON(d[1:], false, false)
		if err != nil {
			return nil, err
		}
		found[id] = text
	}
	return found, nil
}
