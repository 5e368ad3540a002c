package binlog

import (
	"bufio"
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
)

// TestSpoolsSealed: of spools that nothing is written to no more than their bytes is kept, whenever they go to a file; and they are read as
// they were written.
func TestSpoolsSealed(t *testing.T) {
	const spools, size = 50, 5000
	s := spill{dir: t.TempDir(), limit: 100_000}
	var all []*spool
	for i := range spools {
		p := s.spool()
		defer p.close()
		for range size / 50 {
			if err := p.write(bytes.Repeat([]byte{byte(i)}, 30), bytes.Repeat([]byte{byte(i)}, 20)); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.seal(); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	files := 0
	for i, p := range all {
		if p.w != nil {
			t.Fatalf("spool %d keeps the buffer of its file", i)
		}
		var r eventReader
		if err := p.read(&r); err != nil {
			t.Fatal(err)
		}
		content := p.mem
		if p.file != nil {
			files++
			content = make([]byte, size+1)
			n, _ := p.file.ReadAt(content, 0)
			content = content[:n]
		}
		if !bytes.Equal(content, bytes.Repeat([]byte{byte(i)}, size)) {
			t.Errorf("spool %d has other bytes", i)
		}
	}
	if files < spools/2 {
		t.Errorf("%d of %d spools are in files, want most", files, spools)
	}
}

// TestSpoolUnreadable: a disk that cannot be read is not called corruption, and where to look stands in the error; of events that are
// corrupt the transaction is named.
func TestSpoolUnreadable(t *testing.T) {
	for _, size := range []int{40, 3} {
		for _, limit := range []int{1, 0} {
			a := &assembler{flavor: MySQL, spill: spill{dir: t.TempDir(), limit: limit}, tx: transaction{open: true, gtid: gtidEvent{id: "u:7"}}}
			a.hold()
			defer a.close()
			if err := a.tx.held.write(make([]byte, size)); err != nil { // a header that says size 0, or no whole header
				t.Fatal(err)
			}
			if err := a.replay(); err != nil {
				t.Fatal(err)
			}
			_, err := a.pull()
			if de, ok := errors.AsType[*cdc.DecodeError](err); !ok || de.Position.GTIDs != "u:7" || !errors.Is(err, errEvents) {
				t.Errorf("%d bytes of nothing: %v, want a DecodeError of u:7", size, err)
			}
		}
	}
	for _, size := range []int{headerSize, 2 * fileBufferSize} { // it fails at a header, or within an event
		a := &assembler{flavor: MySQL, spill: spill{dir: t.TempDir(), limit: 1}, tx: transaction{open: true}}
		a.hold()
		defer a.close()
		b := &builder{}
		if err := a.tx.held.write(b.event(0, 0, make([]byte, size-headerSize))); err != nil {
			t.Fatal(err)
		}
		if err := a.replay(); err != nil {
			t.Fatal(err)
		}
		if size > headerSize {
			if _, err := a.waiting.stream.(*bufio.Reader).Peek(1); err != nil { // a part of it is in the buffer
				t.Fatal(err)
			}
		}
		a.tx.held.file.Close()
		_, err := a.pull()
		if err == nil || errors.Is(err, errEvents) || !strings.Contains(err.Error(), "Config.SpillDir") {
			t.Errorf("a file that cannot be read: %v, want the way to Config.SpillDir", err)
		}
	}
}
