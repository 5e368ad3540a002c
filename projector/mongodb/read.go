package mongodb

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/millrace-go/millrace/projector"
)

// Get reads a document from the primary, by its id. The body is in the canonical form that the package comment describes.
func (s *Sink) Get(ctx context.Context, t projector.Target, generation uint64, id string) (projector.Document, bool, error) {
	st, err := newStore(t, generation)
	if err != nil {
		return projector.Document{}, false, err
	}
	if err := projector.CheckID(id); err != nil {
		return projector.Document{}, false, fmt.Errorf("mongodb: get: %w", err)
	}
	uuid, err := s.uuid(ctx, st.collection)
	if err != nil {
		return projector.Document{}, false, err
	}
	docs, err := s.find(ctx, st.collection, uuid, bson.D{{Key: idField, Value: id}}, nil, 1)
	if err != nil || len(docs) == 0 {
		return projector.Document{}, false, err
	}
	d, err := decodeDocument(id, docs[0])
	return d, err == nil, err
}

// Sweep returns 0: the server removes tombstones by itself, after Config.TombstoneAge, whatever age is.
func (s *Sink) Sweep(_ context.Context, t projector.Target, generation uint64, _ time.Duration) (int, error) {
	_, err := newStore(t, generation)
	return 0, err
}
