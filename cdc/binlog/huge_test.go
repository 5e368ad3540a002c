package binlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"testing"
	"testing/synctest"

	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/millrace-go/millrace/internal/reclaim"
)

// packet is an event of so many bytes behind the protocol's byte, the way it comes from a connection.
func packet(size int) []byte {
	b := &builder{checksum: true}
	return append([]byte{0}, b.event(replication.WRITE_ROWS_EVENTv2, 0, bytes.Repeat([]byte("row "), size/4)[:size-headerSize-checksumSize])...)
}

// TestEventBuffer: an event of any size comes whole, and one that announces itself takes no memory for what it does not have.
func TestEventBuffer(t *testing.T) {
	var b eventBuffer
	asked := 0
	b.huge = func() bool { asked++; return true }
	for _, size := range []int{headerSize + checksumSize, 16 << 10, 5 << 20, 100, reclaim.Huge + 1000} {
		raw := packet(size)
		b.reset()
		before := allocated()
		for rest := raw; len(rest) > 0; {
			n, err := b.Write(rest[:min(len(rest), 16<<10)])
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if took := allocated() - before; took > uint64(size)*2+2*inboxBytes {
			t.Errorf("%d bytes allocated for an event of %d", took, size)
		}
		if !bytes.Equal(b.raw(), raw[1:]) {
			t.Errorf("an event of %d bytes differs", size)
		}
		if _, err := parseEvent(b.give(), true); err != nil {
			t.Error(err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times before a huge event, want once", asked)
	}

	b.reset()
	b.huge = func() bool { return false }
	if _, err := b.Write(packet(reclaim.Huge + 1000)[:16<<10]); !errors.Is(err, errClosed) {
		t.Errorf("a refused event: %v", err)
	}
	b.huge = nil
	b.reset()
	lie := packet(1000)
	binary.LittleEndian.PutUint32(lie[1+9:], 1<<32-1)
	bounded(t, 4*inboxBytes, func() { _, _ = b.Write(lie) })
}

// TestEventBufferDisk: a file that cannot be written is no broken connection, after which others would try again.
func TestEventBufferDisk(t *testing.T) {
	b := eventBuffer{spill: spill{dir: t.TempDir() + "/gone", limit: 100}}
	raw := packet(4 * fileBufferSize)
	raw[1+4] = byte(replication.TRANSACTION_PAYLOAD_EVENT)
	if _, err := b.Write(raw); err == nil || b.failed == nil {
		t.Errorf("no directory: %v, %v", err, b.failed)
	}
	b = eventBuffer{spill: spill{dir: t.TempDir(), limit: 100}}
	if n, err := b.Write(raw[:100]); n != 100 || err != nil {
		t.Fatal(n, err)
	}
	b.spilled.file.Close()
	if _, err := b.Write(raw[100:]); err == nil || b.failed == nil {
		t.Errorf("a broken file: %v, %v", err, b.failed)
	}
}

// TestDrained: a huge event is read when everything before it was decoded.
func TestDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInbox()
		drained := false
		go func() {
			in.put([]byte("small"), false)
			drained = in.drained()
		}()
		b, err := in.take(t.Context(), batch{})
		if err != nil || len(b.events) != 1 {
			t.Fatal(b, err)
		}
		synctest.Wait()
		if drained {
			t.Fatal("drained while the decoder has an event")
		}
		go func() { _, _ = in.take(t.Context(), b) }()
		synctest.Wait()
		if !drained {
			t.Fatal("not drained when the decoder waits")
		}
		close(in.closed)
		if in.drained() || in.putSpilled(nil) {
			t.Error("drained when it is closed")
		}
	})
}

// TestSpilledEvent: damage is noticed before anything of the event is used, and no file stays behind.
func TestSpilledEvent(t *testing.T) {
	b := &builder{checksum: true}
	good := b.event(replication.TRANSACTION_PAYLOAD_EVENT, 0, []byte{payloadEnd, 1, 2, 3, 4, 5})
	dir := t.TempDir()
	write := func(raw []byte) (event, error) {
		s, err := newSpilledEvent(dir, good)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		for i := range raw {
			if err := s.write(raw[i : i+1]); err != nil {
				return event{}, err
			}
		}
		e, err := s.event(true)
		if err == nil {
			body, err := s.body(true, 1)
			if err != nil {
				t.Fatal(err)
			}
			e.body = make([]byte, 100)
			n, _ := body.Read(e.body)
			e.body = e.body[:n]
		}
		return e, err
	}
	e, err := write(good)
	want, _ := parseEvent(good, true)
	if err != nil || e.kind != want.kind || e.end != want.end || !bytes.Equal(e.body, want.body[1:]) {
		t.Errorf("got %+v, %v, want %+v", e, err, want)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x40
		if _, err := write(bad); !errors.Is(err, errChecksum) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
	}
	if _, err := write(good[:len(good)-1]); err == nil {
		t.Error("an event that is cut off is no error")
	}
	if _, err := write(append(good, 0)); !errors.Is(err, errShort) {
		t.Errorf("an event that is too long: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := newSpilledEvent(dir+"/none", good); err == nil {
		t.Error("a directory that is not there is no error")
	}
}

// TestLongTextInPieces: a text of another character set is the same whether it is decoded at once or in pieces, and takes no second
// buffer of its size.
func TestLongTextInPieces(t *testing.T) {
	sets := newCharsets(map[uint64]string{8: "latin1", 54: "utf16"})
	for collation, unit := range map[uint64]string{8: "tea \" \xe9\x80", 54: "\x00t\xd8\x3d\xde\x00\x20\xac\x00\"\xd8\x00"} {
		c, err := sets.of(collation)
		if err != nil {
			t.Fatal(err)
		}
		text := bytes.Repeat([]byte(unit), 64*textPiece/len(unit))
		plain, err := c.decode(text)
		if err != nil {
			t.Fatal(err)
		}
		want, err := appendJSONString(nil, plain)
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := newCharset(c.name) // with a buffer that has not grown yet
		if err != nil {
			t.Fatal(err)
		}
		dst := make([]byte, 0, len(want))
		bounded(t, 16*textPiece, func() {
			if got, err := fresh.appendJSON(dst, text); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: in pieces %d bytes, %v, want %d", c.name, len(got), err, len(want))
			}
		})
		short, err := c.appendJSON(nil, []byte(unit))
		if err != nil || !bytes.HasPrefix(want, short[:len(short)-1]) {
			t.Errorf("%s: %s, %v", c.name, short, err)
		}
		if empty, err := c.appendJSON(nil, nil); err != nil || string(empty) != `""` {
			t.Errorf("%s: %s, %v, want an empty text", c.name, empty, err)
		}
		if _, err := c.appendJSON(nil, append(bytes.Clone(text), 0)); c.name == "utf16" && !errors.Is(err, errNotUTF8) {
			t.Errorf("half a character: %v", err)
		}
	}
}
