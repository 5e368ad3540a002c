package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestSmall is the verification on a scale that every run of the tests can afford: 300,000 rows, rows of 16 MiB, a compressed
// transaction of 112 MiB. The command is built anew, because the race detector would take several times the memory.
func TestSmall(t *testing.T) {
	command := filepath.Join(t.TempDir(), "memory")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", command, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for _, kind := range []servers.Kind{servers.MariaDB, servers.MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			t.Attr("server", string(kind))
			t.Attr("server", string(servers.Kafka))
			args := []string{"-databases", string(kind), "-rows", "300000", "-row", "16", "-updates", "2", "-updates-bound", "160", "-payload", "3", "-payload-bound", "160"}
			out, err := exec.CommandContext(t.Context(), command, args...).CombinedOutput()
			t.Logf("%s", out)
			if err != nil {
				t.Fatal(err)
			}
			if kind == servers.MySQL && !regexp.MustCompile(`compressed 0\.1\d GB \d+ MB of 160`).Match(out) {
				t.Error("no compressed transaction was measured")
			}
		})
	}
}

// TestBoundIsChecked: a relay that takes more than it may is an error.
func TestBoundIsChecked(t *testing.T) {
	s := settings{rowsMB: 150, updatesMB: 500, payloadMB: 500}
	if text, err := s.judge(summary{rows: 150e6, updates: 500e6, payload: 500e6}); err != nil || !strings.Contains(text, "150 MB of 150") {
		t.Errorf("at the bounds: %q, %v", text, err)
	}
	for _, peaks := range []summary{{rows: 151e6}, {updates: 501e6}, {payload: 501e6}} {
		if _, err := s.judge(peaks); err == nil {
			t.Errorf("%+v is no error", peaks)
		}
	}
}
