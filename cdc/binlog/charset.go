package binlog

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// charset turns a column's bytes into UTF-8.
type charset struct {
	name string
	// decode is nil for what is UTF-8 already. Its result is valid until the next call.
	decode func([]byte) ([]byte, error)
	// begin decodes as much of a text as makes textPiece bytes, and returns what is left of it. The result is valid until the next call.
	begin func([]byte) (decoded, rest []byte, err error)
}

// textPiece is how much of a long text is decoded at once: it stands a second time in the JSON.
const textPiece = 64 << 10

// appendJSON appends text of this character set as a JSON string.
func (s *charset) appendJSON(dst, text []byte) ([]byte, error) {
	if s.decode == nil {
		return appendJSONString(dst, text)
	}
	dst = append(dst, '"')
	for len(text) > 0 {
		piece, rest, err := s.begin(text)
		if err != nil {
			return dst, err
		}
		if dst, err = appendEscaped(dst, piece); err != nil {
			return dst, err
		}
		text = rest
	}
	return append(dst, '"'), nil
}

var utf8Charset = charset{name: "utf8mb4"}

// charsets finds a collation's character set. The server's own list says which collation belongs to which.
type charsets struct {
	names map[uint64]string // collation to character set
	made  map[string]*charset
}

func newCharsets(names map[uint64]string) *charsets {
	return &charsets{names: names, made: map[string]*charset{}}
}

func (s *charsets) of(collation uint64) (*charset, error) {
	name, ok := s.names[collation]
	if !ok {
		return nil, fmt.Errorf("collation %d is not in the server's list", collation)
	}
	if c := s.made[name]; c != nil {
		return c, nil
	}
	c, err := newCharset(name)
	if err != nil {
		return nil, err
	}
	s.made[name] = c
	return c, nil
}

func newCharset(name string) (*charset, error) {
	switch name {
	case "utf8", "utf8mb3", "utf8mb4", "ascii":
		return &charset{name: name}, nil
	case "ucs2", "utf16":
		return decoded(name, utf16Rune(bigEndian)), nil
	case "utf16le":
		return decoded(name, utf16Rune(littleEndian)), nil
	case "utf32":
		return decoded(name, utf32Rune), nil
	}
	table, err := loadCodeTable(name)
	if err != nil {
		return nil, err
	}
	return decoded(name, table.rune), nil
}

// decoded makes a charset of a function that reads one character at the head of s, which is not empty; its length is 0 when there is
// none.
func decoded(name string, next func(s []byte) (r rune, n int)) *charset {
	var buf []byte
	begin := func(s []byte) ([]byte, []byte, error) {
		buf = buf[:0]
		for len(s) > 0 && len(buf) < textPiece {
			r, n := next(s)
			if n == 0 {
				return nil, nil, fmt.Errorf("character set %s: %w", name, errNotUTF8)
			}
			buf = appendRune(buf, r)
			s = s[n:]
		}
		return buf, s, nil
	}
	whole := func(s []byte) ([]byte, error) {
		text, rest, err := begin(s)
		if len(rest) > 0 {
			text = slices.Clone(text)
		}
		for len(rest) > 0 && err == nil {
			var piece []byte
			piece, rest, err = begin(rest)
			text = append(text, piece...)
		}
		return text, err
	}
	return &charset{name: name, decode: whole, begin: begin}
}

// appendRune appends UTF-8, and half of a surrogate pair in the same manner, as the servers' own utf8 does.
func appendRune(dst []byte, r rune) []byte {
	if r >= 0xd800 && r <= 0xdfff {
		return append(dst, 0xed, 0x80|byte(r>>6&0x3f), 0x80|byte(r&0x3f))
	}
	return utf8.AppendRune(dst, r)
}

func utf16Rune(order func([]byte) uint64) func([]byte) (rune, int) {
	return func(s []byte) (rune, int) {
		if len(s) < 2 {
			return 0, 0
		}
		r := rune(order(s[:2]))
		if r >= 0xd800 && r <= 0xdbff && len(s) >= 4 {
			if low := rune(order(s[2:4])); low >= 0xdc00 && low <= 0xdfff {
				return 0x10000 + (r-0xd800)<<10 + low - 0xdc00, 4
			}
		}
		return r, 2
	}
}

func utf32Rune(s []byte) (rune, int) {
	if len(s) < 4 {
		return 0, 0
	}
	if v := bigEndian(s[:4]); v <= utf8.MaxRune {
		return rune(v), 4
	}
	return 0, 0
}
