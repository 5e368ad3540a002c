package mongodb

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/millrace-go/millrace/projector"
)

func errDropped(collection string) error {
	return fmt.Errorf("mongodb: the collection %s was not prepared, or was dropped, or was dropped and made anew", collection)
}

// catalogEntry is what listCollections says of a collection or view.
type catalogEntry struct {
	Name    string `bson:"name"`
	Type    string `bson:"type"` // collection, view, timeseries
	Options struct {
		ViewOn string `bson:"viewOn"`
		Capped bool   `bson:"capped"`
	} `bson:"options"`
	Info struct {
		UUID bson.Binary `bson:"uuid"`
	} `bson:"info"`
}

// lookUp reads the catalog entry of a collection or view; nil when there is none.
func (s *Sink) lookUp(ctx context.Context, name string) (*catalogEntry, error) {
	step := "look up " + name
	raw, err := s.run(ctx, step, bson.D{{Key: "listCollections", Value: 1}, {Key: "filter", Value: bson.D{{Key: "name", Value: name}}}})
	if err != nil {
		return nil, err
	}
	var reply struct {
		Cursor struct {
			FirstBatch []catalogEntry `bson:"firstBatch"`
		} `bson:"cursor"`
	}
	if err := bson.Unmarshal(raw, &reply); err != nil {
		return nil, fmt.Errorf("mongodb: %s: reply: %w", step, err)
	}
	if len(reply.Cursor.FirstBatch) == 0 {
		return nil, nil
	}
	return &reply.Cursor.FirstBatch[0], nil
}

// uuid returns the UUID of a collection that was prepared. It is looked up once, so that a collection that another one has replaced is
// noticed, until Prepare is called again.
func (s *Sink) uuid(ctx context.Context, collection string) (bson.Binary, error) {
	s.mu.Lock()
	uuid, ok := s.uuids[collection]
	s.mu.Unlock()
	if ok {
		return uuid, nil
	}
	entry, err := s.lookUp(ctx, collection)
	if err != nil {
		return bson.Binary{}, err
	}
	if entry == nil || entry.Type != "collection" {
		return bson.Binary{}, errDropped(collection)
	}
	s.remember(collection, entry.Info.UUID)
	return entry.Info.UUID, nil
}

func (s *Sink) remember(collection string, uuid bson.Binary) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uuids[collection] = uuid
}

// Prepare creates the collection of a generation with its indexes, or checks that the existing one is Millrace's, and adds
// indexes that it lacks.
func (s *Sink) Prepare(ctx context.Context, t projector.Target, generation uint64) error {
	st, err := newStore(t, generation)
	if err != nil {
		return err
	}
	indexes, err := userIndexes(t.Settings)
	if err != nil {
		return fmt.Errorf("mongodb: target %q: %w", t.Name, err)
	}
	if _, err := s.publicView(ctx, t.Name); err != nil {
		return err
	}
	entry, err := s.lookUp(ctx, st.collection)
	if err != nil {
		return err
	}
	if entry == nil {
		_, err := s.runRaw(ctx, bson.D{{Key: "create", Value: st.collection}, {Key: "writeConcern", Value: s.majority()}})
		if err != nil && !hasCode(err, codeNamespaceExists) { // another process was faster
			return commandError(ctx, "create collection "+st.collection, err)
		}
		s.log.InfoContext(ctx, "mongodb: collection created", "collection", st.collection)
		if entry, err = s.lookUp(ctx, st.collection); err != nil {
			return err
		}
		if entry == nil {
			return errDropped(st.collection)
		}
	}
	if entry.Type != "collection" || entry.Options.Capped {
		return fmt.Errorf("mongodb: %s is not an ordinary collection, and that name belongs to Millrace: drop it, or choose another name", st.collection)
	}
	if err := s.prepareIndexes(ctx, st.collection, entry.Info.UUID, indexes); err != nil {
		return err
	}
	s.remember(st.collection, entry.Info.UUID)
	return nil
}

