package projectortest

import (
	"bytes"
	"context"
	"sync/atomic"

	"github.com/millrace-go/millrace/projector"
)

// forgetfulStates lose what is committed after forget is set, until they are opened again, as a disk does with what was not synced.
type forgetfulStates struct {
	projector.LocalStates
	forget atomic.Bool
}

func (s *forgetfulStates) Open(ctx context.Context, name string) (projector.LocalState, error) {
	state, err := s.LocalStates.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	s.forget.Store(false)
	return &forgetfulState{LocalState: state, states: s}, nil
}

// forgetfulState spoils what it has returned when that is no longer valid.
type forgetfulState struct {
	projector.LocalState
	states *forgetfulStates
	got    []byte
}

func spoil(values ...[]byte) {
	for _, value := range values {
		for i := range value {
			value[i] = '#'
		}
	}
}

func (s *forgetfulState) Get(key []byte) ([]byte, bool, error) {
	spoil(s.got)
	value, found, err := s.LocalState.Get(key)
	s.got = bytes.Clone(value)
	return s.got, found, err
}

func (s *forgetfulState) Scan(low, high []byte, yield func(key, value []byte) bool) error {
	spoil(s.got)
	return s.LocalState.Scan(low, high, func(key, value []byte) bool {
		key, value = bytes.Clone(key), bytes.Clone(value)
		defer spoil(key, value)
		return yield(key, value)
	})
}

func (s *forgetfulState) Set(key, value []byte) error {
	spoil(s.got)
	return s.LocalState.Set(key, value)
}

func (s *forgetfulState) Delete(key []byte) error {
	spoil(s.got)
	return s.LocalState.Delete(key)
}

func (s *forgetfulState) Commit() error {
	spoil(s.got)
	if s.states.forget.Load() {
		return nil
	}
	return s.LocalState.Commit()
}
