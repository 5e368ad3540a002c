package mongodb

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
)

// progressRecord is the stored form of projector.Progress. _v is its order: generation and CSN.
type progressRecord struct {
	Name       string `bson:"_id"`
	Version    int64  `bson:"_v"`
	LogID      string `bson:"log"`
	Generation int64  `bson:"generation"`
	Definition int64  `bson:"definition"`
	CSN        int64  `bson:"csn"`
	Begun      int64  `bson:"begun,omitempty"`
}

// Progress reads the progress record of a projector.
func (s *Sink) Progress(ctx context.Context, name string) (projector.Progress, bool, error) {
	bounded, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	var r progressRecord
	raw, err := s.db.Collection(s.cfg.ProgressCollection).FindOne(bounded, bson.D{{Key: idField, Value: name}}).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return projector.Progress{}, false, nil
	}
	if err != nil {
		return projector.Progress{}, false, commandError(ctx, fmt.Sprintf("read progress of %q", name), err)
	}
	if err := bson.Unmarshal(raw, &r); err != nil {
		return projector.Progress{}, false, fmt.Errorf("mongodb: read progress of %q: %w", name, err)
	}
	p := projector.Progress{LogID: r.LogID, Generation: uint64(r.Generation), Definition: int(r.Definition), CSN: eventstore.CSN(r.CSN),
		Begun: eventstore.CSN(r.Begun)}
	return p, true, nil
}

// SaveProgress writes a progress record, unless the stored one is newer.
func (s *Sink) SaveProgress(ctx context.Context, name string, p projector.Progress) error {
	if err := projector.CheckID(name); err != nil {
		return fmt.Errorf("mongodb: save progress: name of the projector: %w", err)
	}
	version, err := projector.NewVersion(p.Generation, p.CSN)
	if err != nil {
		return fmt.Errorf("mongodb: save progress of %q: %w", name, err)
	}
	record, err := bson.Marshal(progressRecord{
		Name: name, Version: int64(version), LogID: p.LogID, Generation: int64(p.Generation), Definition: int64(p.Definition), CSN: int64(p.CSN),
		Begun: int64(p.Begun),
	})
	if err != nil {
		return fmt.Errorf("mongodb: save progress of %q: %w", name, err)
	}
	step := fmt.Sprintf("save progress of %q", name)
	const attempts = 3 // two processes may create the record at once; the loser finds it when it tries again
	for attempt := 1; ; attempt++ {
		// No UUID: a progress collection that is not there is created.
		command := newUpdateCommand(s.cfg.ProgressCollection, nil, s.cfg.Timeout)
		if err := command.add(name, int64(version), keepIfNewer, func(dst []byte, field string) ([]byte, error) {
			dst, at := openDocument(dst, typeDocument, field)
			dst = append(appendName(dst, typeDocument, "$literal"), record...)
			return closeDocument(dst, at), nil
		}); err != nil {
			return err
		}
		reply, err := s.write(ctx, step, command)
		if err != nil {
			return err
		}
		if len(reply.WriteErrors) == 0 {
			return nil
		}
		e := reply.WriteErrors[0]
		r := failed(name, e.Code, e.KeyPattern)
		if r.Outcome == projector.Retry && attempt < attempts {
			continue
		}
		return fmt.Errorf("mongodb: %s: %w", step, r.Err)
	}
}
