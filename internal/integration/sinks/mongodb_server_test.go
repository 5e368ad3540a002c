package sinks

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/mongodb"
)

// TestMongoDBUniqueIndex: a clash in the user's own unique index is refused, alone, and named without its value.
func TestMongoDBUniqueIndex(t *testing.T) {
	e := newMongo(t)
	target := mongodb.Collection(uniqueName(), mongodb.Indexes(`[{"key": {"sku": 1, "shop": 1}, "name": "sku", "unique": true, "sparse": true}]`))
	if err := e.sink.Prepare(t.Context(), target, 1); err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, e.sink, target, projector.Write{ID: "a", Version: 1, Body: []byte(`{"sku":"secret","shop":1}`)}, projector.Applied)
	writes := []projector.Write{
		{ID: "b", Version: 1, Body: []byte(`{"sku":"other","shop":1}`)}, {ID: "c", Version: 1, Body: []byte(`{"sku":"secret","shop":1}`)},
		{ID: "a", Version: 2, Body: []byte(`{"sku":"secret","shop":1,"n":2}`)}, {ID: "d", Version: 1},
	}
	results := make([]projector.Result, len(writes))
	if err := e.sink.Apply(t.Context(), target, 1, writes, results); err != nil {
		t.Fatal(err)
	}
	for i, want := range []projector.Outcome{projector.Applied, projector.Refused, projector.Applied, projector.Applied} {
		if results[i].Outcome != want {
			t.Errorf("%q: %+v, want %d", writes[i].ID, results[i], want)
		}
	}
	wantError(t, results[1].Err, false, `"c"`, "unique index", "sku", "shop")
	if strings.Contains(results[1].Err.Error(), "secret") {
		t.Errorf("the error holds document text: %v", results[1].Err)
	}
}

// TestMongoDBRefusedBesideOthers: documents that MongoDB cannot hold are refused without harm to others of the same call.
func TestMongoDBRefusedBesideOthers(t *testing.T) {
	e := newMongo(t)
	target := mongodb.Collection(uniqueName())
	if err := e.sink.Prepare(t.Context(), target, 1); err != nil {
		t.Fatal(err)
	}
	deep := func(levels int) []byte {
		return []byte(strings.Repeat(`{"a":`, levels) + "1" + strings.Repeat("}", levels))
	}
	big := func(bytes int) []byte {
		const around = len(`..._id.....id.._v......... text......`) // a little more than what surrounds the text in BSON
		return []byte(`{"text":"` + strings.Repeat("x", bytes-around-8) + `"}`)
	}
	writes := []projector.Write{
		{ID: "ok1", Body: []byte(`{"n":1}`)}, {ID: "over 16 MiB", Body: big(16<<20 + 100)}, {ID: "16 MiB", Body: big(16 << 20)},
		{ID: "many small integers", Body: []byte(`{"a":[1` + strings.Repeat(",1", 1<<20) + `]}`)}, // 2 MiB of JSON, 12 MiB of BSON
		{ID: "101 levels", Body: deep(101)}, {ID: "100 levels", Body: deep(100)}, {ID: "NUL", Body: []byte(`{"a\u0000":1}`)},
		{ID: "_id", Body: []byte(`{"_id":1}`)}, {ID: "_v", Body: []byte(`{"_v":1}`)}, {ID: "_gone", Body: []byte(`{"_gone":1}`)},
		{ID: "not JSON", Body: []byte(`{`)}, {ID: "array", Body: []byte(`[]`)}, {ID: "ok2", Body: []byte(`{"n":2}`)},
	}
	for round := range projector.Version(2) { // created, then replaced
		for i := range writes {
			writes[i].Version = round + 1
		}
		results := make([]projector.Result, len(writes))
		if err := e.sink.Apply(t.Context(), target, 1, writes, results); err != nil {
			t.Fatal(err)
		}
		for i, w := range writes {
			want := projector.Refused
			switch w.ID {
			case "ok1", "ok2", "16 MiB", "many small integers", "100 levels":
				want = projector.Applied
			}
			if results[i].Outcome != want {
				t.Errorf("%s: %+v, want %d", w.ID, results[i], want)
			}
			_, found, err := e.sink.Get(t.Context(), target, 1, w.ID)
			if err != nil || found != (want == projector.Applied) {
				t.Errorf("%s: found %v, %v", w.ID, found, err)
			}
		}
	}
}

