package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// TestMain lets the test binary play the command, so that servers are seen to outlive the process that started them.
func TestMain(m *testing.M) {
	if os.Getenv("SERVICES_TEST_MAIN") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// services runs the command in a process of its own and returns what it printed.
func services(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "SERVICES_TEST_MAIN=1")
	out, err := cmd.CombinedOutput()
	t.Logf("services %s\n%s", strings.Join(args, " "), out)
	return string(out), err
}

// TestLife starts a server by one process, looks at it and stops it by others.
func TestLife(t *testing.T) {
	tool, err := servers.BinlogTool(t.Context(), servers.MariaDB, t.Logf) // installs MariaDB
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir() // a cache of the test's own, so that the machine's shared servers are left alone
	if home, bin, ok := strings.Cut(tool, "/mariadb/"); ok {
		if err := os.Symlink(filepath.Join(home, "mariadb"), filepath.Join(cache, "mariadb")); err != nil {
			t.Fatal(bin, err)
		}
	}
	t.Setenv("MILLRACE_CACHE", cache)

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	takenPort := fmt.Sprint(taken.Addr().(*net.TCPAddr).Port)
	out, err := services(t, "start", "-mariadb-port", takenPort, "mariadb")
	if err == nil || !strings.Contains(out, "port "+takenPort) || !strings.Contains(out, "-mariadb-port") || strings.Count(out, "\n") != 1 {
		t.Errorf("taken port: %v", err)
	}

	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprint(free.Addr().(*net.TCPAddr).Port)
	free.Close()
	t.Cleanup(func() { _, _ = services(t, "stop", "mariadb") })
	for _, step := range []struct {
		args []string
		want string // a regular expression
		fail bool
	}{
		{[]string{"status", "mariadb"}, `mariadb +does not run`, false},
		{[]string{"start", "-mariadb-port", port, "mariadb"}, `mariadb +started in .* s: root@127.0.0.1:` + port, false},
		{[]string{"start", "mariadb"}, `mariadb +runs already: root@127.0.0.1:` + port, false},
		{[]string{"start", "-mariadb-port", takenPort, "mariadb"}, `runs already, on port ` + port, true},
		{[]string{"status", "mariadb"}, `mariadb +runs: root@127.0.0.1:` + port, false},
		{[]string{"env", "mariadb"}, `(?m)^export MILLRACE_MARIADB='root@tcp\(127.0.0.1:` + port + `\)/'$`, false},
		{[]string{"stop"}, `mariadb +stopped`, false},
		{[]string{"stop", "mariadb"}, `mariadb +did not run`, false},
	} {
		out, err := services(t, step.args...)
		if (err != nil) != step.fail || !regexp.MustCompile(step.want).MatchString(out) {
			t.Errorf("services %v: %v, want %q, failure %t", step.args, err, step.want, step.fail)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"-h"}, {"start", "-h"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%q: got %v", args, err)
		}
	}
	for args, want := range map[string]string{"begin": "unknown command", "start postgres": "choose from", "start -x-port 1": "not defined"} {
		if err := run(t.Context(), strings.Fields(args), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", args, err, want)
		}
	}
}
