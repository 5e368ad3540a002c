package check

import (
	"encoding/json"
	"errors"
	"iter"
	"testing"
)

func wantDocuments() map[string]any {
	return map[string]any{
		"1": map[string]any{"id": json.Number("1"), "price": "1.10", "products": []any{"a", "b"}},
		"2": map[string]any{"id": json.Number("2"), "price": "2.00"},
	}
}

func sequence(docs ...Document) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for _, d := range docs {
			if !yield(d, nil) {
				return
			}
		}
	}
}

func TestCompareDocuments(t *testing.T) {
	one := Document{"1", []byte(`{"price":"1.10", "id":1, "products":["a","b"]}`)}
	two := Document{"2", []byte(`{"id":2,"price":"2.00"}`)}
	for _, c := range []struct {
		name string
		got  iter.Seq2[Document, error]
		want string
	}{
		{"equal", sequence(two, one), "home documents 2 equal 2"},
		{"missing", sequence(one), "home documents 2 equal 1 missing 1 stale 0 extra 0"},
		{"none", sequence(), "home documents 2 equal 0 missing 2 stale 0 extra 0"},
		{"extra", sequence(one, two, Document{"3", []byte(`{}`)}), "home documents 3 equal 2 missing 0 stale 0 extra 1"},
		{"stale", sequence(one, Document{"2", []byte(`{"id":2,"price":"1.99"}`)}), "home documents 2 equal 1 missing 0 stale 1 extra 0"},
		{"torn", sequence(Document{"1", []byte(`{"id":1,"price":"1.10","products":["a"]}`)}, two), "home documents 2 equal 1 missing 0 stale 1 extra 0"},
		{"another order", sequence(Document{"1", []byte(`{"id":1,"price":"1.10","products":["b","a"]}`)}, two), "home documents 2 equal 1 missing 0 stale 1 extra 0"},
		{"a number's text", sequence(one, Document{"2", []byte(`{"id":2,"price":2.00}`)}), "home documents 2 equal 1 missing 0 stale 1 extra 0"},
		{"a field too many", sequence(one, Document{"2", []byte(`{"id":2,"price":"2.00","x":null}`)}), "home documents 2 equal 1 missing 0 stale 1 extra 0"},
	} {
		d, err := CompareDocuments("home", wantDocuments(), c.got)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if d.String() != c.want || d.OK() != (c.name == "equal") {
			t.Errorf("%s: %q, OK %v; want %q", c.name, d, d.OK(), c.want)
		}
	}
}

func TestCompareDocumentsErrors(t *testing.T) {
	broken := errors.New("broken")
	for name, got := range map[string]iter.Seq2[Document, error]{
		"reader": func(yield func(Document, error) bool) { yield(Document{}, broken) },
		"twice":  sequence(Document{"2", []byte(`{}`)}, Document{"2", []byte(`{}`)}),
		"json":   sequence(Document{"2", []byte(`{`)}),
	} {
		if _, err := CompareDocuments("home", wantDocuments(), got); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
