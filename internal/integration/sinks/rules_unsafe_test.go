//go:build millrace_unsafe

package sinks

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestRulesTakenOut: without the comparison of versions in the store (C2 and C8 of docs/projectors.md) the tests of both sinks fail, each of which passes
// with it. Package projector has such a test for the other rules.
func TestRulesTakenOut(t *testing.T) {
	if os.Getenv("MILLRACE_UNSAFE") != "" {
		t.Fatal("MILLRACE_UNSAFE is set: this test sets it")
	}
	run := func(without, test string) (failed bool, said string) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^"+strings.ReplaceAll(test, "/", "$/^")+"$", "-test.timeout=120s")
		cmd.Env = append(os.Environ(), "MILLRACE_UNSAFE="+without)
		out, err := cmd.CombinedOutput()
		return err != nil, string(out)
	}
	for _, test := range []string{"TestElastic/StaleWrite", "TestElastic/LateWriteAfterDelete", "TestMongoDB/StaleWrite", "TestMongoDB/LateWriteAfterDelete", "TestMongoDBUpsertRace"} {
		if failed, said := run("", test); failed {
			t.Errorf("%s fails with nothing taken out:\n%s", test, said)
		}
		failed, said := run("newer-wins", test)
		if !failed || !strings.Contains(said, "--- FAIL: "+test) {
			t.Errorf("%s does not fail without newer-wins:\n%s", test, said)
		}
		for line := range strings.Lines(said) {
			if strings.Contains(line, "_test.go") || strings.Contains(line, "--- FAIL") {
				t.Log(strings.TrimRight(line, "\n"))
			}
		}
	}
}
