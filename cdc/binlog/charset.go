package binlog

import (
	"bytes"
	"fmt"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

// charset turns a column's bytes into UTF-8.
type charset struct {
	name string
	// decode is nil for what is UTF-8 already. Its result is valid until the next call.
	decode func([]byte) ([]byte, error)
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

// replacement is what a decoder puts where there is no character.
var replacement = []byte("\ufffd")

// encodings are the character sets that are not UTF-8 already.
var encodings = map[string]encoding.Encoding{
	"latin1":   charmap.Windows1252, // MySQL's latin1 is cp1252
	"latin2":   charmap.ISO8859_2,
	"latin5":   charmap.ISO8859_9,
	"latin7":   charmap.ISO8859_13,
	"greek":    charmap.ISO8859_7,
	"hebrew":   charmap.ISO8859_8,
	"cp1250":   charmap.Windows1250,
	"cp1251":   charmap.Windows1251,
	"cp1256":   charmap.Windows1256,
	"cp1257":   charmap.Windows1257,
	"cp850":    charmap.CodePage850,
	"cp852":    charmap.CodePage852,
	"cp866":    charmap.CodePage866,
	"koi8r":    charmap.KOI8R,
	"koi8u":    charmap.KOI8U,
	"tis620":   charmap.Windows874,
	"macroman": charmap.Macintosh,
	"ucs2":     unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
	"utf16":    unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
	"utf16le":  unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM),
	"utf32":    utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM),
	"gbk":      simplifiedchinese.GBK,
	"gb18030":  simplifiedchinese.GB18030,
	"big5":     traditionalchinese.Big5,
	"sjis":     japanese.ShiftJIS,
	"cp932":    japanese.ShiftJIS,
	"ujis":     japanese.EUCJP,
	"eucjpms":  japanese.EUCJP,
	"euckr":    korean.EUCKR,
}

func newCharset(name string) (*charset, error) {
	switch name {
	case "utf8", "utf8mb3", "utf8mb4", "ascii":
		return &charset{name: name}, nil
	}
	enc, ok := encodings[name]
	if !ok {
		return nil, fmt.Errorf("character set %s is not supported. Fix: convert the column to utf8mb4, or exclude the table", name)
	}
	decoder := enc.NewDecoder()
	var buf []byte
	return &charset{name: name, decode: func(s []byte) ([]byte, error) {
		// One byte becomes at most three.
		if cap(buf) < 3*len(s)+8 {
			buf = make([]byte, 3*len(s)+8)
		}
		decoder.Reset()
		n, _, err := decoder.Transform(buf[:cap(buf)], s, true)
		if err != nil || bytes.Contains(buf[:n], replacement) {
			return nil, fmt.Errorf("character set %s: %w", name, errNotUTF8)
		}
		return buf[:n], nil
	}}, nil
}