// TestMongoDBDollars: what looks like MongoDB's own syntax is data, in the store and in the view.
func TestMongoDBDollars(t *testing.T) {
	e := newMongo(t)
	target := mongodb.Collection(uniqueName())
	if err := e.sink.Prepare(t.Context(), target, 1); err != nil {
		t.Fatal(err)
	}
	if err := e.sink.Publish(t.Context(), target, 1); err != nil {
		t.Fatal(err)
	}
	bodies := []string{
		`{"x":"$_v","y":"$$ROOT"}`, `{"$x":1,"$set":{"_v":9}}`, `{"a.b":1,"n":{"c.d":2,".":3,"":4}}`, `{"":1}`, `{"n":{"$ref":"c","$id":1,"$db":"d"}}`,
		`{"n":{"$literal":1},"$cond":["$_v",1,2]}`, `{"n":{"$numberLong":"7"},"d":{"$date":0}}`, `{"__proto__":1,"constructor":2}`,
	}
	for i, body := range bodies {
		id := fmt.Sprint("$", i)
		for version := range projector.Version(2) {
			wantOutcome(t, e.sink, target, projector.Write{ID: id, Version: version + 1, Body: []byte(body)}, projector.Applied)
		}
		d, found, err := e.sink.Get(t.Context(), target, 1, id)
		if err != nil || !found || string(d.Body) != body {
			t.Errorf("%s: got %s, %v, %v", body, d.Body, found, err)
		}
	}
	n, err := e.db.Collection(target.Name).CountDocuments(t.Context(), bson.D{})
	if err != nil || int(n) != len(bodies) {
		t.Errorf("the view has %d documents, %v; want %d", n, err, len(bodies))
	}
}

// TestMongoDBUpsertRace: eight clients, each with connections of its own, create the same documents at once, at versions 1 to 8. The
// highest stays (C8: without retry and pipeline one document in thousands did not).
func TestMongoDBUpsertRace(t *testing.T) {
	const clients, documents, rounds = 8, 100, 12
	first := newMongo(t)
	envs := []*mongoEnv{first}
	for range clients - 1 {
		envs = append(envs, newMongo(t, func(cfg *mongodb.Config) { cfg.Database = first.db.Name() }))
	}
	target := mongodb.Collection(uniqueName())
	if err := first.sink.Prepare(t.Context(), target, 1); err != nil {
		t.Fatal(err)
	}
	retries := make([]int, clients)
	for round := range rounds {
		start := make(chan struct{})
		var group sync.WaitGroup
		for c, e := range envs {
			group.Go(func() {
				writes := make([]projector.Write, documents)
				for i := range writes {
					writes[i] = projector.Write{ID: fmt.Sprint(round, "/", i), Version: projector.Version(c + 1), Body: fmt.Appendf(nil, `{"n":%d}`, c+1)}
				}
				<-start
				for len(writes) > 0 {
					results := make([]projector.Result, len(writes))
					if err := e.sink.Apply(t.Context(), target, 1, writes, results); err != nil {
						t.Errorf("client %d: %v", c, err)
						return
					}
					var again []projector.Write
					for i, r := range results {
						switch r.Outcome {
						case projector.Retry:
							retries[c]++
							again = append(again, writes[i])
						case projector.Refused:
							t.Errorf("client %d: %v", c, r.Err)
						}
					}
					writes = again
				}
			})
		}
		close(start)
		group.Wait()
	}
	n, err := first.db.Collection(target.Name+"__g1").CountDocuments(t.Context(), bson.D{{Key: "_v", Value: int64(clients)}, {Key: "n", Value: clients}})
	if err != nil || n != documents*rounds {
		t.Errorf("%d of %d documents are at the highest version (%v)", n, documents*rounds, err)
	}
	t.Logf("retries: %v", retries)
}

