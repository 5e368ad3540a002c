package kafkalog

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace-go/millrace/eventstore"
)

// failingBlobs is a store that fails some calls.
type failingBlobs struct {
	eventstore.BlobStore
	fail atomic.Int64 // how many calls still fail
}

var errBlobs = errors.New("the blob store is down")

func (b *failingBlobs) Put(ctx context.Context, name string, value []byte) error {
	if b.fail.Add(-1) >= 0 {
		return errBlobs
	}
	return b.BlobStore.Put(ctx, name, value)
}

func (b *failingBlobs) Get(ctx context.Context, name string, buf []byte) ([]byte, error) {
	if b.fail.Add(-1) >= 0 {
		return nil, errBlobs
	}
	return b.BlobStore.Get(ctx, name, buf)
}

// With a blob store, values over the limit come back as they were, among others, also when a successor appends them anew; an ordinary
// client finds the claim. A reader without the store, or whose store lost a value, says so, and hands out nothing in its place.
func TestClaims(t *testing.T) {
	bothBrokers(t, func(t *testing.T, addrs []string) {
		dir := t.TempDir()
		files, err := eventstore.NewBlobDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		store := &failingBlobs{BlobStore: files}
		name := pipeline()
		cfg := config(t, addrs, name)
		cfg.Blobs, cfg.Partitions = store, 2
		log := open(t, cfg)
		w := begin(t, log)
		mark(t, w, 0)
		large := make([]byte, 3*maxMessageBytes)
		_, _ = rand.Read(large)
		f := &eventstore.Flush{}
		f.Stamp.Add(1, "0-1-1")
		for i, value := range [][]byte{[]byte("small"), large, nil, large[:2*maxMessageBytes], []byte("small"), large[:maxMessageBytes-100], {}} {
			f.Records = append(f.Records, eventstore.Record{Place: eventstore.Place{CSN: 1, Index: uint64(i)}, Topic: "shop.stock", Key: fmt.Appendf(nil, `{"id":%d}`, i), Value: value})
		}
		store.fail.Store(1)
		if err := w.Append(t.Context(), f); !errors.Is(err, eventstore.ErrUnavailable) || !errors.Is(err, errBlobs) {
			t.Fatalf("append while the store is down: %v, want ErrUnavailable", err)
		}
		c, adm := admin(t, addrs)
		if n := count(t, adm, name+".shop.stock"); n != 0 {
			t.Errorf("%d records were written while the store was down", n)
		}
		w = begin(t, log)
		if err := w.Append(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		mark(t, w, 1)

		store.fail.Store(1) // a reader tries again
		read := func(log eventstore.Log) (got int, last error) {
			for cut, err := range log.Cuts(t.Context(), eventstore.CutOptions{}) {
				if err != nil {
					return got, err
				}
				for r, err := range cut.Records() {
					if err != nil {
						return got, err
					}
					if want := f.Records[got]; r.Place != want.Place || !bytes.Equal(r.Value, want.Value) || (r.Value == nil) != (want.Value == nil) {
						t.Errorf("record %d is %v with %d bytes, want %v with %d", got, r.Place, len(r.Value), want.Place, len(want.Value))
					}
					got++
				}
				if cut.CSN == 1 {
					break
				}
			}
			return got, nil
		}
		if got, err := read(log); got != len(f.Records) || err != nil {
			t.Errorf("%d records, %v, want %d", got, err, len(f.Records))
		}
		if got, err := read(open(t, config(t, addrs, name))); got != 1 || err == nil || !strings.Contains(err.Error(), "set Config.Blobs") || errors.Is(err, eventstore.ErrUnavailable) {
			t.Errorf("without the store: %d records, %v", got, err)
		}

		c.AddConsumeTopics(name + ".shop.stock")
		claims := 0
		for seen := 0; seen < len(f.Records); {
			fetches := c.PollFetches(t.Context())
			if err := fetches.Err(); err != nil {
				t.Fatal(err)
			}
			fetches.EachRecord(func(r *kgo.Record) {
				seen++
				for _, h := range r.Headers {
					if h.Key == "claim" && strings.HasPrefix(string(r.Value), `{"blob":"`) {
						claims++
					}
				}
			})
		}
		if claims != 3 {
			t.Errorf("an ordinary client sees %d claims, want 3", claims)
		}

		blobs, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(blobs) != 3 {
			t.Fatalf("%d files, %v", len(blobs), err)
		}
		for _, path := range blobs {
			value, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			value[7] ^= 1
			if err := os.WriteFile(path, value, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := read(log); got != 1 || !errors.Is(err, eventstore.ErrLogMismatch) {
			t.Errorf("with spoiled values: %d records, %v", got, err)
		}
		for _, path := range blobs {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := read(log); got != 1 || !errors.Is(err, eventstore.ErrBlobGone) || errors.Is(err, eventstore.ErrUnavailable) {
			t.Errorf("with lost values: %d records, %v", got, err)
		}
	})
}
