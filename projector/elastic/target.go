package elastic

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/millrace-go/millrace/projector"
)

const (
	kind      = "elasticsearch"
	goneField = "_gone"
)

// An Option of [Index] says how an index is created.
type Option func(*storage)

// Mapping sets the mapping of the documents, as in the body of Elasticsearch's create index request:
// {"dynamic": "strict", "properties": {…}}. Without one Elasticsearch guesses types from the first document.
//
// _source, _routing and enabled cannot be set at its top, and _gone is reserved. A generation keeps the mapping that it was created
// with: another one needs a new generation.
func Mapping(mapping string) Option {
	return func(s *storage) { s.Mappings = json.RawMessage(mapping) }
}

// Settings sets the index settings for the creation of an index: {"number_of_shards": 3, "number_of_replicas": 1}. Those of an
// existing index are left as they are.
func Settings(settings string) Option {
	return func(s *storage) { s.Settings = json.RawMessage(settings) }
}

// Index names a read model in Elasticsearch: readers search the alias name. A name or an option that is not valid is an error of
// [Sink.Prepare].
func Index(name string, options ...Option) projector.Target {
	var s storage
	for _, o := range options {
		o(&s)
	}
	t := projector.Target{Sink: kind, Name: name}
	if s.Mappings == nil && s.Settings == nil {
		return t
	}
	// Put together by hand: json.Marshal would have no way to report invalid JSON here. parseStorage does.
	var b bytes.Buffer
	b.WriteByte('{')
	if s.Settings != nil {
		fmt.Fprintf(&b, `"settings":%s`, s.Settings)
	}
	if s.Mappings != nil {
		if s.Settings != nil {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"mappings":%s`, s.Mappings)
	}
	b.WriteByte('}')
	t.Settings = b.Bytes()
	return t
}

// storage is the form of projector.Target.Settings.
type storage struct {
	Settings json.RawMessage `json:"settings,omitempty"`
	Mappings json.RawMessage `json:"mappings,omitempty"`
}

// A store is the names of one generation of a target.
type store struct {
	public string // alias for readers
	index  string
	write  string // alias for writers
}

func newStore(t projector.Target, generation uint64) (store, error) {
	if t.Sink != kind {
		return store{}, fmt.Errorf("elastic: target %q is for the sink %q", t.Name, t.Sink)
	}
	if err := checkName(t.Name); err != nil {
		return store{}, fmt.Errorf("elastic: target %q: %w", t.Name, err)
	}
	index := t.Name + "__g" + strconv.FormatUint(generation, 10)
	return store{public: t.Name, index: index, write: index + "_write"}, nil
}

var generationSuffix = regexp.MustCompile(`__g([0-9]+)(_write)?$`)

// generationOf returns the generation that index holds of the target called name.
func generationOf(name, index string) (uint64, bool) {
	digits, ok := strings.CutPrefix(index, name+"__g")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil
}

// checkName applies Elasticsearch's rules for index names, less the length of what is appended.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(name) > 220:
		return fmt.Errorf("the name has %d bytes, at most 220 are allowed", len(name))
	case strings.ToLower(name) != name:
		return errors.New("the name must be in lower case")
	case strings.ContainsAny(name, "\\/*?\"<>| ,#:"), strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == '\uFFFD' }):
		return errors.New(`the name must not contain \ / * ? " < > | , # : or spaces`)
	case strings.ContainsAny(name[:1], "-_+."):
		return errors.New("the name must not begin with - _ + or .")
	case generationSuffix.MatchString(name):
		return errors.New("the name must not end like the names of stored generations (__g7)")
	}
	return nil
}

// An indexBody is the body of a create index request.
type indexBody struct {
	Settings json.RawMessage     `json:"settings,omitempty"`
	Mappings map[string]any      `json:"mappings"`
	Aliases  map[string]struct{} `json:"aliases"`
}

// meta is what Prepare leaves in the mapping's _meta, to know its own index and the mapping it was created with again.
type meta struct {
	Layout  int    `json:"layout"`
	Mapping string `json:"mapping"` // hash of the user's mapping
}

const layout = 1

// newIndexBody merges what the sink needs into the user's storage settings.
func newIndexBody(st store, settings json.RawMessage) (indexBody, meta, error) {
	var s storage
	if len(settings) > 0 {
		d := json.NewDecoder(bytes.NewReader(settings))
		d.DisallowUnknownFields()
		if err := d.Decode(&s); err != nil {
			return indexBody{}, meta{}, fmt.Errorf("settings of the target: %w", err)
		}
		if d.More() {
			return indexBody{}, meta{}, errors.New("settings of the target: more than one JSON value")
		}
	}
	mappings := map[string]any{}
	if len(s.Mappings) > 0 {
		d := json.NewDecoder(bytes.NewReader(s.Mappings))
		d.UseNumber()
		if err := d.Decode(&mappings); err != nil {
			return indexBody{}, meta{}, fmt.Errorf("mapping: %w", err)
		}
	}
	canonical, err := json.Marshal(mappings)
	if err != nil {
		return indexBody{}, meta{}, fmt.Errorf("mapping: %w", err)
	}
	sum := sha256.Sum256(canonical)
	m := meta{Layout: layout, Mapping: hex.EncodeToString(sum[:])}

	for _, field := range []string{"_source", "_routing", "enabled"} {
		if _, ok := mappings[field]; ok {
			return indexBody{}, meta{}, fmt.Errorf("mapping: %s cannot be set at its top", field)
		}
	}
	properties, ok := mappings["properties"].(map[string]any)
	if !ok {
		if _, exists := mappings["properties"]; exists {
			return indexBody{}, meta{}, errors.New("mapping: properties is not an object")
		}
		properties = map[string]any{}
		mappings["properties"] = properties
	}
	if _, ok := properties[goneField]; ok {
		return indexBody{}, meta{}, fmt.Errorf("mapping: the field %s is reserved", goneField)
	}
	properties[goneField] = map[string]any{"type": "date"}
	own, ok := mappings["_meta"].(map[string]any)
	if !ok {
		own = map[string]any{}
		mappings["_meta"] = own
	}
	own["millrace"] = m
	return indexBody{Settings: s.Settings, Mappings: mappings, Aliases: map[string]struct{}{st.write: {}}}, m, nil
}
