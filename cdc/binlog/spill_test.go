package binlog

import (
	"bytes"
	"testing"
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
