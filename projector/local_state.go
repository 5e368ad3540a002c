package projector

import (
	"context"
	"errors"
)

// ErrStateLost is wrapped by errors of a [LocalState] or [LocalStates] whose stored data cannot be read: damaged files, a checksum that does not fit, an
// unknown format. The runner removes the state and builds it anew from the log. Errors that do not wrap it halt the projector.
var ErrStateLost = errors.New("local state lost")

// MaxStateKey is the length of the longest key of a [LocalState], in bytes.
const MaxStateKey = 4096

// LocalStates opens the local states of the [Join] projectors of one process, by the projector's name. It is safe for concurrent use; one name is
// opened once at a time. [NewMemoryStates] is the one in memory; package pebblestate has one on disk.
type LocalStates interface {
	// Open opens the state of a name, and makes an empty one where there is none. An error that wraps [ErrStateLost] says that
	// there is one that cannot be read.
	Open(ctx context.Context, name string) (LocalState, error)
	// Remove deletes the state of a name, which is not open. It is no error when there is none.
	Remove(ctx context.Context, name string) error
}

// LocalState is an ordered map from byte strings to byte strings: the rows of a [Join] with everything that is known of them.
// It is used by one goroutine at a time.
//
// What is set or deleted is seen by Get and Scan at once, and survives the process in the groups that Commit ends: after a crash, or Close without
// Commit, the state is as some Commit has left it, an earlier one than the last if need be (so nothing has to be synced), never with
// half of a group, and never with a later group but without an earlier one.
type LocalState interface {
	// Get returns the value of a key, or nil and false. The value is valid until the next call of any method, and must not be modified.
	Get(key []byte) (value []byte, found bool, err error)
	// Scan calls yield for the keys from low (included) to high (excluded) in bytewise order, until it returns false. Key and value
	// are valid during the call and must not be modified. yield must not use the state.
	Scan(low, high []byte, yield func(key, value []byte) bool) error
	// Set stores a value, which may be empty. Key and value are copied. Keys have 1 to [MaxStateKey] bytes.
	Set(key, value []byte) error
	// Delete removes a key. It is no error when there is none.
	Delete(key []byte) error
	// Commit ends a group.
	Commit() error
	// Close releases the state, without what was not committed.
	Close() error
}
