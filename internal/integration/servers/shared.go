package servers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Shared describes the server of a kind that `make services` or a test has started for all: there is one on a machine for each cache
// folder, and it outlives the process that started it.
type Shared struct {
	Kind    Kind      `json:"kind"`
	Port    int       `json:"port"`
	Version string    `json:"version"`
	Process process   `json:"process"`
	Ready   bool      `json:"ready"` // false: the start has not come to its end
	Started time.Time `json:"started"`
	Log     string    `json:"log"`
	Binlog  string    `json:"binlog,omitempty"` // path of mysqlbinlog or mariadb-binlog
	Client  string    `json:"client,omitempty"` // path of mysql or mariadb
}

// Address is where the server is and how to log in.
func (s Shared) Address() Address { return loopback(s.Kind, s.Port, "make services") }

// PID is the process id of the server.
func (s Shared) PID() int { return s.Process.PID }

// BinlogTool is the path of the server's own mysqlbinlog or mariadb-binlog; empty for the other servers.
func (s Shared) BinlogTool() string { return s.Binlog }

// SharedOptions say how to start a shared server.
type SharedOptions struct {
	// Port on 127.0.0.1; 0 means Kind.SharedPort.
	Port int
	// Elsewhere allows another port when the default one is taken. A port that was asked for, here or in the environment, is never changed.
	Elsewhere bool
	// Logf hears about installations and other slow steps; nil means silence.
	Logf func(format string, args ...any)
}

func statePath(cache string, kind Kind) string {
	return filepath.Join(cache, "shared", string(kind)+".json")
}

func stateLock(ctx context.Context, cache string, kind Kind) (*fileLock, error) {
	return lock(ctx, filepath.Join(cache, "lock", "shared-"+string(kind)))
}

// LookShared returns the shared server of a kind if its process runs; it does not ask the server whether it answers.
func LookShared(kind Kind) (s Shared, running bool, err error) {
	cache, err := CacheDir()
	if err != nil {
		return s, false, err
	}
	return readState(cache, kind)
}

// readState returns what is known about the shared server, and whether its very process still runs.
func readState(cache string, kind Kind) (s Shared, running bool, err error) {
	text, err := os.ReadFile(statePath(cache, kind))
	if errors.Is(err, os.ErrNotExist) {
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, false, fmt.Errorf("%s: %w: remove the file after making sure that no %s of its runs", statePath(cache, kind), err, kind)
	}
	return s, s.Process.alive(), nil
}

// writeState replaces the state file as a whole.
func writeState(cache string, s Shared) error {
	path := statePath(cache, s.Kind)
	if err := openDir(filepath.Dir(path)); err != nil {
		return err
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// StartShared returns the shared server of a kind, and starts it, with fresh data, when it does not run; started tells which. It installs
// the server if need be. Processes that call it at once end up with one server.
func StartShared(ctx context.Context, kind Kind, opts SharedOptions) (s Shared, started bool, err error) {
	driver, err := driverOf(kind)
	if err != nil {
		return s, false, err
	}
	cache, err := CacheDir()
	if err != nil {
		return s, false, err
	}
	l, err := stateLock(ctx, cache, kind)
	if err != nil {
		return s, false, fmt.Errorf("%s: %w", kind, err)
	}
	defer l.unlock()
	s, running, err := readState(cache, kind)
	if err != nil {
		return s, false, err
	}
	if running && s.Ready {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		err := await(ctx, nil, func(ctx context.Context) error { return driver.ping(ctx, s.Address()) })
		if err != nil {
			return s, false, fmt.Errorf("%s: process %d runs on port %d and does not answer: %w: see %s, or stop it (services stop %s)", kind, s.PID(), s.Port, err, s.Log, kind)
		}
		return s, false, nil
	}
	if running { // whoever started it did not live to see it ready
		if err := s.Process.kill(ctx); err != nil {
			return s, false, err
		}
	}
	port, err := sharedPort(kind, opts)
	if err != nil {
		return s, false, err
	}
	dir := filepath.Join(cache, "shared", string(kind))
	if err := os.RemoveAll(dir); err != nil {
		return s, false, err
	}
	s = Shared{Kind: kind, Port: port, Started: time.Now().UTC()}
	server, err := start(ctx, kind, Options{Port: port, Dir: dir, Logf: opts.Logf}, func(p process) error {
		s.Process = p
		return writeState(cache, s)
	})
	if err != nil {
		return s, false, err
	}
	s.Port, s.Version, s.Log, s.Ready = server.port, server.prog.version, server.Log(), true
	s.Binlog, s.Client = server.prog.binlog, server.prog.client
	return s, true, writeState(cache, s)
}

// sharedPort chooses the port of a shared server that is to be started.
func sharedPort(kind Kind, opts SharedOptions) (int, error) {
	port, asked := opts.Port, opts.Port != 0
	if !asked {
		var err error
		if port, asked, err = kind.SharedPort(); err != nil {
			return 0, err
		}
	}
	switch {
	case portFree(port):
		return port, nil
	case asked || !opts.Elsewhere:
		return 0, &PortTakenError{kind, port}
	}
	return freePort()
}

// StopShared ends the shared server of a kind, and nothing else: a process that has got the same number since is left alone. It
// returns false when there was none. Data and log stay until the next start.
func StopShared(ctx context.Context, kind Kind) (s Shared, stopped bool, err error) {
	cache, err := CacheDir()
	if err != nil {
		return s, false, err
	}
	l, err := stateLock(ctx, cache, kind)
	if err != nil {
		return s, false, fmt.Errorf("%s: %w", kind, err)
	}
	defer l.unlock()
	s, running, err := readState(cache, kind)
	if err != nil {
		return s, false, err
	}
	if running {
		if err := s.Process.stop(ctx, time.Minute); err != nil {
			return s, false, fmt.Errorf("stop %s: %w", kind, err)
		}
	}
	if err := os.Remove(statePath(cache, kind)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return s, running, err
	}
	return s, running, nil
}
