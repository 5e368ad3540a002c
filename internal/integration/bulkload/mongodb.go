package bulkload

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

type mongoDB struct {
	client     *mongo.Client
	collection *mongo.Collection
	insert     bool
}

// MongoDB loads a collection: by unordered inserts, which is how new documents are loaded the fastest, or by unordered replacements by id. Both are acknowledged
// by a majority.
func MongoDB(ctx context.Context, uri, database, collection string, insert bool) (Loader, error) {
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		return nil, err
	}
	c := client.Database(database).Collection(collection, options.Collection().SetWriteConcern(writeconcern.Majority()))
	return &mongoDB{client, c, insert}, client.Ping(ctx, nil)
}

func (m *mongoDB) Ready(ids []string, bodies [][]byte) (func(context.Context) error, error) {
	docs := make([]any, len(ids))
	models := make([]mongo.WriteModel, len(ids))
	for i, id := range ids {
		var doc bson.D
		if err := bson.UnmarshalExtJSON(bodies[i], false, &doc); err != nil {
			return nil, err
		}
		raw, err := bson.Marshal(append(bson.D{{Key: "_id", Value: id}}, doc...))
		if err != nil {
			return nil, err
		}
		docs[i] = bson.Raw(raw)
		models[i] = mongo.NewReplaceOneModel().SetFilter(bson.D{{Key: "_id", Value: id}}).SetReplacement(bson.Raw(raw)).SetUpsert(true)
	}
	return func(ctx context.Context) error {
		if m.insert {
			r, err := m.collection.InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
			if err == nil && len(r.InsertedIDs) != len(ids) {
				err = fmt.Errorf("%d of %d documents were inserted", len(r.InsertedIDs), len(ids))
			}
			return err
		}
		_, err := m.collection.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
		return err
	}, nil
}

func (m *mongoDB) Close() { _ = m.client.Disconnect(context.Background()) }
