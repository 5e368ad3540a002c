package documents

import (
	"strings"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/projector"
)

// TestReplay invents a history of two tags, and documents that were seen of it.
func TestReplay(t *testing.T) {
	rec := func(csn uint64, id, before, after string) *history.Record {
		r := &history.Record{CSN: csn, Table: "tag"}
		image := func(name string) map[string]history.Value {
			if name == "" {
				return nil
			}
			return map[string]history.Value{"id": {Text: id}, "name": {Text: name}}
		}
		r.Before, r.After = image(before), image(after)
		return r
	}
	log := []*history.Record{rec(1, "1", "", "a"), rec(1, "2", "", "b"), rec(3, "1", "a", "c"), rec(5, "2", "b", "")}
	doc := func(name string) sum {
		if name == "" {
			return absent
		}
		s, err := sumOf([]byte(`{"articles": [], "name": "` + name + `"}`))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	seen := func(csn uint64, id, name string) sighting {
		return sighting{servers.MongoDB, docKey{"tag", id}, projector.Version(1<<44 | csn), doc(name)}
	}
	for _, c := range []struct {
		name          string
		seen, differ  []sighting
		want          map[docKey]sum // at csn 4
		what          string
		documents, eq int
	}{
		{"right", []sighting{seen(1, "1", "a"), seen(2, "1", "a"), seen(3, "1", "c"), seen(9, "1", "c"), seen(5, "2", "")}, nil,
			map[docKey]sum{{"tag", "1"}: doc("c"), {"tag", "2"}: doc("b")}, "missing 0 extra 0 wrong 0 documents 5 equal 5 torn 0 stale 0", 5, 5},
		{"too new for its version", []sighting{seen(2, "1", "c")}, nil, nil, "torn 1 stale 0", 1, 0},
		{"too old for its version", []sighting{seen(3, "1", "a")}, nil, nil, "torn 1 stale 0", 1, 0},
		{"there after its end", []sighting{seen(5, "2", "b")}, nil, nil, "torn 1 stale 0", 1, 0},
		{"gone before its end", []sighting{seen(3, "2", "")}, nil, nil, "torn 1 stale 0", 1, 0},
		{"did not follow", nil, []sighting{seen(2, "1", "a")}, nil, "torn 0 stale 1", 0, 0},
		{"differs at a cut, and is nothing", nil, []sighting{seen(4, "1", "x")}, nil, "torn 1 stale 0", 0, 0},
		{"seen and did not follow", []sighting{seen(2, "1", "a")}, []sighting{seen(2, "1", "a")}, nil, "torn 0 stale 1", 1, 1},
		{"the SQL has another document", nil, nil, map[docKey]sum{{"tag", "1"}: doc("x"), {"tag", "2"}: doc("b")}, "wrong 1 documents 0 equal 0 torn 0 stale 0", 0, 0},
		{"the SQL has one more", nil, nil, map[docKey]sum{{"tag", "1"}: doc("c"), {"tag", "2"}: doc("b"), {"tag", "3"}: doc("b")}, "wrong 1 documents 0 equal 0 torn 0 stale 0", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, e := &Verdict{}, &evidence{seen: map[sighting]bool{}, differ: map[sighting]bool{}}
			for _, s := range c.seen {
				e.seen[s] = true
			}
			for _, s := range c.differ {
				e.differ[s] = true
			}
			if c.want != nil {
				e.cuts = []cut{{csn: 4, want: c.want}}
			}
			p := newReplay(v, e)
			for _, r := range log {
				if err := p.take(r); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.end(); err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(v.String(), c.what) || v.Documents != c.documents || v.Equal != c.eq {
				t.Errorf("got %s, want %s", v, c.what)
			}
		})
	}
}

// TestCompare compares what readers see at a cut with what should be there.
func TestCompare(t *testing.T) {
	a, b := sum{1}, sum{2}
	c := &cut{csn: 7, want: map[docKey]sum{{"tag", "1"}: a, {"tag", "2"}: b, {"order", "3"}: a}}
	for _, test := range []struct {
		got    map[string]sum
		what   string
		differ int
	}{
		{map[string]sum{"1": a, "2": b}, "missing 0 extra 0 wrong 0 documents 2 equal 2 torn 0 stale 0", 0},
		{map[string]sum{"1": a}, "missing 1 extra 0 wrong 0 documents 2 equal 1 torn 0 stale 1", 0},
		{map[string]sum{"1": a, "2": b, "3": a}, "missing 0 extra 1 wrong 0 documents 3 equal 2 torn 0 stale 1", 0},
		{map[string]sum{"1": a, "2": a}, "missing 0 extra 0 wrong 0 documents 2 equal 1 torn 0 stale 0", 1},
	} {
		v := &Verdict{}
		if differ := v.compare(c, servers.MongoDB, "tag", test.got); len(differ) != test.differ || v.String() != test.what {
			t.Errorf("of %v: got %s, %d differ, want %s, %d", test.got, v, len(differ), test.what, test.differ)
		}
	}
}

// TestTooLittle: a run in which too little happened shows nothing, and says so.
func TestTooLittle(t *testing.T) {
	cfg := Config{Transactions: 100, Cuts: 2, Kills: 3, Losses: 2, Rivals: 1}
	enough := Report{Verdict: Verdict{Documents: 10, Equal: 10}, Cuts: 3, Kills: 5, Losses: 2, Rivals: 1, Seen: 9, Changes: 400}
	if err := enough.problems(&cfg); err != nil {
		t.Fatalf("enough happened: %v", err)
	}
	for what, spoil := range map[string]func(r *Report){
		"cuts":                       func(r *Report) { r.Cuts = 2 },
		"kills":                      func(r *Report) { r.Kills = 4 },
		"losses":                     func(r *Report) { r.Losses = 1 },
		"rivals":                     func(r *Report) { r.Rivals = 0 },
		"documents that were read":   func(r *Report) { r.Seen = 0 },
		"changes":                    func(r *Report) { r.Changes = 20 },
		"not what the rows say":      func(r *Report) { r.Equal = 9 },
		"not what the rows say: mis": func(r *Report) { r.Documents, r.Equal = 0, 0 },
	} {
		r := enough
		spoil(&r)
		if err := r.problems(&cfg); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("too few %s: error is %v", what, err)
		}
	}
	if _, err := Run(t.Context(), Config{Kind: servers.Kafka, Kills: -1, Break: "drop,everything"}); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("settings that are wrong: error is %v, want three problems", err)
	}
}
