package mongodb

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/millrace-go/millrace/projector"
)

const (
	kind = "mongodb"

	idField      = "_id"
	versionField = "_v"
	goneField    = "_gone"

	goneIndex = "millrace_gone" // the TTL index on goneField; also how the sink knows its own collections
)

// An Option of [Collection] says how a collection is created.
type Option func(*storage)

// Indexes asks for indexes on the documents, as in the command createIndexes: an array like
// [{"key": {"price": 1}, "name": "price"}, …], in MongoDB's Extended JSON. Documents that clash in a unique index are refused.
// An index that is added later is built on the existing collections by the next [Sink.Prepare].
func Indexes(indexes string) Option {
	return func(s *storage) { s.Indexes = json.RawMessage(indexes) }
}

// Collection names a read model in MongoDB: readers use the view name. A name or an option that is not valid is an error of
// [Sink.Prepare].
func Collection(name string, options ...Option) projector.Target {
	var s storage
	for _, o := range options {
		o(&s)
	}
	t := projector.Target{Sink: kind, Name: name}
	if s.Indexes != nil {
		// Put together by hand: json.Marshal would have no way to report invalid JSON here. userIndexes does.
		t.Settings = fmt.Appendf(nil, `{"indexes":%s}`, s.Indexes)
	}
	return t
}

// storage is the form of projector.Target.Settings.
type storage struct {
	Indexes json.RawMessage
}

// userIndexes reads the indexes from a target's settings.
func userIndexes(settings json.RawMessage) ([]bson.D, error) {
	if len(settings) == 0 {
		return nil, nil
	}
	var s struct {
		Indexes []bson.D `bson:"indexes"`
	}
	var all bson.D
	if err := bson.UnmarshalExtJSON(settings, false, &all); err != nil {
		return nil, fmt.Errorf("settings of the target: %w", err)
	}
	for _, e := range all {
		if e.Key != "indexes" {
			return nil, fmt.Errorf("settings of the target: unknown field %q", e.Key)
		}
	}
	if err := bson.UnmarshalExtJSON(settings, false, &s); err != nil {
		return nil, fmt.Errorf("settings of the target: %w", err)
	}
	for i, index := range s.Indexes {
		named := false
		for _, e := range index {
			named = named || e.Key == "name"
		}
		if !named {
			return nil, fmt.Errorf("settings of the target: index %d has no name", i)
		}
	}
	return s.Indexes, nil
}

// A store is the names of one generation of a target.
type store struct {
	public     string // view for readers
	collection string
}

func newStore(t projector.Target, generation uint64) (store, error) {
	if t.Sink != kind {
		return store{}, fmt.Errorf("mongodb: target %q is for the sink %q", t.Name, t.Sink)
	}
	if err := checkName(t.Name); err != nil {
		return store{}, fmt.Errorf("mongodb: target %q: %w", t.Name, err)
	}
	return store{public: t.Name, collection: t.Name + "__g" + strconv.FormatUint(generation, 10)}, nil
}

var generationSuffix = regexp.MustCompile(`__g[0-9]+$`)

// generationOf returns the generation that a collection holds of the target called name.
func generationOf(name, collection string) (uint64, bool) {
	digits, ok := strings.CutPrefix(collection, name+"__g")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil
}

// checkName applies MongoDB's rules for names of collections, less the length of what is put around them.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(name) > 150:
		return fmt.Errorf("the name has %d bytes, at most 150 are allowed", len(name))
	case strings.ContainsAny(name, "$\x00"):
		return errors.New("the name must not contain $ or NUL")
	case strings.HasPrefix(name, "system."), strings.HasPrefix(name, "."), strings.HasSuffix(name, "."):
		return errors.New("the name must not begin with system. or with a dot, nor end with one")
	case generationSuffix.MatchString(name):
		return errors.New("the name must not end like the names of stored generations (__g7)")
	}
	return nil
}
