package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrBlobGone says that a [BlobStore] does not have a value that a record of the log refers to.
var ErrBlobGone = errors.New("the value of a record is not in the blob store")

// BlobStore keeps values that are too large for the records of a log. Writer and readers of the log are given the same. It is safe for
// concurrent use.
type BlobStore interface {
	// Put keeps value under a name and returns when it is durable. A name stands for one value for ever: Put may be called again with both, and
	// need not write it again then. Names are hexadecimal digits.
	Put(ctx context.Context, name string, value []byte) error

	// Get returns the value, read into buf where that has room. A name that is not there is [ErrBlobGone].
	Get(ctx context.Context, name string, buf []byte) ([]byte, error)
}

// BlobDir is a [BlobStore] in a directory, one file for each value. It deletes nothing: a value is needed for as long as a record of the
// log refers to it. Whoever dies within a Put leaves a file whose name begins with "part-", which nobody reads: it may be removed when no relay
// has written it for longer than a Put takes (find DIR -name 'part-*' -mmin +60 -delete).
type BlobDir struct{ dir string }

var _ BlobStore = (*BlobDir)(nil)

// NewBlobDir returns the store in a directory, which is made if it is not there. Readers on other machines must see the same directory.
func NewBlobDir(dir string) (*BlobDir, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("blob directory: %w", err)
	}
	return &BlobDir{dir}, nil
}

// Put implements [BlobStore]. A file has its name only once it is whole and on the disk.
func (d *BlobDir) Put(ctx context.Context, name string, value []byte) (err error) {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("put blob: %w", err)
	}
	path, err := d.path(name)
	if err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil && info.Size() == int64(len(value)) {
		return d.sync() // whoever gave it the name may have died before this
	}
	f, err := os.CreateTemp(d.dir, "part-*")
	if err != nil {
		return fmt.Errorf("put blob: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("put blob: %w", errors.Join(err, os.Remove(f.Name())))
		}
	}()
	_, err = f.Write(value)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return d.sync()
}

// sync makes the names durable.
func (d *BlobDir) sync() error {
	dir, err := os.Open(d.dir)
	if err != nil {
		return fmt.Errorf("put blob: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Get implements [BlobStore].
func (d *BlobDir) Get(ctx context.Context, name string, buf []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("get blob: %w", err)
	}
	path, err := d.path(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("get blob: %w: %w", ErrBlobGone, err)
	}
	if err != nil {
		return nil, fmt.Errorf("get blob: %w", err)
	}
	defer f.Close()
	return readBlob(f, buf)
}

func readBlob(f *os.File, buf []byte) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("get blob: %w", err)
	}
	if int64(cap(buf)) < info.Size() {
		buf = make([]byte, info.Size())
	}
	buf = buf[:info.Size()]
	if _, err := f.ReadAt(buf, 0); err != nil && len(buf) > 0 {
		return nil, fmt.Errorf("get blob: %w", err)
	}
	return buf, nil
}

// path refuses names that could lead out of the directory.
func (d *BlobDir) path(name string) (string, error) {
	if d == nil || d.dir == "" {
		return "", errors.New("blob directory: it is not made by NewBlobDir")
	}
	for _, c := range name {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", fmt.Errorf("blob name %q: want hexadecimal digits", name)
		}
	}
	if len(name) < 2 {
		return "", fmt.Errorf("blob name %q: want hexadecimal digits", name)
	}
	return filepath.Join(d.dir, name), nil
}
