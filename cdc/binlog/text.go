package binlog

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// setText chooses how a character or binary string is rendered.
func (c *column) setText(m *columnMap, charsets *charsets) error {
	if c.size == nil {
		return fmt.Errorf("impossible %s with length %d", m.typeName(), m.meta)
	}
	if m.collation == collationBinary {
		c.render = renderBase64
		if m.kind == typeString {
			c.bytes, c.render = int(m.meta), renderPaddedBase64
		}
		return nil
	}
	var err error
	if c.charset, err = charsets.of(m.collation); err != nil {
		return err
	}
	c.render = renderText
	if c.charset.decode == nil {
		c.render = renderUTF8
	}
	return nil
}

func renderUTF8(c *column, dst, src []byte) ([]byte, int, error) {
	value, err := c.prefixed(src)
	if err != nil {
		return dst, 0, err
	}
	dst, err = appendJSONString(dst, value)
	return dst, c.width + len(value), err
}

func renderText(c *column, dst, src []byte) ([]byte, int, error) {
	value, err := c.prefixed(src)
	if err != nil {
		return dst, 0, err
	}
	dst, err = c.charset.appendJSON(dst, value)
	return dst, c.width + len(value), err
}

func renderBase64(c *column, dst, src []byte) ([]byte, int, error) {
	value, err := c.prefixed(src)
	if err != nil {
		return dst, 0, err
	}
	return appendBase64(dst, value), c.width + len(value), nil
}

func appendBase64(dst, value []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(append(dst, '"'), value), '"')
}

// renderPaddedBase64 renders BINARY(n): the event has lost the trailing zero bytes, which belong to the value.
func renderPaddedBase64(c *column, dst, src []byte) ([]byte, int, error) {
	value, err := c.prefixed(src)
	if err != nil {
		return dst, 0, err
	}
	n := c.width + len(value)
	if len(value) < c.bytes {
		value = append(make([]byte, 0, c.bytes), value...)[:c.bytes]
	}
	return appendBase64(dst, value), n, nil
}

var errNotUTF8 = errors.New("the text is not valid in its character set, and JSON cannot hold it as it is")

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// plain returns how many of the leading bytes of s can stand in a JSON string as they are and are ASCII.
func plain(s []byte) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		v := binary.LittleEndian.Uint64(s[i:])
		quote := v ^ lowBits*'"'
		slash := v ^ lowBits*'\\'
		// The high bit of a byte is set where it is below 0x20, a quote, a backslash, or above 0x7f. Borrows can set more of
		// them, never fewer, so the bytes are looked at one by one then.
		if (v|(v-lowBits*0x20)|(quote-lowBits)|(slash-lowBits))&highBits != 0 {
			break
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// appendJSONString appends UTF-8 text as a JSON string: quote, backslash and control characters escaped as both servers' JSON
// functions do it, everything else as it is.
func appendJSONString(dst, s []byte) ([]byte, error) {
	dst = append(dst, '"')
	dst, err := appendEscaped(dst, s)
	return append(dst, '"'), err
}

// appendEscaped is appendJSONString without the quotes.
func appendEscaped(dst, s []byte) ([]byte, error) {
	for {
		n := plain(s)
		dst = append(dst, s[:n]...)
		if n == len(s) {
			return dst, nil
		}
		s = s[n:]
		c := s[0]
		if c < utf8.RuneSelf {
			dst = appendEscape(dst, c)
			s = s[1:]
			continue
		}
		_, size := utf8.DecodeRune(s)
		switch {
		case size > 1:
			dst = append(dst, s[:size]...)
			s = s[size:]
		case len(s) >= 3 && c == 0xed && s[1] >= 0xa0 && s[1] <= 0xbf && s[2]&0xc0 == 0x80:
			// Half of a surrogate pair, which older servers accept as a character. JSON has a text for it, UTF-8 has not.
			unit := uint16(c&0x0f)<<12 | uint16(s[1]&0x3f)<<6 | uint16(s[2]&0x3f)
			dst = append(dst, '\\', 'u', hexDigits[unit>>12], hexDigits[unit>>8&15], hexDigits[unit>>4&15], hexDigits[unit&15])
			s = s[3:]
		default:
			return dst, errNotUTF8
		}
	}
}

func appendEscape(dst []byte, c byte) []byte {
	if at := bytes.IndexByte([]byte("\b\f\n\r\t\"\\"), c); at >= 0 {
		return append(dst, '\\', `bfnrt"\`[at])
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

const hexDigits = "0123456789abcdef"

// setLabels renders the labels of an ENUM or SET once.
func (c *column) setLabels(m *columnMap, charsets *charsets) error {
	charset, err := charsets.of(m.collation)
	if m.collation == collationBinary {
		charset, err = &utf8Charset, nil // ENUM and SET CHARACTER SET binary: the labels are what was typed
	}
	if err != nil {
		return err
	}
	limit := 65535
	c.render = renderEnum
	if m.kind == typeSet {
		limit, c.render = 64, renderSet
	}
	if len(m.labels) == 0 || len(m.labels) > limit || c.bytes < 1 || c.bytes > 8 {
		return fmt.Errorf("%s with %d labels in %d bytes", m.typeName(), len(m.labels), c.bytes)
	}
	for _, label := range m.labels {
		if charset.decode != nil {
			if label, err = charset.decode(label); err != nil {
				return fmt.Errorf("label: %w", err)
			}
		}
		text, err := appendEscaped(nil, label)
		if err != nil {
			return fmt.Errorf("label: %w", err)
		}
		c.labels = append(c.labels, string(text))
	}
	return nil
}

var errLabel = errors.New("the value is beyond the type's list of labels: corrupt event")

// renderEnum renders the label; number 0 is the empty text that the server stores for an invalid value.
func renderEnum(c *column, dst, src []byte) ([]byte, int, error) {
	if len(src) < c.bytes {
		return dst, 0, errShort
	}
	n := littleEndian(src[:c.bytes])
	if n > uint64(len(c.labels)) {
		return dst, 0, errLabel
	}
	dst = append(dst, '"')
	if n > 0 {
		dst = append(dst, c.labels[n-1]...)
	}
	return append(dst, '"'), c.bytes, nil
}

// renderSet renders the labels of the set bits with commas between them, as the server prints a SET; a label has no comma.
func renderSet(c *column, dst, src []byte) ([]byte, int, error) {
	if len(src) < c.bytes {
		return dst, 0, errShort
	}
	bits := littleEndian(src[:c.bytes])
	dst = append(dst, '"')
	for i, start := 0, len(dst); bits != 0; i, bits = i+1, bits>>1 {
		if i >= len(c.labels) {
			return dst, 0, errLabel
		}
		if bits&1 != 0 {
			if len(dst) > start {
				dst = append(dst, ',')
			}
			dst = append(dst, c.labels[i]...)
		}
	}
	return append(dst, '"'), c.bytes, nil
}
