package mongodb

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace-go/millrace/projector"
)

func TestNewReportsEverything(t *testing.T) {
	_, err := New(Config{
		URI: "mongodb://user:s%zzret@[::1/", Database: "a b", BulkBytes: 16 << 20, Timeout: -1, TombstoneAge: time.Millisecond, ProgressCollection: "$x",
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"URI", "Database", "BulkBytes", "Timeout", "TombstoneAge", "ProgressCollection"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing in: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "ret@") {
		t.Errorf("the error holds the password: %v", err)
	}
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"home": true, "home.page": true, "Home-1": true, "é": true,
		"": false, "a$b": false, "a\x00": false, "system.users": false, ".a": false, "a.": false, "home__g7": false, strings.Repeat("x", 151): false,
	} {
		if _, err := newStore(Collection(name), 7); (err == nil) != ok {
			t.Errorf("%q: got error %v, want valid %v", name, err, ok)
		}
	}
	if _, err := newStore(projector.Target{Sink: "memory", Name: "home"}, 1); err == nil {
		t.Error("a target for another sink: no error")
	}
	for collection, want := range map[string]uint64{"home__g0": 0, "home__g12": 12} {
		if got, ok := generationOf("home", collection); !ok || got != want {
			t.Errorf("generationOf(%q) = %d, %v", collection, got, ok)
		}
	}
	for _, collection := range []string{"home", "home__g", "home__g7x", "home__gx", "homes__g7", "home__g-1"} {
		if got, ok := generationOf("home", collection); ok {
			t.Errorf("generationOf(%q) = %d", collection, got)
		}
	}
}

func TestUserIndexes(t *testing.T) {
	target := Collection("home", Indexes(`[{"key": {"b": 1, "a": -1}, "name": "ba", "unique": true}]`))
	indexes, err := userIndexes(target.Settings)
	if err != nil || len(indexes) != 1 || indexes[0][0].Key != "key" || len(indexes[0]) != 3 {
		t.Fatalf("got %v, %v", indexes, err)
	}
	for _, settings := range []string{`{"indexes":[{"key":{"a":1}}]}`, `{"indexes":{}}`, `{"other":1}`, `{"indexes":[`, `[]`} {
		if indexes, err := userIndexes([]byte(settings)); err == nil {
			t.Errorf("%s: got %v, want an error", settings, indexes)
		}
	}
}
