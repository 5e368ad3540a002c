package projector_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rule is a counterexample that has once made a wrong document, what keeps it away, and the tests that fail without that.
type rule struct {
	name  string
	wrong string // what went wrong
	rule  string // what keeps it away
	// tests are those of this package, by the safeguard (package internal/safeguard) that each of them fails without.
	tests map[string][]string
	// others are tests, as folder.Test, whose rule no safeguard takes out.
	others []string
}

// rules are all counterexamples; docs/projectors.md has them as a table, see TestRulesPage.
var rules = []rule{
	{"C1", "A window leaves a document as it was and writes nothing; a paused process writes what it was in between.",
		"Same bytes are left out only if one transaction made them.",
		map[string][]string{"suppression": {"TestJoinSuppression", "TestWindow"}}, nil},
	{"C2", "A document is deleted, the store forgets that, and an older write brings it back.",
		"A delete leaves a tombstone with its version.",
		map[string][]string{"tombstones": {"TestMemorySink"}}, []string{"internal/integration/sinks.TestElastic"}},
	{"C3", "Another log begins at CSN 1 again: every write looks old, and nothing is written any more.",
		"Versions have a generation, progress and local states name their log, and a stored version above the log's end halts.",
		map[string][]string{"log-identity": {"TestOtherLog", "TestJoinForeignState"}, "above-head": {"TestVersionAboveTheLog"}}, nil},
	{"C4", "A Fold adds to a document that it has read from a copy that lags.",
		"What a document was comes from the log, never from the sink.",
		nil, []string{"projector.TestFoldBase"}},
	{"C5", "A process dies when half of a window is written; what is added up is added twice, or half.",
		"A transaction is applied to a document whole, and the document's version says which was the last.",
		map[string][]string{"whole-transactions": {"TestFoldTorn"}, "once": {"TestFoldEventsOnce"}}, []string{"projector.TestFoldDiesAnywhere"}},
	{"C6", "A snapshot reads a row whose change comes later, or reads it twice: sums count it twice.",
		"A handler's old row is the last one that it was given, and nothing is written before a snapshot has all rows.",
		map[string][]string{"own-rows": {"TestFoldReadRows"}, "whole-snapshots": {"TestHeld"}}, nil},
	{"C7", "Two programs make other documents of the same version; chance decides.",
		"A sample of documents that have not changed is made again at the start.",
		map[string][]string{"sample": {"TestJoinDefinitionChanged"}}, nil},
	{"C8", "Two first writers of one MongoDB document: a filtered upsert loses the newer one.",
		"One update with a condition in its pipeline; a clash on another index is told from one on `_id`.",
		nil, []string{"internal/integration/sinks.TestMongoDBUpsertRace", "internal/integration/sinks.TestMongoDBUniqueIndex"}},
	{"C9", "A MongoDB document is deleted, and a late write brings it back; or tombstones are seen by readers.",
		"Tombstones stay in the collection, and readers have a view without them.",
		map[string][]string{"tombstones": {"TestMemorySink"}}, []string{"internal/integration/sinks.TestMongoDB", "internal/integration/sinks.TestMongoDBViewSwitches"}},
	{"C10", "An index is deleted under a running projector; the next write makes one with guessed mappings.",
		"No write makes a store.",
		map[string][]string{"prepared-stores": {"TestMemorySink"}}, []string{"internal/integration/sinks.TestElasticAliasGone"}},
	{"C11", "Readers are switched to a new generation that is behind the old one.",
		"A generation is published when it has reached what was the log's end.",
		map[string][]string{"publish-at-head": {"TestNewVersion"}}, nil},
	{"C12", "A Query reads before the commit is visible, from two states, or finds by look-up only where a row is and not where it was.",
		"It waits for the database, reads one snapshot, asks both images of a row, and of two writes with one version the first stays.",
		map[string][]string{"executed-wait": {"TestQueryTargets"}, "both-images": {"TestQueryTargets"}, "equal-versions": {"TestMemorySink"}},
		[]string{"internal/integration/projector.TestSnapshotShowsWhatWasRead", "internal/integration/projector.TestSnapshotIsOneState"}},
	{"C13", "A document shows the half of its rows that the snapshot has read.",
		"Nothing is written or published before the log has all rows of the projector's tables.",
		map[string][]string{"whole-snapshots": {"TestHeld"}}, nil},
	{"C14", "A chunk of a snapshot lands in half, and is taken for whole.",
		"Chunks are finished or begun anew by the relay: a matter of the log.",
		nil, []string{"cdc.TestSnapshot", "internal/integration/snapshot.TestResume"}},
	{"C15", "A compacted log gives states below its end that the database never had.",
		"A replay writes nothing below the log's end at its start. (Nothing is compacted yet.)",
		map[string][]string{"replay-to-head": {"TestJoinReplay"}}, nil},
	{"C16", "A document is set aside, progress goes on, and a waiter is told that its write is there.",
		"Waiters are told of documents that are set aside, and progress stays below them. One that a sink refuses halts its projector.",
		map[string][]string{"parked-said": {"TestJoinCircle"}, "refused-halts": {"TestHaltOnRefusedDocument"}}, nil},
	{"C17", "A change of 100,000 documents is written over minutes; a successor begins behind it and leaves out the rest.",
		"Progress stays below the oldest change that is not written.",
		map[string][]string{"oldest-pending": {"TestJoinSpread"}}, nil},
	{"C18", "No document changes, progress stands still, and a waiter waits for ever; or it waits for its window.",
		"Progress moves once a second, and a waiter closes the window.",
		map[string][]string{"idle-progress": {"TestIdleProgress"}, "waiters-first": {"TestWaitFor"}}, nil},
	{"C19", "Local state and sink disagree after a crash, and one is taken for the other.",
		"The state says where to read, the sink's progress what to write; a state ends with a commit; one of another log or definition is built anew.",
		map[string][]string{"unwritten": {"TestJoinSinkLost"}, "silent-catch-up": {"TestJoinStateBehind"}, "log-identity": {"TestJoinForeignState"}, "groups": {"TestMemoryStates"}},
		[]string{"projector/pebblestate.TestLocalStatesCrash"}},
	{"C20", "A process that takes over documents lacks the rows, or does not know which documents have changed.",
		"Every process holds all rows, and the csn of each document's last change. (One process builds all documents yet.)",
		map[string][]string{"unwritten": {"TestJoinSinkLost"}}, nil},
	{"C21", "A reader holds a whole watermark, or a buffer a partition, in memory.",
		"A cut is an iterator, and all partitions share one budget: a matter of the log.",
		nil, []string{"internal/integration/kafkalog.TestBoundedMemory"}},
	{"keys that move", "A row gets another parent, and the one that it has left shows it still.",
		"A changed row is walked from both of its images, at once.",
		map[string][]string{"both-images": {"TestJoinDifferential", "TestJoinScenario"}}, nil},
}

