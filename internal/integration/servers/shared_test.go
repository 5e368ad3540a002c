package servers

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// borrowCache gives the test a cache folder of its own, with the installation of a kind taken from the true one.
func borrowCache(t *testing.T, kind Kind) {
	t.Helper()
	d, err := driverOf(kind)
	if err != nil {
		t.Fatal(err)
	}
	cache, err := CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.install(t.Context(), &installer{cache: cache, logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	own := t.TempDir()
	if p.home != "/" {
		if err := os.Symlink(p.home, filepath.Join(own, filepath.Base(p.home))); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("MILLRACE_CACHE", own)
}

// TestShared starts the shared server from many goroutines at once, finds it, and stops it.
func TestShared(t *testing.T) {
	borrowCache(t, MariaDB)
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(MariaDB.PortEnv(), fmt.Sprint(port))
	t.Cleanup(func() { _, _, _ = StopShared(t.Context(), MariaDB) })

	var wait sync.WaitGroup
	var mu sync.Mutex
	pids, starts := map[int]bool{}, 0
	for range 4 {
		wait.Go(func() {
			s, started, err := StartShared(t.Context(), MariaDB, SharedOptions{Logf: t.Logf})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			pids[s.PID()] = true
			if started {
				starts++
			}
		})
	}
	wait.Wait()
	if len(pids) != 1 || starts != 1 {
		t.Errorf("%d processes, %d starts, want one", len(pids), starts)
	}

	s, running, err := LookShared(MariaDB)
	if err != nil || !running || !s.Ready || s.Port != port || s.BinlogTool() == "" || !pids[s.PID()] {
		t.Errorf("got %+v, running %t, %v", s, running, err)
	}
	if err := pingSQL(t.Context(), s.Address().CDC("")); err != nil {
		t.Error(err)
	}

	if _, stopped, err := StopShared(t.Context(), MariaDB); err != nil || !stopped {
		t.Errorf("stop: %t, %v", stopped, err)
	}
	if s.Process.alive() || !portFree(port) {
		t.Error("it runs after the stop")
	}
	if _, stopped, err := StopShared(t.Context(), MariaDB); err != nil || stopped {
		t.Errorf("stop again: %t, %v", stopped, err)
	}
}

// TestSharedInterrupted checks that a server whose start was cut off before it was ready does not stay in the way.
func TestSharedInterrupted(t *testing.T) {
	borrowCache(t, MariaDB)
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	first, _, err := StartShared(t.Context(), MariaDB, SharedOptions{Port: port})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _, _ = StopShared(t.Context(), MariaDB) })
	cache, err := CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	first.Ready = false
	if err := writeState(cache, first); err != nil {
		t.Fatal(err)
	}
	second, started, err := StartShared(t.Context(), MariaDB, SharedOptions{Port: port})
	if err != nil || !started || second.PID() == first.PID() || first.Process.alive() {
		t.Errorf("got process %d after %d, started %t, %v", second.PID(), first.PID(), started, err)
	}
}

// TestStopSharedRecycled checks that nothing is killed whose number a state file happens to name: here this very test.
func TestStopSharedRecycled(t *testing.T) {
	t.Setenv("MILLRACE_CACHE", t.TempDir())
	cache, err := CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	self, err := processOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	self.Start--
	if err := writeState(cache, Shared{Kind: MySQL, Process: self, Ready: true}); err != nil {
		t.Fatal(err)
	}
	if _, running, err := LookShared(MySQL); err != nil || running {
		t.Errorf("look: running %t, %v", running, err)
	}
	if _, stopped, err := StopShared(t.Context(), MySQL); err != nil || stopped {
		t.Errorf("stop: stopped %t, %v", stopped, err)
	}
}

// TestBrokenState checks that a state file that cannot be read is an error that names it.
func TestBrokenState(t *testing.T) {
	t.Setenv("MILLRACE_CACHE", t.TempDir())
	cache, err := CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	write(t, statePath(cache, Kafka), "{")
	if _, _, err := LookShared(Kafka); err == nil {
		t.Error("no error")
	}
}

// TestSharedPort checks which port a shared server gets: one that was asked for or none, another only where that is allowed.
func TestSharedPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	wantTaken := func(opts SharedOptions) {
		t.Helper()
		_, err := sharedPort(Kafka, opts)
		if taken, ok := errors.AsType[*PortTakenError](err); !ok || taken.Port != port {
			t.Errorf("got %v", err)
		}
	}
	wantTaken(SharedOptions{Port: port})
	wantTaken(SharedOptions{Port: port, Elsewhere: true})
	t.Setenv(Kafka.PortEnv(), fmt.Sprint(port))
	wantTaken(SharedOptions{})
	wantTaken(SharedOptions{Elsewhere: true})
	t.Setenv(Kafka.PortEnv(), "many")
	if _, err := sharedPort(Kafka, SharedOptions{}); err == nil {
		t.Error("MILLRACE_KAFKA_PORT=many: no error")
	}
	t.Setenv(Kafka.PortEnv(), "")
	if got, err := sharedPort(Kafka, SharedOptions{Elsewhere: true}); err != nil || !portFree(got) {
		t.Errorf("got %d, %v", got, err)
	}
}
