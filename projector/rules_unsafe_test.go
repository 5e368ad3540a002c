//go:build millrace_unsafe

package projector_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestRulesTakenOut takes each rule out in turn, in a process of its own, and wants its tests to fail; with nothing taken out they must pass.
func TestRulesTakenOut(t *testing.T) {
	if os.Getenv("MILLRACE_UNSAFE") != "" {
		t.Fatal("MILLRACE_UNSAFE is set: this test sets it for each rule")
	}
	passed := map[string]bool{}
	run := func(without, test string) (failed bool, said string) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.timeout=60s", "-test.failfast")
		cmd.Env = append(os.Environ(), "MILLRACE_UNSAFE="+without)
		out, err := cmd.CombinedOutput()
		return err != nil, string(out)
	}
	for _, r := range rules {
		for _, without := range r.safeguards() {
			for _, test := range r.tests[without] {
				if !passed[test] {
					if failed, said := run("", test); failed {
						t.Errorf("%s fails with nothing taken out:\n%s", test, said)
						continue
					}
					passed[test] = true
				}
				failed, said := run(without, test)
				first, _, _ := strings.Cut(said, "\n")
				if !failed || !strings.Contains(said, test) {
					t.Errorf("%s without %s: %s does not fail:\n%s", r.name, without, test, said)
				} else {
					t.Logf("%s without %s: %s fails: %s", r.name, without, test, first)
				}
			}
		}
	}
}
