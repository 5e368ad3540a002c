package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// command is the program, built anew: the race detector would make the relays take several times the memory.
var command string

func TestMain(m *testing.M) { os.Exit(test(m)) }

func test(m *testing.M) int {
	dir, err := os.MkdirTemp("", "exactlyonce")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	command = filepath.Join(dir, "exactlyonce")
	if out, err := exec.CommandContext(context.Background(), "go", "build", "-buildvcs=false", "-o", command, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func output(t *testing.T, kind servers.Kind, env ...string) []byte {
	t.Helper()
	t.Attr("server", string(kind))
	t.Attr("server", string(servers.Kafka))
	cmd := exec.CommandContext(t.Context(), command)
	cmd.Env = append(append(os.Environ(), "DB="+string(kind)), env...)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestSmall is the verification on a scale that every run of the tests can afford: the faults that are made for one safeguard each, and a few more.
func TestSmall(t *testing.T) {
	out := output(t, servers.MariaDB, "SEED=4", "KILLS=6", "CHANGES=5000")
	if !regexp.MustCompile(`(?m)^faults 9 changes \d{4,} lost 0 duplicated 0 reordered 0 torn 0 invented 0 ahead 0$`).Match(out) {
		t.Error("the last line is another one")
	}
}

// TestSmallOutage has Kafka down until the clients have committed more than the relay may hold.
func TestSmallOutage(t *testing.T) {
	out := output(t, servers.MySQL, "SEED=4", "OUTAGE=1", "OUTAGE_ROWS=20000")
	if !regexp.MustCompile(`(?m)^mysql: kafka down .* 2\d{4} rows of 3500 bytes committed meanwhile, peak memory of the relay [1-9]\d* MB of 150$`).Match(out) {
		t.Error("no line about memory")
	}
}

// Settings that make no sense are refused before anything is started.
func TestSettings(t *testing.T) {
	for _, env := range []string{"KILLS=x", "DB=oracle", "SEED=-1"} {
		cmd := exec.CommandContext(t.Context(), command)
		cmd.Env = append(os.Environ(), env)
		if out, err := cmd.CombinedOutput(); err == nil || cmd.ProcessState.ExitCode() != 2 {
			t.Errorf("%s: %v\n%s", env, err, out)
		}
	}
}
