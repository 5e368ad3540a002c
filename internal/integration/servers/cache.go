package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// nobody is the user as which a server runs that refuses to be root.
const nobody = 65534

// CacheDir is the folder for everything that is installed, and for the shared servers' data: $MILLRACE_CACHE; or else, for root, a
// folder that other users can reach too, because Elasticsearch refuses to run as root; or else the user's own cache folder.
func CacheDir() (string, error) {
	if dir := os.Getenv("MILLRACE_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	if os.Geteuid() == 0 {
		return "/var/cache/millrace", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cache folder: %w: set MILLRACE_CACHE", err)
	}
	return filepath.Join(dir, "millrace"), nil
}

// openDir makes dir with its parents so that other users can enter it, whatever the umask, as far as it did not exist.
func openDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := openDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// A fileLock is an advisory lock between processes. The kernel releases it when its holder dies, however that happens.
type fileLock struct{ f *os.File }

var errLocked = errors.New("locked by another process")

// tryLock takes the lock, or returns errLocked at once.
func tryLock(path string) (*fileLock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o666)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &fileLock{f}, nil
}

// lock waits for the lock until the context ends. flock has no time-out of its own, so it asks again.
func lock(ctx context.Context, path string) (*fileLock, error) {
	if err := openDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		l, err := tryLock(path)
		if !errors.Is(err, errLocked) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for lock %s: %w", path, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

func (l *fileLock) unlock() { l.f.Close() }

// reachable says why the user uid cannot enter dir, as far as the mode bits for others tell it.
func reachable(dir string, uid int) error {
	for d := dir; ; d = filepath.Dir(d) {
		st, err := os.Stat(d)
		if err != nil {
			return err
		}
		sys, ok := st.Sys().(*syscall.Stat_t)
		if ok && int(sys.Uid) != uid && st.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("user %d cannot enter %s: use another folder (MILLRACE_CACHE, Options.Dir), or chmod o+x %s", uid, d, d)
		}
		if d == filepath.Dir(d) {
			return nil
		}
	}
}
