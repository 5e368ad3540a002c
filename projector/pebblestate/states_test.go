package pebblestate

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

func TestLocalStates(t *testing.T) {
	projectortest.TestLocalStates(t, func(t *testing.T) (projector.LocalStates, func() projector.LocalStates) {
		dir := t.TempDir()
		open := func() projector.LocalStates {
			s, err := New(Config{Dir: dir, BufferBytes: minBufferBytes})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		return open(), open
	})
}

// TestLocalStatesCrash runs the suite on a file system of which a crash leaves what was synced, and a random part of the rest.
func TestLocalStatesCrash(t *testing.T) {
	for seed := range uint64(4) {
		projectortest.TestLocalStates(t, func(t *testing.T) (projector.LocalStates, func() projector.LocalStates) {
			fs := vfs.NewCrashableMem()
			open := func(fs vfs.FS) *States {
				s, err := newStates(Config{Dir: "states", BufferBytes: minBufferBytes}, fs)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			return open(fs), func() projector.LocalStates {
				return open(fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed) * 33, RNG: rand.New(rand.NewPCG(seed, 1))}))
			}
		})
	}
}

// TestDamaged: whatever a file was damaged into, opening or reading says ErrStateLost, or the content is as it was, or there is none at all,
// as when the file that names the list of files is gone. Removing the state mends it.
func TestDamaged(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		dir := t.TempDir()
		states, err := New(Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		fill(t, states, 2000)
		files, err := filepath.Glob(filepath.Join(states.dir("a"), "*"))
		if err != nil || len(files) < 4 {
			t.Fatal(files, err)
		}
		damage(t, r, files[r.IntN(len(files))])
		if err := check(t, states, 2000); err != nil && !errors.Is(err, projector.ErrStateLost) {
			t.Errorf("seed %d: %v, want ErrStateLost", seed, err)
		}
		if err := states.Remove(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		fill(t, states, 10)
		if err := check(t, states, 10); err != nil {
			t.Fatal(err)
		}
	}
}

func fill(t *testing.T, states *States, n int) {
	t.Helper()
	s, err := states.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := errors.Join(s.Set(key(i), make([]byte, 100)), s.Commit()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, states *States, n int) (err error) {
	s, err := states.Open(t.Context(), "a")
	if err != nil {
		return err
	}
	defer s.Close()
	got := 0
	if err := s.Scan([]byte{0}, []byte{0xff}, func(_, _ []byte) bool { got++; return true }); err != nil {
		return err
	}
	if got == 0 {
		return nil
	}
	for i := range n {
		if _, found, err := s.Get(key(i)); err != nil {
			return err
		} else if !found {
			t.Errorf("entry %d is missing in silence", i)
			return nil
		}
	}
	if got != n {
		t.Errorf("scanned %d entries, want %d", got, n)
	}
	return nil
}

func key(i int) []byte { return []byte{1, byte(i >> 8), byte(i)} }

// damage flips a byte of a file, cuts it, or removes it.
func damage(t *testing.T, r *rand.Rand, name string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) == 0 {
		return
	}
	switch r.IntN(3) {
	case 0:
		data[r.IntN(len(data))] ^= 1 << r.IntN(8)
	case 1:
		data = data[:r.IntN(len(data))]
	case 2:
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
