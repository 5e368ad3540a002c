package projector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/millrace-go/millrace/internal/safeguard"
)

// MemoryStates are [LocalStates] in memory. They live as long as the value does: a projector that ends and begins again in the same process goes on from
// its last commit, another process builds them anew from the log.
type MemoryStates struct {
	mu     sync.Mutex
	states map[string]*memoryState
}

// NewMemoryStates returns states without any content.
func NewMemoryStates() *MemoryStates { return &MemoryStates{states: map[string]*memoryState{}} }

// Open opens a state. It fails while the state is open.
func (s *MemoryStates) Open(_ context.Context, name string) (LocalState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.states[name]
	if state == nil {
		state = &memoryState{}
		s.states[name] = state
	}
	if state.open != nil {
		return nil, fmt.Errorf("local state %q is open already", name)
	}
	state.open = &openMemoryState{states: s, state: state}
	return state.open, nil
}

// Remove deletes a state.
func (s *MemoryStates) Remove(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state := s.states[name]; state != nil && state.open != nil {
		return fmt.Errorf("local state %q is open", name)
	}
	delete(s.states, name)
	return nil
}

// blockEntries is how many entries a block has before it is split: few enough to move for an insert, and many enough that the list of blocks is
// short.
const blockEntries = 128

// memoryState is a sorted list of blocks, each a sorted list of entries. No block is empty; blocks[i]'s last key < blocks[i+1]'s first.
type memoryState struct {
	blocks []*memoryBlock
	open   *openMemoryState // nil while it is closed
}

type memoryBlock struct {
	keys   []string
	values [][]byte
}

// undo is how a key was before it was set or deleted.
type undo struct {
	key   string
	value []byte
	found bool
}

// find returns where a key is or belongs.
func (s *memoryState) find(key []byte) (block, entry int, found bool) {
	low, high := 0, len(s.blocks)
	for low < high { // the last block whose first key is not above key
		if mid := (low + high) / 2; s.blocks[mid].keys[0] <= string(key) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	block = max(low-1, 0)
	if len(s.blocks) == 0 {
		return 0, 0, false
	}
	keys := s.blocks[block].keys
	low, high = 0, len(keys)
	for low < high {
		if mid := (low + high) / 2; keys[mid] < string(key) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return block, low, low < len(keys) && keys[low] == string(key)
}

func (s *memoryState) set(bytes, value []byte) (old undo) {
	b, i, found := s.find(bytes)
	if found {
		block := s.blocks[b]
		old = undo{block.keys[i], block.values[i], true}
		block.values[i] = value
		return old
	}
	key := string(bytes)
	if len(s.blocks) == 0 {
		s.blocks = []*memoryBlock{{keys: []string{key}, values: [][]byte{value}}}
		return undo{key: key}
	}
	block := s.blocks[b]
	if len(block.keys) == blockEntries {
		half := blockEntries / 2
		if b == len(s.blocks)-1 && i == blockEntries {
			half = blockEntries // keys that rise fill their blocks
		}
		right := &memoryBlock{keys: make([]string, 0, blockEntries), values: make([][]byte, 0, blockEntries)}
		right.keys, right.values = append(right.keys, block.keys[half:]...), append(right.values, block.values[half:]...)
		clear(block.keys[half:])
		clear(block.values[half:])
		block.keys, block.values = block.keys[:half], block.values[:half]
		s.blocks = slices.Insert(s.blocks, b+1, right)
		if i >= half {
			block, i = right, i-half
		}
	}
	block.keys, block.values = slices.Insert(block.keys, i, key), slices.Insert(block.values, i, value)
	return undo{key: key}
}

func (s *memoryState) delete(key []byte) (old undo) {
	b, i, found := s.find(key)
	if !found {
		return undo{}
	}
	block := s.blocks[b]
	old = undo{block.keys[i], block.values[i], true}
	block.keys, block.values = slices.Delete(block.keys, i, i+1), slices.Delete(block.values, i, i+1)
	if len(block.keys) == 0 {
		s.blocks = slices.Delete(s.blocks, b, b+1)
	}
	return old
}

// openMemoryState is a state in use.
type openMemoryState struct {
	states *MemoryStates
	state  *memoryState
	undo   []undo // of what is not committed, in order
	closed bool
}

var errStateClosed = errors.New("local state is closed")

func (o *openMemoryState) Get(key []byte) (value []byte, found bool, err error) {
	if o.closed {
		return nil, false, errStateClosed
	}
	if b, i, found := o.state.find(key); found {
		return o.state.blocks[b].values[i], true, nil
	}
	return nil, false, nil
}

func (o *openMemoryState) Scan(low, high []byte, yield func(key, value []byte) bool) error {
	if o.closed {
		return errStateClosed
	}
	b, i, _ := o.state.find(low)
	var key []byte
	for ; b < len(o.state.blocks); b, i = b+1, 0 {
		block := o.state.blocks[b]
		for ; i < len(block.keys); i++ {
			if block.keys[i] >= string(high) {
				return nil
			}
			key = append(key[:0], block.keys[i]...)
			if !yield(key, block.values[i]) {
				return nil
			}
		}
	}
	return nil
}

func (o *openMemoryState) Set(key, value []byte) error {
	switch {
	case o.closed:
		return errStateClosed
	case len(key) == 0 || len(key) > MaxStateKey:
		return fmt.Errorf("local state: a key has %d bytes, want 1 to %d", len(key), MaxStateKey)
	}
	o.undo = append(o.undo, o.state.set(key, append(make([]byte, 0, len(value)), value...)))
	return nil
}

func (o *openMemoryState) Delete(key []byte) error {
	if o.closed {
		return errStateClosed
	}
	if old := o.state.delete(key); old.found {
		o.undo = append(o.undo, old)
	}
	return nil
}

func (o *openMemoryState) Commit() error {
	if o.closed {
		return errStateClosed
	}
	clear(o.undo)
	o.undo = o.undo[:0]
	return nil
}

func (o *openMemoryState) Close() error {
	if o.closed {
		return nil
	}
	for _, old := range slices.Backward(o.undo) {
		if !safeguard.Groups {
			break
		}
		if old.found {
			o.state.set([]byte(old.key), old.value)
		} else {
			o.state.delete([]byte(old.key))
		}
	}
	o.undo, o.closed = nil, true
	o.states.mu.Lock()
	defer o.states.mu.Unlock()
	o.state.open = nil
	return nil
}
