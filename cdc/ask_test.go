package cdc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

// shopSource has some rows of shop.a that its binlog has no more.
func shopSource(t *testing.T, n int) *cdc.MemorySource {
	t.Helper()
	source, err := cdc.NewMemorySource(cdc.Filter{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	table := &cdc.Table{Schema: "shop", Name: "a", Columns: []cdc.Column{{Name: "id"}}, Key: []int{0}}
	for i := range n {
		row := fmt.Appendf(nil, `{"id":%02d}`, i)
		source.Commit(cdc.Change{Table: table, Op: cdc.Create, Key: row, After: row})
	}
	source.Purge(1000)
	return source
}

// TestAskFromHook: whoever hears that a snapshot is complete, or done, may ask for another one at once.
func TestAskFromHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var relay *cdc.Relay
		var done []string
		relay = newRelay(t, cdc.Config{Source: shopSource(t, 5), Log: eventstore.NewMemoryLog(), Hooks: cdc.Hooks{Snapshot: func(i cdc.SnapshotInfo) {
			switch {
			case i.Done && i.Request != "":
				if done = append(done, i.Request); len(done) == 2 {
					cancel()
					return
				}
			case !i.Complete:
				return
			}
			if _, err := relay.Snapshot(ctx, cdc.SnapshotRequest{Schema: "shop", Table: "a"}); err != nil {
				t.Error(err)
			}
		}}})
		if err := relay.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(done, []string{"1", "2"}) {
			t.Errorf("done: %q", done)
		}
	})
}

// neverRead is a source whose tables nobody gets to read.
type neverRead struct{ *cdc.MemorySource }

func (neverRead) OpenChunks(ctx context.Context) (cdc.ChunkReader, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestAskTooMuch: however much is asked for, by the API and by signals, watermarks stay small, and the relay goes on.
func TestAskTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, log := shopSource(t, 5), eventstore.NewMemoryLog()
		relay := newRelay(t, cdc.Config{Source: neverRead{source}, Log: log, Snapshot: cdc.SnapshotConfig{Signals: "shop.signals"}})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- relay.Run(ctx) }()
		synctest.Wait()
		where := strings.Repeat("x", 1000)
		if _, err := relay.Snapshot(ctx, cdc.SnapshotRequest{Schema: "shop", Table: "a", Where: strings.Repeat(where, 200)}); !errors.Is(err, cdc.ErrTooManyRequests) {
			t.Errorf("a huge condition: got %v", err)
		}
		asked := 0
		for ; asked < 1000; asked++ {
			_, err := relay.Snapshot(ctx, cdc.SnapshotRequest{Schema: "shop", Table: "a", Where: where})
			if errors.Is(err, cdc.ErrTooManyRequests) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if asked < 50 || asked == 1000 {
			t.Errorf("%d requests were taken", asked)
		}
		signals := &cdc.Table{Schema: "shop", Name: "signals", Columns: []cdc.Column{{Name: "id"}}, Key: []int{0}}
		var changes []cdc.Change
		for i := range 1000 {
			changes = append(changes, cdc.Change{Table: signals, Op: cdc.Create, Key: fmt.Appendf(nil, `{"id":%d}`, i),
				After: fmt.Appendf(nil, `{"id":%d,"schema_name":"shop","table_name":"a","row_filter":%q}`, i, where)})
		}
		source.Commit(changes...)
		synctest.Wait()
		head, _, err := log.Head(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(head.Position.Snapshot); n > 256<<10 {
			t.Errorf("the watermark has %d bytes of snapshots", n)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// otherKeys is a source whose tables are read by another key than by the relay before: its ranges mean nothing any more.
type otherKeys struct {
	*cdc.MemorySource
	refused int
}

func (s *otherKeys) OpenChunks(ctx context.Context) (cdc.ChunkReader, error) {
	r, err := s.MemorySource.OpenChunks(ctx)
	return &otherKeysReader{r, s, map[string]bool{}}, err
}

type otherKeysReader struct {
	cdc.ChunkReader
	source *otherKeys
	own    map[string]bool
}

func (r *otherKeysReader) Read(ctx context.Context, req cdc.ChunkRequest) (*cdc.Chunk, error) {
	if req.Range.After != "" && !r.own[req.Range.After] {
		r.source.refused++
		return nil, fmt.Errorf("%q: %w", req.Range.After, cdc.ErrChunkBounds)
	}
	chunk, err := r.ChunkReader.Read(ctx, req)
	if err == nil {
		r.own[chunk.Rest.After] = true
	}
	return chunk, err
}

// TestOtherKey: a table whose ranges are of a key that it does not have any more, of which no statement tells, is read from its beginning.
func TestOtherKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, log := &otherKeys{MemorySource: shopSource(t, 50)}, eventstore.NewMemoryLog()
		read := 0
		run := func(source cdc.Source, until func(cdc.SnapshotInfo) bool) {
			ctx, cancel := context.WithCancel(t.Context())
			relay := newRelay(t, cdc.Config{Source: source, Log: log, Snapshot: cdc.SnapshotConfig{Readers: 1, ChunkRows: 10, RowsPerSecond: 10}, Hooks: cdc.Hooks{Snapshot: func(i cdc.SnapshotInfo) {
				if read += i.Chunk; until(i) {
					cancel()
				}
			}}})
			if err := relay.Run(ctx); err != nil {
				t.Fatal(err)
			}
		}
		run(source.MemorySource, func(i cdc.SnapshotInfo) bool { return i.Rows == 20 })
		tries := 0
		run(source, func(i cdc.SnapshotInfo) bool { tries++; return i.Complete || tries > 100 })
		if source.refused != 1 || read != 20+50 {
			t.Errorf("%d ranges were refused, want 1; %d rows were read, want the 20 of the first relay, and 50", source.refused, read)
		}
	})
}

// TestSignalsConfig: a table of signals that nobody would hear is refused.
func TestSignalsConfig(t *testing.T) {
	source, err := cdc.NewMemorySource(cdc.Filter{Include: []string{"shop.*"}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for signals, want := range map[string]string{"signals": "want schema.table", ".t": "want schema.table", "other.signals": "does not capture"} {
		_, err := cdc.NewRelay(cdc.Config{Source: source, Log: eventstore.NewMemoryLog(), Snapshot: cdc.SnapshotConfig{Signals: signals}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", signals, err, want)
		}
	}
	_, err = cdc.NewRelay(cdc.Config{Source: source, Log: eventstore.NewMemoryLog(), Snapshot: cdc.SnapshotConfig{Mode: cdc.SnapshotNever, Signals: "shop.signals"}})
	if err == nil || !strings.Contains(err.Error(), "SnapshotNever") {
		t.Errorf("with SnapshotNever: got %v, want an error that names it", err)
	}
}
