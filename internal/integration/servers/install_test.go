package servers

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestOnce checks that an interrupted installation is thrown away and done again, and a finished one is not.
func TestOnce(t *testing.T) {
	in := &installer{cache: t.TempDir(), logf: t.Logf}
	interrupted := errors.New("interrupted")
	_, err := in.once(t.Context(), "thing", func(dir string) error {
		write(t, filepath.Join(dir, "half"), "")
		return interrupted
	})
	if !errors.Is(err, interrupted) || !strings.Contains(err.Error(), "install thing") {
		t.Errorf("got %v", err)
	}
	calls := 0
	for range 2 {
		dir, err := in.once(t.Context(), "thing", func(dir string) error {
			calls++
			if _, err := os.Stat(filepath.Join(dir, "half")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the first attempt's file is still there: %v", err)
			}
			return nil
		})
		if err != nil || dir != filepath.Join(in.cache, "thing") {
			t.Errorf("got %q, %v", dir, err)
		}
	}
	if calls != 1 {
		t.Errorf("installed %d times", calls)
	}
}

// TestOnceTogether checks that of many installations at once one happens. The lock is one between processes, and holds between any two
// openings of its file.
func TestOnceTogether(t *testing.T) {
	cache := t.TempDir()
	var calls atomic.Int32
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			in := &installer{cache: cache, logf: t.Logf}
			if _, err := in.once(t.Context(), "thing", func(string) error { calls.Add(1); return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if n := calls.Load(); n != 1 {
		t.Errorf("installed %d times", n)
	}
}

// TestLockWait checks that waiting for a lock ends with the context.
func TestLockWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lock(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	l.unlock()
	if _, err := lock(t.Context(), path); err != nil {
		t.Error("after unlock:", err)
	}
}

func TestVerify(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), "")
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if err := verifyDir(dir, empty+"  a\n"); err != nil {
		t.Error(err)
	}
	write(t, filepath.Join(dir, "b"), "altered")
	for sums, want := range map[string]string{
		empty + "  a\n":                             "b is not in the list",
		empty + "  a\n" + empty + "  b\n":           "b has SHA-256",
		empty + "  a\n" + empty + "  missing.jar\n": "missing.jar",
	} {
		if err := verifyDir(dir, sums); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestMissingProgram checks the one error of a user who may not install: it names the line to run.
func TestMissingProgram(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Setenv("PATH", t.TempDir()) // root would install: leave no apt-get to do it with
	}
	in := &installer{cache: t.TempDir(), logf: t.Logf}
	err := in.needPrograms(t.Context(), []string{"no-such-program"}, "no-such-package")
	if err == nil || !strings.Contains(err.Error(), "no-such-program not found") || !strings.Contains(err.Error(), "no-such-package") {
		t.Errorf("got %v", err)
	}
}

func TestReachable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := openDir(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := reachable(dir, nobody); err == nil || !strings.Contains(err.Error(), "chmod o+x") {
		t.Errorf("got %v", err)
	}
	if err := reachable(dir, os.Geteuid()); os.Geteuid() != 0 && err != nil {
		t.Error(err)
	}
}
