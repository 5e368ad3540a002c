package pebblestate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace-go/millrace/projector"
)

// Config configures [New]. Dir is required; every other field's zero value means its default.
type Config struct {
	// Dir is the directory of the states. It is made when it is not there; no other process may use it at the same time.
	Dir string
	// CacheBytes bounds the blocks that are kept in memory, of all states together. Default 64 MiB.
	CacheBytes int64
	// BufferBytes is how much a state collects in memory before it writes a file. It takes up to three of these, and more for
	// one commit that is larger. Default 16 MiB, at least 64 KiB.
	BufferBytes int
	// Logger gets what goes wrong in the background; nil is silent.
	Logger *slog.Logger
}

const (
	defaultCacheBytes  = 64 << 20
	defaultBufferBytes = 16 << 20
	minBufferBytes     = 64 << 10
)

// States are local states on disk. They are safe for concurrent use.
type States struct {
	cfg   Config
	fs    vfs.FS
	cache *pebble.Cache

	mu   sync.Mutex
	open map[string]bool // by directory
}

var _ projector.LocalStates = (*States)(nil)

// New returns the states under cfg.Dir. All problems are in one error. Nothing is opened yet.
func New(cfg Config) (*States, error) { return newStates(cfg, vfs.Default) }

func newStates(cfg Config, fs vfs.FS) (*States, error) {
	var problems []error
	if cfg.Dir == "" {
		problems = append(problems, errors.New("Dir is missing"))
	}
	if cfg.CacheBytes < 0 {
		problems = append(problems, fmt.Errorf("CacheBytes is %d, want bytes, or 0 for %d", cfg.CacheBytes, defaultCacheBytes))
	} else if cfg.CacheBytes == 0 {
		cfg.CacheBytes = defaultCacheBytes
	}
	if cfg.BufferBytes == 0 {
		cfg.BufferBytes = defaultBufferBytes
	} else if cfg.BufferBytes < minBufferBytes {
		problems = append(problems, fmt.Errorf("BufferBytes is %d, want at least %d, or 0 for %d", cfg.BufferBytes, minBufferBytes, defaultBufferBytes))
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("pebblestate config: %w", errors.Join(problems...))
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &States{cfg: cfg, fs: fs, cache: pebble.NewCache(cfg.CacheBytes), open: map[string]bool{}}, nil
}

// dir is the directory of a name: every name has its own, also where the file system does not tell cases apart.
func (s *States) dir(name string) string {
	escaped := []byte(nil)
	for _, c := range []byte(url.QueryEscape(name)) {
		if c >= 'A' && c <= 'Z' {
			escaped = append(escaped, '!', c|0x20)
			continue
		}
		escaped = append(escaped, c)
	}
	return filepath.Join(s.cfg.Dir, "state-"+string(escaped))
}

// take marks a directory as open.
func (s *States) take(dir, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[dir] {
		return fmt.Errorf("local state %q is open", name)
	}
	s.open[dir] = true
	return nil
}

func (s *States) release(dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, dir)
}

// Open opens the state of a name, and makes an empty one where there is none. It fails while the state is open, here or in another process.
func (s *States) Open(_ context.Context, name string) (projector.LocalState, error) {
	dir := s.dir(name)
	if err := s.take(dir, name); err != nil {
		return nil, err
	}
	state := &state{name: name, dir: dir, states: s}
	db, err := pebble.Open(dir, &pebble.Options{
		FS:                 s.fs,
		Cache:              s.cache,
		DisableWAL:         true,
		FormatMajorVersion: formatVersion,
		MemTableSize:       uint64(s.cfg.BufferBytes),
		EventListener: &pebble.EventListener{BackgroundError: state.failedBehind,
			DataCorruption: func(i pebble.DataCorruptionInfo) {
				state.failedBehind(fmt.Errorf("%w: %w", projector.ErrStateLost, i.Details))
			}},
		Logger: logger{s.cfg.Logger},
		Levels: levels(),
	})
	if err != nil {
		s.release(dir)
		if errno := syscall.Errno(0); !errors.As(err, &errno) { // neither the disk nor a lock: what the files say of each other does not fit
			err = fmt.Errorf("%w: %w", projector.ErrStateLost, err)
		}
		return nil, state.failed("open", lost(err))
	}
	state.db, state.batch = db, db.NewIndexedBatch()
	return state, nil
}

// formatVersion is the newest format of this version of pebble. A state in a newer one is built anew.
const formatVersion = pebble.FormatNewest

// levels have filters, since a row that is looked for is often not there.
func levels() (l [7]pebble.LevelOptions) {
	for i := range l {
		l[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return l
}

// lost marks what says that the files are not what this version of pebble has written.
func lost(err error) error {
	if !errors.Is(err, projector.ErrStateLost) && (pebble.IsCorruptionError(err) || errors.Is(err, os.ErrNotExist)) {
		return fmt.Errorf("%w: %w", projector.ErrStateLost, err)
	}
	return err
}

// Remove deletes a state.
func (s *States) Remove(_ context.Context, name string) error {
	dir := s.dir(name)
	if err := s.take(dir, name); err != nil {
		return err
	}
	defer s.release(dir)
	if err := s.fs.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove local state %q: %w", name, err)
	}
	return nil
}

// logger passes on what is wrong. From what pebble calls fatal it must not return.
type logger struct{ *slog.Logger }

func (logger) Infof(string, ...any) {}

func (l logger) Errorf(format string, args ...any) {
	l.Error("local state: " + fmt.Sprintf(format, args...))
}

func (l logger) Fatalf(format string, args ...any) {
	panic("local state: " + fmt.Sprintf(format, args...))
}