// safeguards are those that the rule's tests fail without, in order.
func (r rule) safeguards() []string { return slices.Sorted(maps.Keys(r.tests)) }

// TestRules: every test that the rules name is there.
func TestRules(t *testing.T) {
	for _, r := range rules {
		if len(r.tests)+len(r.others) == 0 {
			t.Errorf("%s: no test", r.name)
		}
		for _, tests := range r.tests {
			for _, name := range tests {
				wantTest(t, ".", name)
			}
		}
		for _, other := range r.others {
			dir, name, _ := strings.Cut(other, ".")
			wantTest(t, filepath.Join("..", dir), name)
		}
	}
}

var testsOf = map[string]map[string]bool{}

// wantTest checks that a folder has a test.
func wantTest(t *testing.T, dir, name string) {
	t.Helper()
	if testsOf[dir] == nil {
		testsOf[dir] = map[string]bool{}
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
					testsOf[dir][f.Name.Name] = true
				}
			}
		}
	}
	if !testsOf[dir][name] {
		t.Errorf("there is no test %s in %s", name, dir)
	}
}

// rulesTable is the rules as a table for the page.
func rulesTable() string {
	var b strings.Builder
	b.WriteString("| | what went wrong | what keeps it away | tests |\n|---|---|---|---|\n")
	for _, r := range rules {
		var tests []string
		seen := map[string]bool{}
		for _, s := range r.safeguards() {
			for _, name := range r.tests[s] {
				if !seen[name] {
					seen[name] = true
					tests = append(tests, "`"+name+"`")
				}
			}
		}
		for _, other := range r.others {
			tests = append(tests, "`"+other+"`")
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.name, r.wrong, r.rule, strings.Join(tests, ", "))
	}
	return b.String()
}

// TestRulesPage: docs/projectors.md has the rules as they are here.
func TestRulesPage(t *testing.T) {
	page, err := os.ReadFile("../docs/projectors.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := rulesTable(); !strings.Contains(string(page), want) {
		t.Errorf("docs/projectors.md lacks this table:\n%s", want)
	}
}
