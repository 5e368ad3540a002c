package pebblestate

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/millrace-go/millrace/projector"
)

// state is a projector.LocalState: a database, and the group at hand in a batch that can be read.
type state struct {
	name   string
	dir    string
	states *States
	db     *pebble.DB
	batch  *pebble.Batch
	got    io.Closer // of the value that Get returned last
	behind atomic.Pointer[error]
}

var errClosed = errors.New("it is closed")

// failedBehind notes an error of the goroutines that write files. They try again, but the state is not usable meanwhile: a commit could
// wait for ever.
func (s *state) failedBehind(err error) { s.behind.CompareAndSwap(nil, &err) }

func (s *state) failed(what string, err error) error {
	return fmt.Errorf("local state %q in %s: %s: %w", s.name, s.dir, what, err)
}

// ready returns why the state cannot be used.
func (s *state) ready(what string) error {
	s.forget()
	if s.db == nil {
		return s.failed(what, errClosed)
	}
	if err := s.behind.Load(); err != nil {
		return s.failed("write files", lost(*err))
	}
	return nil
}

// forget lets go of the value that Get returned last.
func (s *state) forget() {
	if s.got != nil {
		s.got.Close()
		s.got = nil
	}
}

func (s *state) Get(key []byte) ([]byte, bool, error) {
	s.forget()
	if s.db == nil {
		return nil, false, s.failed("get", errClosed)
	}
	value, closer, err := s.batch.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, s.failed("get", lost(err))
	}
	s.got = closer
	return value, true, nil
}

func (s *state) Scan(low, high []byte, yield func(key, value []byte) bool) (err error) {
	s.forget()
	if s.db == nil {
		return s.failed("scan", errClosed)
	}
	it, err := s.batch.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return s.failed("scan", lost(err))
	}
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			break // Close returns it
		}
		if !yield(it.Key(), value) {
			break
		}
	}
	if err := it.Close(); err != nil {
		return s.failed("scan", lost(err))
	}
	return nil
}

func (s *state) Set(key, value []byte) error {
	if err := s.ready("set"); err != nil {
		return err
	}
	if len(key) == 0 || len(key) > projector.MaxStateKey {
		return s.failed("set", fmt.Errorf("key of %d bytes, want 1 to %d", len(key), projector.MaxStateKey))
	}
	if err := s.batch.Set(key, value, nil); err != nil {
		return s.failed("set", err)
	}
	return nil
}

func (s *state) Delete(key []byte) error {
	if err := s.ready("delete"); err != nil {
		return err
	}
	if err := s.batch.Delete(key, nil); err != nil {
		return s.failed("delete", err)
	}
	return nil
}

func (s *state) Commit() error {
	if err := s.ready("commit"); err != nil {
		return err
	}
	if s.batch.Empty() {
		return nil
	}
	if err := s.batch.Commit(pebble.NoSync); err != nil {
		return s.failed("commit", lost(err))
	}
	if err := s.batch.Close(); err != nil {
		return s.failed("commit", err)
	}
	s.batch = s.db.NewIndexedBatch()
	return nil
}

// Close writes what was committed into files.
func (s *state) Close() error {
	s.forget()
	if s.db == nil {
		return nil
	}
	err := s.batch.Close()
	if s.behind.Load() == nil { // else a flush could wait for ever
		err = errors.Join(err, s.db.Flush())
	}
	err = errors.Join(err, s.db.Close())
	s.db, s.batch = nil, nil
	s.states.release(s.dir)
	if err != nil {
		return s.failed("close", err)
	}
	return nil
}
