package cdc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

// slowLog is a log that takes nothing while it is held up.
type slowLog struct {
	*eventstore.MemoryLog
	gate chan struct{} // holds a token while it takes something
}

func (l *slowLog) Begin(ctx context.Context) (eventstore.Writer, error) {
	w, err := l.MemoryLog.Begin(ctx)
	return slowWriter{w, l}, err
}

type slowWriter struct {
	eventstore.Writer
	log *slowLog
}

func (w slowWriter) Append(ctx context.Context, f *eventstore.Flush) error {
	<-w.log.gate
	defer func() { w.log.gate <- struct{}{} }()
	return w.Writer.Append(ctx, f)
}

// countedSource counts the bytes of images that are taken from its streams.
type countedSource struct {
	cdc.Source
	bytes atomic.Int64
}

func (s *countedSource) Open(ctx context.Context, from cdc.Position) (cdc.Stream, error) {
	stream, err := s.Source.Open(ctx, from)
	return countedStream{stream, s}, err
}

type countedStream struct {
	cdc.Stream
	source *countedSource
}

func (s countedStream) Next(ctx context.Context) (*cdc.Slice, error) {
	slice, err := s.Stream.Next(ctx)
	if err == nil {
		for i := range slice.Changes {
			s.source.bytes.Add(int64(len(slice.Changes[i].Before) + len(slice.Changes[i].After)))
		}
	}
	return slice, err
}

// While the log takes nothing, for an hour here, the relay stops reading at its bound of bytes, goes on leading before a standby that waits, and
// afterwards everything arrives, once.
func TestBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := newSource(t, 7)
		source := &countedSource{Source: memory}
		log := &slowLog{MemoryLog: eventstore.NewMemoryLog(), gate: make(chan struct{}, 1)}
		log.gate <- struct{}{}
		var h history
		rnd := rand.New(rand.NewPCG(1, 1))
		var turns atomic.Int64
		var work sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		const flush = 4000
		for i := range 2 {
			relay := newRelay(t, cdc.Config{Source: source, Log: log, FlushBytes: flush, Standby: true, Name: fmt.Sprint(i),
				Hooks: cdc.Hooks{Leading: func(cdc.LeadingInfo) { turns.Add(1) }}})
			work.Go(func() {
				if err := relay.Run(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		h.commit(memory, rnd, 50)
		awaitPosition(t, log, memory)

		<-log.gate
		before := source.bytes.Load()
		for range 60 {
			h.commit(memory, rnd, 50)
			time.Sleep(time.Minute)
		}
		// Two flushes, each up to a slice too large, and the slice in hand; images are less than what is kept of them.
		if ahead := source.bytes.Load() - before; ahead > 3*flush {
			t.Errorf("the relay has read %d bytes of images ahead, its flushes have %d", ahead, flush)
		}
		log.gate <- struct{}{}

		awaitPosition(t, log, memory)
		if n := turns.Load(); n != 1 {
			t.Errorf("%d turns, want the first leader's only", n)
		}
		cancel()
		work.Wait()
		h.check(t, log, true)
	})
}
