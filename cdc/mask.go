package cdc

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"sync"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/millrace-go/millrace/internal/pattern"
)

// Mask hides the values of columns. It is made by [Redact], [Hash] or [Truncate], and safe for concurrent use. NULL stays null under
// every mask.
type Mask struct {
	kind     maskKind
	patterns []string
	text     []byte // Redact: JSON
	length   int    // Truncate
	// hashes is a function, so that printing a configuration never prints the secret.
	hashes func() *sync.Pool
	err    error
}

type maskKind uint8

const (
	maskRedact maskKind = iota + 1
	maskHash
	maskTruncate
)

// minSecret is the least length of a secret, in bytes: less can be guessed.
const minSecret = 16

// Redact puts text in the place of every value of the columns that match a pattern; see [Columns] for patterns. It cannot be used for columns of
// a key, whose records would all become one.
func Redact(text string, patterns ...string) Mask {
	m := Mask{kind: maskRedact, patterns: slices.Clone(patterns), text: quoted(text)}
	if !utf8.ValidString(text) {
		m.err = errors.New("the text is not UTF-8")
	}
	return m
}

// Hash puts the HMAC-SHA256 under secret, as a string of 64 hexadecimal digits, in the place of every value of the columns that match a
// pattern. It is computed over the text of a string as it stands in the record, without quotes and escapes, in UTF-8, and over the JSON of
// any other value (the digits of a number). So equal values stay equal, across columns, tables and other systems that use the
// same secret; columns of a key can be hashed.
//
// secret has 16 bytes or more, and should be random: whoever knows it can try values. It stands in no error, log line or configuration
// id; another secret gives another configuration id.
func Hash(secret []byte, patterns ...string) Mask {
	m := Mask{kind: maskHash, patterns: slices.Clone(patterns)}
	secret = slices.Clone(secret)
	pool := &sync.Pool{New: func() any { return &hasher{Hash: hmac.New(sha256.New, secret)} }}
	m.hashes = func() *sync.Pool { return pool }
	if len(secret) < minSecret {
		m.err = fmt.Errorf("the secret has %d bytes, want %d or more", len(secret), minSecret)
	}
	return m
}

// Truncate leaves the first length characters (Unicode code points) of every value of the columns that match a pattern. They must be text: CHAR,
// VARCHAR, TEXT. It cannot be used for columns of a key, of which several would become one.
func Truncate(length int, patterns ...string) Mask {
	m := Mask{kind: maskTruncate, patterns: slices.Clone(patterns), length: length}
	if length < 0 {
		m.err = fmt.Errorf("truncate to %d characters, want 0 or more", length)
	}
	return m
}

// String says what the mask does, without texts and secrets: "redact", "hash", "truncate(3)".
func (m *Mask) String() string {
	switch m.kind {
	case maskRedact:
		return "redact"
	case maskHash:
		return "hash"
	case maskTruncate:
		return fmt.Sprintf("truncate(%d)", m.length)
	}
	return "none"
}

// Distinct tells whether different values stay different, which columns of a key need.
func (m *Mask) Distinct() bool { return m.kind == maskHash }

// TextOnly tells whether the mask is for text only.
func (m *Mask) TextOnly() bool { return m.kind == maskTruncate }

// Patterns returns a copy of the patterns.
func (m *Mask) Patterns() []string { return slices.Clone(m.patterns) }

func (m *Mask) validate() error {
	if m.kind == 0 {
		return errors.New("the mask was not made by Redact, Hash or Truncate")
	}
	errs := []error{m.err}
	if len(m.patterns) == 0 {
		errs = append(errs, fmt.Errorf("%s has no pattern, want schema.table.column", m))
	}
	for _, p := range m.patterns {
		errs = append(errs, pattern.CheckColumn(p))
	}
	return errors.Join(errs...)
}

func (m *Mask) matches(schema, table, column string) bool {
	return slices.ContainsFunc(m.patterns, func(p string) bool { return pattern.Column(p, schema, table, column) })
}

func (m *Mask) identify(w io.Writer) {
	fmt.Fprintf(w, "mask %s %q %q", m, m.text, m.patterns)
	if m.kind == maskHash {
		fmt.Fprintf(w, " %x", m.sum([]byte("configuration id")))
	}
	fmt.Fprintln(w)
}

// Replace masks the value at the end of json, which begins at from: one value as it stands in a row's image. It returns json with the
// masked value instead.
func (m *Mask) Replace(json []byte, from int) []byte {
	value := json[from:]
	if string(value) == "null" {
		return json
	}
	switch m.kind {
	case maskRedact:
		return append(json[:from], m.text...)
	case maskHash:
		sum := m.sum(plain(value))
		return append(hex.AppendEncode(append(json[:from], '"'), sum[:]), '"')
	case maskTruncate:
		if n := truncated(value, m.length); n < len(value) {
			return append(json[:from+n], '"')
		}
	}
	return json
}

// sum returns the HMAC of text.
func (m *Mask) sum(text []byte) [sha256.Size]byte {
	pool := m.hashes()
	h := pool.Get().(*hasher)
	defer pool.Put(h)
	h.Reset()
	h.Write(text)
	h.Sum(h.sum[:0])
	return h.sum
}

// hasher computes one HMAC at a time.
type hasher struct {
	hash.Hash
	sum [sha256.Size]byte
}

// quoted returns text as JSON, with the escapes of a row's image: no others than JSON demands.
func quoted(text string) []byte {
	dst := []byte{'"'}
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = fmt.Appendf(dst, `\u%04x`, c)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// plain returns the text of a JSON string, and any other value as it is.
func plain(value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return value
	}
	value = value[1 : len(value)-1]
	if bytes.IndexByte(value, '\\') < 0 {
		return value
	}
	text := make([]byte, 0, len(value))
	for i := 0; i < len(value); {
		if value[i] != '\\' {
			text = append(text, value[i])
			i++
			continue
		}
		r, n := escape(value[i:])
		i += n
		if utf16.IsSurrogate(r) && i < len(value) && value[i] == '\\' {
			if low, n := escape(value[i:]); utf16.DecodeRune(r, low) != utf8.RuneError {
				r, i = utf16.DecodeRune(r, low), i+n
			}
		}
		if utf16.IsSurrogate(r) { // half a pair, which UTF-8 cannot say: the bytes it would have
			text = append(text, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
			continue
		}
		text = utf8.AppendRune(text, r)
	}
	return text
}

// escape reads the escape that src begins with, and returns its length.
func escape(src []byte) (rune, int) {
	if len(src) < 2 {
		return utf8.RuneError, len(src)
	}
	switch src[1] {
	case 'u':
		if len(src) >= 6 {
			if n, err := strconv.ParseUint(string(src[2:6]), 16, 32); err == nil {
				return rune(n), 6
			}
		}
	case 'n':
		return '\n', 2
	case 't':
		return '\t', 2
	case 'r':
		return '\r', 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	}
	return rune(src[1]), 2
}

// truncated returns how many bytes of a JSON string, its first quote included, its first n characters are; of another value, all.
func truncated(value []byte, n int) int {
	if len(value) < 2 || value[0] != '"' {
		return len(value)
	}
	i := 1
	for ; n > 0 && i < len(value)-1; n-- {
		if value[i] == '\\' {
			_, size := escape(value[i:])
			i += size
			continue
		}
		_, size := utf8.DecodeRune(value[i:])
		i += size
	}
	if i >= len(value)-1 {
		return len(value)
	}
	return i
}
