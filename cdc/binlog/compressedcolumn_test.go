package binlog

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/millrace-go/millrace/internal/reclaim"
)

// TestCompressedValueHuge: a huge value leaves nothing behind in the pool, and the JSON around it does not move it once more.
func TestCompressedValueHuge(t *testing.T) {
	const size = reclaim.Huge + 3
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, 6)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(make([]byte, size))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	value := append(binary.BigEndian.AppendUint32([]byte{0x8c}, size), packed.Bytes()...)
	encoded := base64.StdEncoding.EncodedLen(size)
	const page = 8192 // memory comes in pages: what is before the value fills the last one
	before := make([]byte, page-(1+encoded)%page)
	out, _, err := renderCompressed(&column{width: 4}, before, append(binary.LittleEndian.AppendUint32(nil, uint32(len(value))), value...))
	if want := len(before) + 2 + encoded; err != nil || len(out) != want {
		t.Fatalf("%d bytes of JSON, want %d; %v", len(out), want, err)
	}
	if room := cap(out) - len(out); room < 1<<10 || room > 1<<20 {
		t.Errorf("room for %d bytes behind the value, want a little", room)
	}
	f := inflaters.Get().(*inflater)
	defer inflaters.Put(f)
	if cap(f.buf) > reclaim.Huge {
		t.Errorf("the pool keeps %d bytes", cap(f.buf))
	}
}

// TestCompressedValueCorrupt: a damaged value is an error, and takes no memory for a length that it only announces.
func TestCompressedValueCorrupt(t *testing.T) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, 6)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(bytes.Repeat([]byte("tea "), 100))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	value := func(head byte, length []byte, data []byte) []byte {
		return append(append([]byte{head}, length...), data...)
	}
	c := &column{width: 4}
	render := func(value []byte) (string, error) {
		out, _, err := renderCompressed(c, nil, append(binary.LittleEndian.AppendUint32(nil, uint32(len(value))), value...))
		return string(out), err
	}
	if _, err := render(value(0x8a, []byte{1, 144}, packed.Bytes())); err != nil {
		t.Fatalf("as the server writes it: %v", err)
	}
	corrupt := map[string][]byte{
		"wrapper":        value(0x82, []byte{1, 144}, packed.Bytes()),
		"shorter":        value(0x8a, []byte{1, 143}, packed.Bytes()),
		"longer":         value(0x8a, []byte{1, 145}, packed.Bytes()),
		"huge":           value(0x8c, []byte{255, 255, 255, 255}, packed.Bytes()),
		"length's bytes": value(0x8f, nil, packed.Bytes()),
		"cut":            value(0x8a, []byte{1, 144}, packed.Bytes()[:5]),
		"no length":      {0x8a, 1},
		"nothing":        {0x8a},
	}
	bounded(t, 4<<20, func() {
		for name, value := range corrupt {
			if out, err := render(value); !errors.Is(err, errCompressedValue) {
				t.Errorf("%s: got %q and %v, want %v", name, out, err, errCompressedValue)
			}
		}
	})
	if out, err := render([]byte{0x10, 1, 2}); err == nil {
		t.Errorf("unknown method: got %q", out)
	}
}
