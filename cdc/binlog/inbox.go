package binlog

import (
	"context"
	"sync"
)

// inboxBytes is how many bytes of events may wait for the decoder. One event alone may be bigger.
const inboxBytes = 1 << 20

// inbox carries events from the goroutine that reads the socket to the one that decodes, bounded in bytes: when it is full the
// reader waits, and so does the server. Events come out in order, and an error only behind all of them.
type inbox struct {
	mu     sync.Mutex
	batch  batch
	hungry bool          // the decoder waits for events
	err    error         // set once, by the reader
	filled chan struct{} // cap 1: something is there
	room   chan struct{} // cap 1: something was taken
	closed chan struct{}
}

// batch is a run of events. Small ones stand in one buffer.
type batch struct {
	arena  []byte
	events [][]byte
	bytes  int
	// spilled stands for the first event, which is nil then.
	spilled *spilledEvent
}

func newInbox() *inbox {
	return &inbox{filled: make(chan struct{}, 1), room: make(chan struct{}, 1), closed: make(chan struct{})}
}

// put adds an event to the inbox, when there is room for it: a copy, or raw itself when it is given away. It returns false when the
// inbox was closed.
func (in *inbox) put(raw []byte, given bool) bool {
	in.mu.Lock()
	for len(in.batch.events) > 0 && in.batch.bytes+len(raw) > inboxBytes {
		in.mu.Unlock()
		select {
		case <-in.room:
		case <-in.closed:
			return false
		}
		in.mu.Lock()
	}
	b := &in.batch
	if !given {
		start := len(b.arena)
		b.arena = append(b.arena, raw...) // growing leaves the events before in the old array, which is as good
		raw = b.arena[start:len(b.arena):len(b.arena)]
	}
	b.events = append(b.events, raw)
	b.bytes += len(raw)
	first := len(b.events) == 1
	in.mu.Unlock()
	if first {
		signal(in.filled)
	}
	return true
}

// putSpilled adds an event that was spilled, when everything before it was taken. It returns false when the inbox was closed.
func (in *inbox) putSpilled(e *spilledEvent) bool {
	if !in.drained() {
		return false
	}
	in.mu.Lock()
	in.batch.events, in.batch.spilled = append(in.batch.events, nil), e
	in.mu.Unlock()
	signal(in.filled)
	return true
}

// drained waits until everything was taken and decoded. It returns false when the inbox was closed.
func (in *inbox) drained() bool {
	for {
		in.mu.Lock()
		drained := in.hungry && len(in.batch.events) == 0
		in.mu.Unlock()
		select {
		case <-in.closed:
			return false
		default:
		}
		if drained {
			return true
		}
		select {
		case <-in.room:
		case <-in.closed:
			return false
		}
	}
}

// fail ends the inbox: err comes behind what is in it.
func (in *inbox) fail(err error) {
	in.mu.Lock()
	in.err = err
	in.mu.Unlock()
	signal(in.filled)
}

// take waits for events and exchanges them for used, whose memory it takes over. After an error used is as it was.
func (in *inbox) take(ctx context.Context, used batch) (batch, error) {
	for {
		in.mu.Lock()
		full := in.batch
		in.hungry = len(full.events) == 0 && in.err == nil
		if len(full.events) > 0 {
			clear(used.events) // those that were given away
			used.arena, used.events, used.bytes, used.spilled = used.arena[:0], used.events[:0], 0, nil
			in.batch = used
			in.mu.Unlock()
			signal(in.room)
			return full, nil
		}
		err := in.err
		in.mu.Unlock()
		if err != nil {
			return batch{}, err
		}
		signal(in.room)
		select {
		case <-in.filled:
		case <-in.closed:
			return batch{}, errClosed
		case <-ctx.Done():
			return batch{}, context.Cause(ctx)
		}
	}
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