// TestMongoDBViewSwitches: readers of the view, and a cursor that is open, meet 40 switches without an error or a mixture.
func TestMongoDBViewSwitches(t *testing.T) {
	const documents, switches, readers = 200, 40, 3
	e := newMongo(t)
	target := mongodb.Collection(uniqueName())
	for generation := range uint64(2) {
		if err := e.sink.Prepare(t.Context(), target, generation+1); err != nil {
			t.Fatal(err)
		}
		writes := make([]projector.Write, documents)
		for i := range writes {
			writes[i] = projector.Write{ID: fmt.Sprint(i), Version: 1, Body: fmt.Appendf(nil, `{"g":%d}`, generation+1)}
		}
		if err := e.sink.Apply(t.Context(), target, generation+1, writes, make([]projector.Result, documents)); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.sink.Publish(t.Context(), target, 1); err != nil {
		t.Fatal(err)
	}
	view := e.db.Collection(target.Name)
	open, err := view.Find(t.Context(), bson.D{}, options.Find().SetBatchSize(10))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	reads := make([]int, readers)
	var group sync.WaitGroup
	for r := range readers {
		group.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				cursor, err := view.Find(t.Context(), bson.D{})
				if err != nil {
					t.Errorf("read %d: %v", reads[r], err)
					return
				}
				var docs []struct{ G int }
				if err := cursor.All(t.Context(), &docs); err != nil {
					t.Errorf("read %d: %v", reads[r], err)
					return
				}
				for _, d := range docs {
					if d.G != docs[0].G {
						t.Errorf("read %d: two generations in one read", reads[r])
						return
					}
				}
				if len(docs) != documents {
					t.Errorf("read %d: %d documents, want %d", reads[r], len(docs), documents)
					return
				}
				reads[r]++
			}
		})
	}
	for i := range uint64(switches) {
		if err := e.sink.Publish(t.Context(), target, 2-i%2); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	group.Wait()
	var rest []struct{ G int }
	if err := open.All(t.Context(), &rest); err != nil || len(rest) != documents || rest[len(rest)-1].G != 1 {
		t.Errorf("the cursor that was open: %d documents, %v", len(rest), err)
	}
	t.Logf("reads during %d switches: %v", switches, reads)
}

// TestMongoDBReplaced: a collection that was dropped and made anew is not written to, until Prepare is called: its documents are gone, and
// somebody must notice.
func TestMongoDBReplaced(t *testing.T) {
	e := newMongo(t)
	target := mongodb.Collection(uniqueName())
	if err := e.sink.Prepare(t.Context(), target, 1); err != nil {
		t.Fatal(err)
	}
	w := projector.Write{ID: "a", Version: 1, Body: []byte(`{}`)}
	wantOutcome(t, e.sink, target, w, projector.Applied)
	collection := e.db.Collection(target.Name + "__g1")
	if err := collection.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := e.db.CreateCollection(t.Context(), collection.Name()); err != nil {
		t.Fatal(err)
	}
	_, err := write(t, e.sink, target, w)
	wantError(t, err, false, "made anew")
	_, _, err = e.sink.Get(t.Context(), target, 1, "a")
	wantError(t, err, false, "made anew")
	if err := e.sink.Prepare(t.Context(), target, 1); err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, e.sink, target, w, projector.Applied)
}

