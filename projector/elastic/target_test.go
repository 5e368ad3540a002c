package elastic

import (
	"encoding/json"
	"testing"
)

func TestIndexBody(t *testing.T) {
	st, err := newStore(Index("home"), 7)
	if err != nil {
		t.Fatal(err)
	}
	target := Index("home", Mapping(`{"dynamic": "strict", "_meta": {"by": "us"}, "properties": {"price": {"type": "long"}}}`), Settings(`{"number_of_shards": 3}`))
	body, m, err := newIndexBody(st, target.Settings)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"settings":{"number_of_shards":3},"mappings":{"_meta":{"by":"us","millrace":{"layout":1,"mapping":"` + m.Mapping + `"}},` +
		`"dynamic":"strict","properties":{"_gone":{"type":"date"},"price":{"type":"long"}}},"aliases":{"home__g7_write":{}}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}

	// The same mapping in another form is the same mapping; settings do not count.
	_, same, err := newIndexBody(st, Index("home", Mapping(`{"properties":{"price":{"type":"long"}},"_meta":{"by":"us"},"dynamic":"strict"}`)).Settings)
	if err != nil || same != m {
		t.Errorf("got %v, %v; want %v", same, err, m)
	}
	_, other, err := newIndexBody(st, Index("home", Mapping(`{"properties":{"price":{"type":"double"}}}`)).Settings)
	if err != nil || other == m {
		t.Errorf("another mapping has the same mark: %v, %v", other, err)
	}
	if _, _, err := newIndexBody(st, Index("home").Settings); err != nil {
		t.Errorf("no settings: %v", err)
	}

	for _, mapping := range []string{
		`{`, `[]`, `{"_source":{"enabled":false}}`, `{"_routing":{"required":true}}`, `{"enabled":false}`, `{"properties":[]}`,
		`{"properties":{"_gone":{"type":"keyword"}}}`, `{}, "aliases": {}`, `{}} {`,
	} {
		if body, _, err := newIndexBody(st, Index("home", Mapping(mapping)).Settings); err == nil {
			t.Errorf("mapping %s: got %+v, want an error", mapping, body)
		}
	}
}