// prepareIndexes creates the indexes of a collection that are missing. The TTL index marks a collection as Millrace's: one with documents
// but without it is somebody else's.
func (s *Sink) prepareIndexes(ctx context.Context, collection string, uuid bson.Binary, user []bson.D) error {
	have, err := s.ttlIndex(ctx, collection)
	if err != nil {
		return err
	}
	seconds := int64(s.cfg.TombstoneAge.Seconds())
	if have == nil {
		docs, err := s.find(ctx, collection, uuid, bson.D{}, bson.D{{Key: idField, Value: 1}}, 1)
		if err != nil {
			return err
		}
		if len(docs) > 0 {
			return fmt.Errorf("mongodb: the collection %s has documents, but was not created by Millrace: drop it, or choose another name", collection)
		}
	} else if *have != seconds {
		if _, err := s.run(ctx, "change index "+goneIndex, bson.D{
			{Key: "collMod", Value: collection},
			{Key: "index", Value: bson.D{{Key: "name", Value: goneIndex}, {Key: "expireAfterSeconds", Value: seconds}}},
			{Key: "writeConcern", Value: s.majority()},
		}); err != nil {
			return err
		}
	}
	// Only tombstones are in the TTL index: it costs ordinary documents nothing.
	all := append([]bson.D{{
		{Key: "key", Value: bson.D{{Key: goneField, Value: 1}}}, {Key: "name", Value: goneIndex}, {Key: "expireAfterSeconds", Value: seconds},
		{Key: "partialFilterExpression", Value: bson.D{{Key: goneField, Value: bson.D{{Key: "$exists", Value: true}}}}},
	}}, user...)
	_, err = s.runRaw(ctx, bson.D{{Key: "createIndexes", Value: collection}, {Key: "indexes", Value: all}, {Key: "writeConcern", Value: s.majority()}})
	if hasCode(err, codeIndexOptions, codeIndexSpecs) {
		return fmt.Errorf("mongodb: indexes of %s: one exists with other options: drop it, or give the new one another name and key: %w",
			collection, commandError(ctx, "create indexes", err))
	}
	return commandError(ctx, "create indexes of "+collection, err)
}

// ttlIndex returns after how many seconds tombstones of a collection expire; nil when it has no such index.
func (s *Sink) ttlIndex(ctx context.Context, collection string) (*int64, error) {
	raw, err := s.run(ctx, "read indexes of "+collection, bson.D{{Key: "listIndexes", Value: collection}})
	if err != nil {
		return nil, err
	}
	var reply struct {
		Cursor struct {
			FirstBatch []struct {
				Name    string `bson:"name"`
				Seconds int64  `bson:"expireAfterSeconds,truncate"`
			} `bson:"firstBatch"`
		} `bson:"cursor"`
	}
	if err := bson.Unmarshal(raw, &reply); err != nil {
		return nil, fmt.Errorf("mongodb: read indexes of %s: reply: %w", collection, err)
	}
	for _, index := range reply.Cursor.FirstBatch {
		if index.Name == goneIndex {
			return &index.Seconds, nil
		}
	}
	return nil, nil
}

// publicView returns the readers' view of a target; nil when there is none. Something else of that name is an error.
func (s *Sink) publicView(ctx context.Context, name string) (*catalogEntry, error) {
	entry, err := s.lookUp(ctx, name)
	if err != nil || entry == nil {
		return nil, err
	}
	if entry.Type != "view" {
		return nil, fmt.Errorf("mongodb: %s is a collection, and readers need a view of that name: rename or drop it, or choose another name", name)
	}
	if _, ok := generationOf(name, entry.Options.ViewOn); !ok {
		return nil, fmt.Errorf("mongodb: %s is a view on %s, which is not Millrace's: drop it, or choose another name", name, entry.Options.ViewOn)
	}
	return entry, nil
}

// Publish points the readers' view at a generation, in one atomic step, or creates it.
func (s *Sink) Publish(ctx context.Context, t projector.Target, generation uint64) error {
	st, err := newStore(t, generation)
	if err != nil {
		return err
	}
	entry, err := s.lookUp(ctx, st.collection)
	if err != nil {
		return err
	}
	if entry == nil || entry.Type != "collection" {
		return errDropped(st.collection)
	}
	view, err := s.publicView(ctx, st.public)
	if err != nil {
		return err
	}
	define := func(command string) error {
		_, err := s.runRaw(ctx, bson.D{
			{Key: command, Value: st.public}, {Key: "viewOn", Value: st.collection}, {Key: "pipeline", Value: viewPipeline},
			{Key: "writeConcern", Value: s.majority()},
		})
		return err
	}
	if view == nil {
		err = define("create")
	}
	if view != nil || hasCode(err, codeNamespaceExists) { // another process was faster
		err = define("collMod")
	}
	if err != nil {
		return commandError(ctx, "publish "+st.collection, err)
	}
	s.log.InfoContext(ctx, "mongodb: generation published", "view", st.public, "collection", st.collection)
	return nil
}

// viewPipeline is what readers see: documents that are not tombstones, without the sink's fields.
var viewPipeline = mongo.Pipeline{
	{{Key: "$match", Value: bson.D{{Key: goneField, Value: nil}}}},
	{{Key: "$unset", Value: bson.A{versionField, goneField}}},
}

// Published returns the generation behind the readers' view.
func (s *Sink) Published(ctx context.Context, t projector.Target) (uint64, bool, error) {
	st, err := newStore(t, 0)
	if err != nil {
		return 0, false, err
	}
	view, err := s.publicView(ctx, st.public)
	if err != nil || view == nil {
		return 0, false, err
	}
	generation, ok := generationOf(st.public, view.Options.ViewOn)
	return generation, ok, nil
}