// TestMongoDBPrepareRefuses names every way in which a name is taken or a collection is not the target's.
func TestMongoDBPrepareRefuses(t *testing.T) {
	e := newMongo(t)
	insert := func(t *testing.T, collection string) {
		t.Helper()
		if _, err := e.db.Collection(collection).InsertOne(t.Context(), bson.D{{Key: "_id", Value: "x"}}); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("public name is a collection", func(t *testing.T) {
		target := mongodb.Collection(uniqueName())
		insert(t, target.Name)
		wantError(t, e.sink.Prepare(t.Context(), target, 1), false, "is a collection")
	})
	t.Run("public name is another's view", func(t *testing.T) {
		target := mongodb.Collection(uniqueName())
		if err := e.db.CreateView(t.Context(), target.Name, "other", mongo.Pipeline{}); err != nil {
			t.Fatal(err)
		}
		wantError(t, e.sink.Prepare(t.Context(), target, 1), false, "is a view on other")
	})
	t.Run("not Millrace's collection", func(t *testing.T) {
		target := mongodb.Collection(uniqueName())
		insert(t, target.Name+"__g1")
		wantError(t, e.sink.Prepare(t.Context(), target, 1), false, "was not created by Millrace")
	})
	t.Run("capped", func(t *testing.T) {
		target := mongodb.Collection(uniqueName())
		if err := e.db.CreateCollection(t.Context(), target.Name+"__g1", options.CreateCollection().SetCapped(true).SetSizeInBytes(4096)); err != nil {
			t.Fatal(err)
		}
		wantError(t, e.sink.Prepare(t.Context(), target, 1), false, "not an ordinary collection")
	})
	t.Run("changed index", func(t *testing.T) {
		name := uniqueName()
		if err := e.sink.Prepare(t.Context(), mongodb.Collection(name, mongodb.Indexes(`[{"key":{"a":1},"name":"i"}]`)), 1); err != nil {
			t.Fatal(err)
		}
		err := e.sink.Prepare(t.Context(), mongodb.Collection(name, mongodb.Indexes(`[{"key":{"a":1},"name":"i","unique":true}]`)), 1)
		wantError(t, err, false, "other options")
	})
	t.Run("added index and another age", func(t *testing.T) {
		name := uniqueName()
		if err := e.sink.Prepare(t.Context(), mongodb.Collection(name), 1); err != nil {
			t.Fatal(err)
		}
		other := newMongo(t, func(cfg *mongodb.Config) { cfg.Database, cfg.TombstoneAge = e.db.Name(), time.Hour })
		if err := other.sink.Prepare(t.Context(), mongodb.Collection(name, mongodb.Indexes(`[{"key":{"a":1},"name":"i"}]`)), 1); err != nil {
			t.Fatal(err)
		}
		specs, err := e.db.Collection(name + "__g1").Indexes().ListSpecifications(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]int32{}
		for _, s := range specs {
			found[s.Name] = 0
			if s.ExpireAfterSeconds != nil {
				found[s.Name] = *s.ExpireAfterSeconds
			}
		}
		if _, ok := found["i"]; !ok || found["millrace_gone"] != 3600 {
			t.Errorf("indexes: %v", found)
		}
	})
}

// TestMongoDBCheck: what is wrong with the server or the account gives one clear error, and the password is in none.
func TestMongoDBCheck(t *testing.T) {
	e := newMongo(t)
	ctx := t.Context()
	admin := e.db.Client().Database("admin")
	reader, writer := uniqueName(), uniqueName()
	for user, roles := range map[string]bson.A{
		reader: {bson.D{{Key: "role", Value: "read"}, {Key: "db", Value: e.db.Name()}}},
		writer: {bson.D{{Key: "role", Value: "readWrite"}, {Key: "db", Value: e.db.Name()}}, bson.D{{Key: "role", Value: "dbAdmin"}, {Key: "db", Value: e.db.Name()}}},
	} {
		if err := admin.RunCommand(ctx, bson.D{{Key: "createUser", Value: user}, {Key: "pwd", Value: "hunter2"}, {Key: "roles", Value: roles}}).Err(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := admin.RunCommand(context.Background(), bson.D{{Key: "dropUser", Value: user}}).Err(); err != nil {
				t.Errorf("clean up: %v", err)
			}
		})
	}
	as := func(user, password string) string {
		u, err := url.Parse(e.uri)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(user, password)
		return u.String()
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		uri    string
		passes bool
		texts  []string
	}{
		"wrong password":    {as(writer, "hunter2x"), false, []string{"password is wrong", "18"}},
		"lacks privileges":  {as(reader, "hunter2"), false, []string{reader, "collMod", "createCollection", "update", "grantRolesToUser", "dbAdmin"}},
		"unreachable":       {"mongodb://" + closed.Addr().String() + "/?replicaSet=rs0", true, []string{closed.Addr().String(), "refused"}},
		"wrong replica set": {strings.ReplaceAll(e.uri, "rs0", "rs-other"), true, []string{"rs-other"}},
	} {
		t.Run(name, func(t *testing.T) {
			timeout := 2 * time.Second // how long a primary is searched for
			if !c.passes {
				timeout = time.Minute
			}
			s, err := mongodb.New(mongodb.Config{URI: c.uri, Database: e.db.Name(), Timeout: timeout})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			err = s.Check(t.Context())
			wantError(t, err, c.passes, c.texts...)
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
	s, err := mongodb.New(mongodb.Config{URI: as(writer, "hunter2"), Database: e.db.Name()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Check(ctx); err != nil {
		t.Errorf("with the right password: %v", err)
	}
}
