package eventstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/millrace-go/millrace/eventstore"
)

func TestBlobDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	store, err := eventstore.NewBlobDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if _, err := store.Get(ctx, "abc0", nil); !errors.Is(err, eventstore.ErrBlobGone) {
		t.Errorf("get what is not there: %v", err)
	}
	value := bytes.Repeat([]byte("tea"), 1<<20)
	for range 2 {
		if err := store.Put(ctx, "abc0", value); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Put(ctx, "abc1", nil); err != nil {
		t.Fatal(err)
	}
	for _, buf := range [][]byte{nil, make([]byte, 10, 4<<20)} {
		if got, err := store.Get(ctx, "abc0", buf); err != nil || !bytes.Equal(got, value) {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
		if got, err := store.Get(ctx, "abc1", buf); err != nil || len(got) != 0 {
			t.Errorf("got %d bytes of an empty value, %v", len(got), err)
		}
	}
	// A file that was left half-way, by a crash of the file system, is written again.
	if err := os.Truncate(filepath.Join(dir, "abc0"), 5); err != nil {
		t.Fatal(err)
	}
	if err := store.Put(ctx, "abc0", value); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Get(ctx, "abc0", nil); err != nil || !bytes.Equal(got, value) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	for _, name := range []string{"", "a", "../ab", "a/b", "AB"} {
		if err := store.Put(ctx, name, value); err == nil {
			t.Errorf("put %q: no error", name)
		}
		if _, err := store.Get(ctx, name, nil); err == nil || errors.Is(err, eventstore.ErrBlobGone) {
			t.Errorf("get %q: %v", name, err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Errorf("%d files, %v", len(files), err)
	}
}

func ExampleNewBlobDir() {
	dir, err := os.MkdirTemp("", "blobs")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	store, err := eventstore.NewBlobDir(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	fmt.Println(store.Put(ctx, "c0ffee", []byte("a very large value")))
	value, err := store.Get(ctx, "c0ffee", nil)
	fmt.Println(string(value), err)
	// Output:
	// <nil>
	// a very large value <nil>
}
