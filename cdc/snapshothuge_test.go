package cdc_test

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

// hugeRows notes how many rows are read, and how many of them are not appended when another one is read.
type hugeRows struct {
	*cdc.MemorySource
	reading, read, appended, most atomic.Int64
}

func (s *hugeRows) OpenChunks(ctx context.Context) (cdc.ChunkReader, error) {
	r, err := s.MemorySource.OpenChunks(ctx)
	return &hugeReader{r, s}, err
}

type hugeReader struct {
	cdc.ChunkReader
	source *hugeRows
}

func (r *hugeReader) Read(ctx context.Context, req cdc.ChunkRequest) (*cdc.Chunk, error) {
	s := r.source
	if alive := s.reading.Add(1) + s.read.Load() - s.appended.Load(); s.read.Load() >= 2 { // each reader has seen what the rows are like
		s.most.Store(max(s.most.Load(), alive))
	}
	time.Sleep(time.Millisecond)
	chunk, err := r.ChunkReader.Read(ctx, req)
	s.reading.Add(-1)
	if err == nil {
		s.read.Add(int64(len(chunk.Rows)))
	}
	return chunk, err
}

// TestSnapshotHugeRows: of huge rows only one is in memory, however many readers there are, and until it is appended.
func TestSnapshotHugeRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory, err := cdc.NewMemorySource(cdc.Filter{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		const rows = 30
		table := &cdc.Table{Schema: "shop", Name: "a", Columns: []cdc.Column{{Name: "id"}}, Key: []int{0}}
		for i := range rows {
			memory.Commit(cdc.Change{Table: table, Op: cdc.Create, Key: fmt.Appendf(nil, `{"id":%02d}`, i), After: fmt.Appendf(nil, `{"id":%02d,"v":%q}`, i, bytes.Repeat([]byte("x"), 300_000))})
		}
		memory.Purge(1000)
		source := &hugeRows{MemorySource: memory}
		ctx, cancel := context.WithCancel(t.Context())
		relay := newRelay(t, cdc.Config{Source: source, Log: eventstore.NewMemoryLog(), MaxBytes: 1 << 20, Snapshot: cdc.SnapshotConfig{Readers: 2, ChunkRows: 1}, Hooks: cdc.Hooks{
			Flushing: func(cdc.FlushInfo) { time.Sleep(10 * time.Millisecond) },
			Flushed: func(i cdc.FlushInfo) {
				if i.Bytes > 300_000 {
					source.appended.Add(int64(i.Bytes) / 300_000)
				}
			},
			Snapshot: func(i cdc.SnapshotInfo) {
				if i.Complete {
					cancel()
				}
			}}})
		if err := relay.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if got := source.read.Load(); got != rows || source.most.Load() != 1 {
			t.Errorf("%d rows were read, want %d; up to %d of them were in memory, want 1", got, rows, source.most.Load())
		}
	})
}
