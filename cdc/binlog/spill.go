package binlog

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
)

// spill bounds what waits in memory: all its spools together keep at most limit bytes there, and the largest go to temporary files.
// The zero value has no bound. Not safe for concurrent use.
type spill struct {
	dir    string // "" is os.TempDir
	limit  int
	used   int
	spools map[*spool]struct{} // those in memory
	spare  []byte              // of a spool that was closed
}

// spool is a run of bytes that is written first and read then. It must be closed.
type spool struct {
	owner *spill
	mem   []byte
	file  *tempFile     // nil as long as everything stands in mem
	w     *bufio.Writer // to file, until it is sealed
	size  int64
}

const (
	spareBytes     = 1 << 20  // a buffer beyond that is not kept for the next spool
	fileBufferSize = 64 << 10 // for reading and writing a file
)

func (s *spill) spool() *spool {
	p := &spool{owner: s, mem: s.spare[:0]}
	s.spare = nil
	if s.spools == nil {
		s.spools = map[*spool]struct{}{}
	}
	s.spools[p] = struct{}{}
	return p
}

// write appends the parts.
func (p *spool) write(parts ...[]byte) error {
	n := 0
	for _, part := range parts {
		n += len(part)
	}
	for p.file == nil && p.owner.limit > 0 && p.owner.used+n > p.owner.limit {
		largest := p.owner.largest(p, n)
		err := largest.toFile()
		if err == nil && largest != p { // only p is being written
			err = largest.seal()
		}
		if err != nil {
			return err
		}
	}
	p.size += int64(n)
	if p.file == nil {
		p.owner.used += n
		for _, part := range parts {
			p.mem = append(p.mem, part...)
		}
		return nil
	}
	for _, part := range parts {
		if _, err := p.w.Write(part); err != nil {
			return p.file.failed(err)
		}
	}
	return nil
}

// largest finds the spool whose memory gives most, where grown will have n bytes more.
func (s *spill) largest(grown *spool, n int) *spool {
	largest := grown
	for p := range s.spools {
		if p != grown && len(p.mem) > len(largest.mem)+n {
			largest, n = p, 0
		}
	}
	return largest
}

func (p *spool) toFile() error {
	f, err := newTempFile(p.owner.dir)
	if err != nil {
		return err
	}
	p.file, p.w = f, bufio.NewWriterSize(f, fileBufferSize)
	if _, err := p.w.Write(p.mem); err != nil {
		return f.failed(err)
	}
	p.forget()
	return nil
}

// forget gives the memory back.
func (p *spool) forget() {
	if _, ok := p.owner.spools[p]; !ok {
		return
	}
	delete(p.owner.spools, p)
	p.owner.used -= len(p.mem)
	if cap(p.mem) <= spareBytes {
		p.owner.spare = p.mem
	}
	p.mem = nil
}

// seal says that no more is written for now, and gives the buffer of a file back.
func (p *spool) seal() error {
	if p.w == nil {
		return nil
	}
	w := p.w
	p.w = nil
	if err := w.Flush(); err != nil {
		return p.file.failed(err)
	}
	return nil
}

// truncate forgets everything behind the first size bytes.
func (p *spool) truncate(size int64) error {
	if p.file == nil {
		p.owner.used -= len(p.mem) - int(size)
		p.mem, p.size = p.mem[:size], size
		return nil
	}
	err := p.w.Flush()
	if err == nil {
		err = p.file.Truncate(size)
	}
	if err == nil {
		_, err = p.file.Seek(size, io.SeekStart)
	}
	if err != nil {
		return p.file.failed(err)
	}
	p.size = size
	return nil
}

// read begins with the first event in the spool. Nothing may be written any more.
func (p *spool) read(r *eventReader) error {
	if p.file == nil {
		r.reset(p.mem, nil)
		return nil
	}
	if err := p.seal(); err != nil {
		return err
	}
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return p.file.failed(err)
	}
	r.reset(nil, bufio.NewReaderSize(p.file, fileBufferSize))
	return nil
}

// close gives back what the spool takes. It may be closed twice.
func (p *spool) close() {
	p.forget()
	if p.file != nil {
		p.file.remove()
		p.file, p.w = nil, nil
	}
}

// tempFile is a file for this process alone, which is gone when the process is.
type tempFile struct {
	*os.File
	name string // to be removed; "" when it has no name any more
}

// newTempFile makes a file in dir with permissions 0600. Where the system can, it has no name from the beginning, so that a crash
// leaves nothing behind.
func newTempFile(dir string) (*tempFile, error) {
	f, err := os.CreateTemp(dir, "millrace-*.spill")
	if err != nil {
		return nil, fmt.Errorf("spill a transaction to a file: %w", err)
	}
	t := &tempFile{File: f, name: f.Name()}
	if os.Remove(t.name) == nil {
		t.name = ""
	}
	return t, nil
}

// failed says what could not be done with the file. The text has its folder, and nothing of what is in it.
func (t *tempFile) failed(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return spillError(e)
	}
	return fmt.Errorf("spill a transaction to %s (Config.SpillDir, Config.SpillBytes): %w", t.Name(), err)
}

func spillError(err *os.PathError) error {
	return fmt.Errorf("spill a transaction to a file (Config.SpillDir, Config.SpillBytes): %w", err)
}

func (t *tempFile) remove() {
	t.Close()
	if t.name != "" {
		_ = os.Remove(t.name)
	}
}
