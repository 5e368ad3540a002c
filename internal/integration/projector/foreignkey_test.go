package projector

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
)

// follower keeps the documents of joins up to date with a schema of a server.
type follower struct {
	*server
	log    *eventstore.MemoryLog
	sink   *projector.MemorySink
	runner *projector.Runner
	joins  []projector.Projector
	stop   func() error
}

// follow starts a relay and a runner.
func (s *server) follow(joins ...projector.Projector) *follower {
	s.Helper()
	source := s.source()
	f := &follower{server: s, log: s.newLog(source), sink: projector.NewMemorySink(), joins: joins}
	stopRelay := s.relay(source, f.log)
	var stopRunner func() error
	f.runner, stopRunner = f.run(f.sink)
	f.reach(f.runner)
	f.stop = func() error {
		if err := stopRunner(); err != nil {
			return err
		}
		return stopRelay()
	}
	return f
}

func (f *follower) run(sink projector.Sink) (*projector.Runner, func() error) {
	f.Helper()
	runner, err := projector.NewRunner(projector.Config{Log: f.log, Sinks: []projector.Sink{sink}, Projectors: f.joins})
	if err != nil {
		f.Fatal(err)
	}
	return runner, f.background(runner.Run)
}

// commit executes statements in one transaction and waits until every document is as new.
func (f *follower) commit(statements ...string) {
	f.Helper()
	tx, err := f.db.BeginTx(f.Context(), nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, statement := range statements {
		if _, err := tx.ExecContext(f.Context(), statement); err != nil {
			f.Fatalf("%.200s: %v", statement, err)
		}
	}
	if err := tx.Commit(); err != nil {
		f.Fatal(err)
	}
	f.reach(f.runner)
}

func (f *follower) reach(runner *projector.Runner) {
	f.Helper()
	executed := f.executed()
	for _, status := range runner.Status() {
		if err := runner.WaitForGTID(f.Context(), status.Projector, executed); err != nil {
			f.Fatal(err)
		}
	}
}

// documents are what readers of a target see.
func documents(sink *projector.MemorySink, target string) map[string]any {
	docs := map[string]any{}
	for d := range sink.Each(target) {
		docs[d.ID] = value(string(d.Body))
	}
	return docs
}

// selected are documents as one SQL statement of ids and JSON texts gives them.
func (s *server) selected(query string) map[string]any {
	s.Helper()
	conn, err := s.db.Conn(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(s.Context(), "SET SESSION group_concat_max_len = 10000000"); err != nil {
		s.Fatal(err)
	}
	rows, err := conn.QueryContext(s.Context(), query)
	if err != nil {
		s.Fatal(err)
	}
	defer rows.Close()
	docs := map[string]any{}
	for rows.Next() {
		var id, body string
		if err := rows.Scan(&id, &body); err != nil {
			s.Fatal(err)
		}
		docs[id] = value(body)
	}
	if err := rows.Err(); err != nil {
		s.Fatal(err)
	}
	return docs
}

// value is JSON as Go has it.
func value(text string) (v any) {
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return fmt.Sprintf("%s: %v", text, err)
	}
	return v
}

func (f *follower) want(step, target string, got, want map[string]any) {
	f.Helper()
	if reflect.DeepEqual(got, want) {
		return
	}
	for id, w := range want {
		if !reflect.DeepEqual(got[id], w) {
			f.Errorf("%s: %s document %s\n got %v\nwant %v", step, target, id, got[id], w)
		}
	}
	for id, g := range got {
		if _, found := want[id]; !found {
			f.Errorf("%s: %s document %s is there, want none:\n%v", step, target, id, g)
		}
	}
}

type (
	leftRow struct {
		Key string `json:"k"`
		FK  *int64 `json:"fk"`
		N   int    `json:"n"`
	}
	rightRow struct {
		FK    int64  `json:"fk"`
		Value string `json:"v"`
	}
	joined struct {
		FK    *int64  `json:"fk"`
		N     int     `json:"n"`
		Right *string `json:"right"`
	}
)

// foreignKeyJoins are the inner and the left join of two tables by a foreign key.
func (s *server) foreignKeyJoins() (joins []projector.Projector, innerSQL, leftSQL string) {
	left := projector.NewTable(s.schema+".l", func(l *leftRow) string { return l.Key })
	right := projector.NewTable(s.schema+".r", func(r *rightRow) int64 { return r.FK })
	rightOf := projector.BelongsTo(left, right, func(l *leftRow) int64 {
		if l.FK == nil {
			return -1 // no row of the right table has it
		}
		return *l.FK
	})
	join := func(name string, inner bool) projector.Projector {
		return projector.Join[leftRow, string, joined]{Name: name, Version: 1, Target: projector.MemoryTarget(name), Root: left,
			Reads: []projector.Readable{rightOf},
			Build: func(v *projector.View, l *leftRow) (*joined, error) {
				doc := &joined{FK: l.FK, N: l.N}
				if r, found := rightOf.Of(v, l); found {
					doc.Right = &r.Value
				} else if inner {
					return nil, nil
				}
				return doc, nil
			}}
	}
	query := `SELECT l.k, CONCAT('{"fk":', COALESCE(l.fk, 'null'), ',"n":', l.n, ',"right":', COALESCE(JSON_QUOTE(r.v), 'null'), '}') FROM l %s JOIN r ON r.fk = l.fk`
	return []projector.Projector{join("inner", true), join("left", false)}, fmt.Sprintf(query, "INNER"), fmt.Sprintf(query, "LEFT")
}

// TestForeignKeyJoin goes through the nine steps by which Kafka's documentation explains the join of two tables by a foreign key, and then through the
// cases of its tests: rows deleted on either side, that join nothing, that come back, keys that move there and back. After each step the documents
// are those that the steps' table has, and those that one SELECT gives; and documents that a step does not concern were not written.
func TestForeignKeyJoin(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		s.exec("CREATE TABLE l (k VARCHAR(10) PRIMARY KEY, fk INT NULL, n INT NOT NULL DEFAULT 0)")
		s.exec("CREATE TABLE r (fk INT PRIMARY KEY, v VARCHAR(10) NOT NULL)")
		joins, innerSQL, leftSQL := s.foreignKeyJoins()
		f := s.follow(joins...)
		put := func(k, fk string) string {
			return fmt.Sprintf("INSERT INTO l (k, fk) VALUES ('%s', %s) ON DUPLICATE KEY UPDATE fk = %[2]s", k, fk)
		}
		for _, step := range []struct {
			name        string
			do          []string
			inner, left string // by key: foreign key and right value
			wrote       string // keys of left documents
		}{
			{"1", []string{"INSERT INTO r VALUES (1, 'foo')", put("k", "1")}, "k:1:foo", "k:1:foo", "k"},
			{"2", []string{put("k", "2")}, "", "k:2:-", "k"},
			{"3", []string{put("k", "3")}, "", "k:3:-", "k"},
			{"4", []string{"INSERT INTO r VALUES (3, 'bar')"}, "k:3:bar", "k:3:bar", "k"},
			{"5", []string{put("k", "NULL")}, "", "k:-:-", "k"},
			{"6", []string{put("k", "1")}, "k:1:foo", "k:1:foo", "k"},
			{"7", []string{put("q", "10")}, "k:1:foo", "k:1:foo q:10:-", "q"},
			{"8", []string{put("r", "10")}, "k:1:foo", "k:1:foo q:10:- r:10:-", "r"},
			{"9", []string{"INSERT INTO r VALUES (10, 'baz')"}, "k:1:foo q:10:baz r:10:baz", "k:1:foo q:10:baz r:10:baz", "q r"},

			{"a right row that nobody has", []string{"INSERT INTO r VALUES (99, 'x')"}, "k:1:foo q:10:baz r:10:baz", "k:1:foo q:10:baz r:10:baz", ""},
			{"it goes", []string{"DELETE FROM r WHERE fk = 99"}, "k:1:foo q:10:baz r:10:baz", "k:1:foo q:10:baz r:10:baz", ""},
			{"a right row changes", []string{"UPDATE r SET v = 'qux' WHERE fk = 10"}, "k:1:foo q:10:qux r:10:qux", "k:1:foo q:10:qux r:10:qux", "q r"},
			{"a left row goes", []string{"DELETE FROM l WHERE k = 'q'"}, "k:1:foo r:10:qux", "k:1:foo r:10:qux", "q"},
			{"a right row goes", []string{"DELETE FROM r WHERE fk = 10"}, "k:1:foo", "k:1:foo r:10:-", "r"},
			{"a left row that joins nothing goes", []string{"DELETE FROM l WHERE k = 'r'"}, "k:1:foo", "k:1:foo", "r"},
			{"what is not there goes", []string{"DELETE FROM l WHERE k = 'r'", "DELETE FROM r WHERE fk = 10"}, "k:1:foo", "k:1:foo", ""},
			{"they come back", []string{put("q", "10"), put("r", "10"), "INSERT INTO r VALUES (10, 'new')"}, "k:1:foo q:10:new r:10:new", "k:1:foo q:10:new r:10:new", "q r"},
			{"the key moves, and its old row changes", []string{put("q", "1"), "UPDATE r SET v = 'old' WHERE fk = 10"}, "k:1:foo q:1:foo r:10:old", "k:1:foo q:1:foo r:10:old", "q r"},
			{"a row that the key has left changes", []string{"UPDATE r SET v = 'older' WHERE fk = 10"}, "k:1:foo q:1:foo r:10:older", "k:1:foo q:1:foo r:10:older", "r"},
			{"the key moves there and back", []string{put("q", "10"), put("q", "1")}, "k:1:foo q:1:foo r:10:older", "k:1:foo q:1:foo r:10:older", ""},
			{"another column", []string{"UPDATE l SET n = n + 1 WHERE k = 'k'"}, "k:1:foo q:1:foo r:10:older", "k:1:foo q:1:foo r:10:older", "k"},
			{"a right row gets another key", []string{"UPDATE r SET fk = 11 WHERE fk = 1"}, "r:10:older", "k:1:- q:1:- r:10:older", "k q"},
			{"two right rows change places", []string{"UPDATE r SET fk = 1000 WHERE fk = 11", "UPDATE r SET fk = 1 WHERE fk = 10", "UPDATE r SET fk = 10 WHERE fk = 1000"},
				"k:1:older q:1:older r:10:foo", "k:1:older q:1:older r:10:foo", "k q r"},
			{"a left row gets another key", []string{"UPDATE l SET k = 'z' WHERE k = 'q'"}, "k:1:older r:10:foo z:1:older", "k:1:older r:10:foo z:1:older", "q z"},
			{"all at once", []string{"DELETE FROM r", "DELETE FROM l WHERE k <> 'r'", put("r", "7"), "INSERT INTO r VALUES (7, 'end')"}, "r:7:end", "r:7:end", "k r z"},
		} {
			before := s.lastWritten(f, "left")
			f.commit(step.do...)
			inner, left := documents(f.sink, "inner"), documents(f.sink, "left")
			f.want(step.name, "inner", inner, s.selected(innerSQL))
			f.want(step.name, "left", left, s.selected(leftSQL))
			if got := brief(inner); got != step.inner {
				t.Errorf("%s: inner join is %q, want %q", step.name, got, step.inner)
			}
			if got := brief(left); got != step.left {
				t.Errorf("%s: left join is %q, want %q", step.name, got, step.left)
			}
			if got := changed(before, s.lastWritten(f, "left")); got != step.wrote {
				t.Errorf("%s: written were %q, want %q", step.name, got, step.wrote)
			}
		}
		if err := f.stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// lastWritten are the versions of the documents with the keys of the tests.
func (s *server) lastWritten(f *follower, target string) map[string]projector.Version {
	s.Helper()
	versions := map[string]projector.Version{}
	for _, id := range []string{"k", "q", "r", "z"} {
		d, _, err := f.sink.Get(s.Context(), projector.MemoryTarget(target), 1, id)
		if err != nil {
			s.Fatal(err)
		}
		versions[id] = d.Version
	}
	return versions
}

// changed lists the documents that have another version.
func changed(before, after map[string]projector.Version) string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(after)) {
		if before[id] != after[id] {
			ids = append(ids, id)
		}
	}
	return strings.Join(ids, " ")
}

// brief is documents as the steps' table has them: key, foreign key and right value, or "-".
func brief(docs map[string]any) string {
	var list []string
	for _, id := range slices.Sorted(maps.Keys(docs)) {
		doc, ok := docs[id].(map[string]any)
		if !ok {
			return fmt.Sprint(docs[id])
		}
		text := id
		for _, field := range []string{"fk", "right"} {
			if doc[field] == nil {
				text += ":-"
			} else {
				text += fmt.Sprint(":", doc[field])
			}
		}
		list = append(list, text)
	}
	return strings.Join(list, " ")
}
