package mongodb

import (
	"errors"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestUpdateCommand(t *testing.T) {
	uuid := bson.Binary{Subtype: 4, Data: []byte("0123456789abcdef")}
	c := newUpdateCommand("home__g7", &uuid, time.Second)
	if err := c.add("a", 5, keepIfNotOlder, literal("a", 5, []byte(`{"price":"$_v"}`))); err != nil {
		t.Fatal(err)
	}
	before := len(c.buf)
	if err := c.add("refused", 5, keepIfNotOlder, literal("refused", 5, []byte(`{"ok":[1,{"x":`))); err == nil || len(c.buf) != before {
		t.Fatalf("a refused document left %d bytes, err %v", len(c.buf)-before, err)
	}
	if err := c.add("taken back", 5, keepIfNotOlder, tombstone(5)); err != nil {
		t.Fatal(err)
	}
	c.takeBack(before)
	if err := c.add("b", 6, keepIfNotOlder, tombstone(6)); err != nil {
		t.Fatal(err)
	}
	raw := c.finish()
	if err := raw.Validate(); err != nil {
		t.Fatal(err)
	}
	got, err := bson.MarshalExtJSON(raw, false, false)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"update":"home__g7","ordered":false,"collectionUUID":{"$binary":{"base64":"MDEyMzQ1Njc4OWFiY2RlZg==","subType":"04"}},` +
		`"writeConcern":{"w":"majority","wtimeout":1000},"updates":[` +
		`{"q":{"_id":"a"},"u":[{"$replaceWith":{"$cond":[{"$gte":["$_v",5]},"$$ROOT",{"$literal":{"_id":"a","_v":5,"price":"$_v"}}]}}],"upsert":true},` +
		`{"q":{"_id":"b"},"u":[{"$replaceWith":{"$cond":[{"$gte":["$_v",6]},"$$ROOT",{"_id":"$_id","_v":{"$literal":6},"_gone":"$$NOW"}]}}],"upsert":true}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if c.n != 2 {
		t.Errorf("got %d updates, want 2", c.n)
	}
}

func TestAddKeepsCommandOnError(t *testing.T) {
	c := newUpdateCommand("c", nil, time.Second)
	failure := errors.New("no")
	err := c.add("a", 1, keepIfNewer, func([]byte, string) ([]byte, error) { return nil, failure })
	if !errors.Is(err, failure) || c.n != 0 {
		t.Fatalf("got %v with %d updates", err, c.n)
	}
	if err := c.finish().Validate(); err != nil {
		t.Error(err)
	}
}
