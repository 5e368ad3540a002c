package binlog

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strconv"
)

// A textRenderer appends a value of a result in the text protocol as JSON: the bytes that the column's renderer makes of the same value
// in a row image.
type textRenderer func(c *column, dst, text []byte) ([]byte, error)

var errText = errors.New("the server's text of the value is not of the column's type")

// setRender chooses how the column's values are rendered. What the stream refuses newColumn has refused before.
func (s *selectedColumn) setRender(m *columnMap, d *columnDefinition, charsets *charsets) error {
	switch m.kind {
	case typeTiny, typeShort, typeInt24, typeLong, typeLongLong, typeYear:
		s.render = textInteger
	case typeFloat:
		s.render = textFloat
	case typeDouble:
		s.render = textDouble
	case typeDecimal:
		s.render = textDecimal
	case typeBit:
		s.render = textBit
	case typeDate:
		s.render = textDate
	case typeTime2:
		s.render = textTime
	case typeDatetime2:
		s.render = textDatetime
	case typeTimestamp2:
		s.render = textTimestamp
	case typeJSON:
		s.render = textJSON
	case typeGeometry, typeVector:
		s.render = textBytes
	case typeString, typeVarchar, typeBlob, typeMariaDBCompressedBlob, typeMariaDBCompressedVarchar, typeEnum, typeSet:
		switch {
		case addressBytes[d.dataType] > 0:
			s.render = textHex
			return nil
		case m.collation != collationBinary:
			charset, err := charsets.of(m.collation)
			s.column.charset, s.render = charset, textString
			return err
		case m.kind == typeEnum || m.kind == typeSet:
			s.column.charset, s.render = &utf8Charset, textString // see setLabels
		default:
			s.render = textBytes
		}
	}
	if s.render == nil {
		return errors.New("the type cannot be read by SELECT")
	}
	return nil
}

// textInteger takes away the zeros of ZEROFILL and of the year 0000.
func textInteger(_ *column, dst, text []byte) ([]byte, error) {
	digits := bytes.TrimPrefix(text, []byte{'-'})
	if !isDigits(digits) {
		return dst, errText
	}
	if digits[0] != '0' {
		return append(dst, text...), nil
	}
	return append(dst, withoutZeros(digits)...), nil
}

func isDigits(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) > 0
}

// withoutZeros takes leading zeros away, all but one in front of the point or the end.
func withoutZeros(text []byte) []byte {
	for len(text) > 1 && text[0] == '0' && text[1] != '.' {
		text = text[1:]
	}
	return text
}

func textDecimal(_ *column, dst, text []byte) ([]byte, error) {
	dst = append(dst, '"')
	if len(text) > 0 && text[0] == '-' {
		dst, text = append(dst, '-'), text[1:]
	}
	whole, part, point := bytes.Cut(text, []byte{'.'})
	if !isDigits(whole) || point && !isDigits(part) {
		return dst, errText
	}
	return append(append(dst, withoutZeros(text)...), '"'), nil
}

func textFloat(_ *column, dst, text []byte) ([]byte, error)  { return textNumber(dst, text, 32) }
func textDouble(_ *column, dst, text []byte) ([]byte, error) { return textNumber(dst, text, 64) }

func textNumber(dst, text []byte, bits int) ([]byte, error) {
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return dst, errText
	}
	return appendFloat(dst, f, bits)
}

// textBit renders a BIT, which comes as its bytes.
func textBit(c *column, dst, text []byte) ([]byte, error) {
	if len(text) != c.bytes {
		return dst, errText
	}
	dst, _, err := renderBit(c, dst, text)
	return dst, err
}

// digits reads a number at a fixed place of a temporal text.
type digits struct {
	text []byte
	bad  bool
}

// next reads n digits and the separator behind them; 0 stands for the end of the text.
func (d *digits) next(n int, separator byte) uint64 {
	if d.bad || len(d.text) < n || separator != 0 && len(d.text) == n || !isDigits(d.text[:n]) || separator != 0 && d.text[n] != separator ||
		separator == 0 && len(d.text) != n {
		d.bad = true
		return 0
	}
	var v uint64
	for _, c := range d.text[:n] {
		v = v*10 + uint64(c-'0')
	}
	if d.text = d.text[n:]; separator != 0 {
		d.text = d.text[1:]
	}
	return v
}

// clock reads minutes, seconds and n digits of fraction, in microseconds, to the end of the text.
func (d *digits) clock(n int) (minute, second, micros uint64) {
	minute = d.next(2, ':')
	if n == 0 {
		return minute, d.next(2, 0), 0
	}
	second = d.next(2, '.')
	micros = d.next(n, 0)
	for ; n < 6; n++ {
		micros *= 10
	}
	return minute, second, micros
}

func textDate(_ *column, dst, text []byte) ([]byte, error) {
	d := digits{text: text}
	year, month, day := d.next(4, '-'), d.next(2, '-'), d.next(2, 0)
	if d.bad {
		return dst, errText
	}
	return append(appendDate(append(dst, '"'), year, month, day), '"'), nil
}

// appendMoment appends the text of a DATETIME or TIMESTAMP, and tells whether it is a date.
func appendMoment(c *column, dst, text []byte) (_ []byte, date bool, err error) {
	d := digits{text: text}
	year, month, day, hour := d.next(4, '-'), d.next(2, '-'), d.next(2, ' '), d.next(2, ':')
	minute, second, micros := d.clock(c.width)
	if d.bad || month > 12 {
		return dst, false, errText
	}
	packed := (year*13+month)<<22 | day<<17 | hour<<12 | minute<<6 | second
	dst, err = appendDatetime(dst, packed, micros, c.width, 'T')
	return dst, month > 0 && day > 0, err
}

func textDatetime(c *column, dst, text []byte) ([]byte, error) {
	dst, _, err := appendMoment(c, append(dst, '"'), text)
	return append(dst, '"'), err
}

func textTimestamp(c *column, dst, text []byte) ([]byte, error) {
	dst, date, err := appendMoment(c, append(dst, '"'), text)
	if date {
		dst = append(dst, 'Z')
	}
	return append(dst, '"'), err
}

func textTime(c *column, dst, text []byte) ([]byte, error) {
	dst = append(dst, '"')
	if len(text) > 0 && text[0] == '-' {
		dst, text = append(dst, '-'), text[1:]
	}
	d := digits{text: text}
	hour := d.next(max(2, bytes.IndexByte(text, ':')), ':')
	minute, second, micros := d.clock(c.width)
	if d.bad || hour > 838 {
		return dst, errText
	}
	return append(appendTime(dst, hour, minute, second, micros, c.width), '"'), nil
}

// textString renders text in the column's own character set, also the labels of an ENUM or SET.
func textString(c *column, dst, text []byte) ([]byte, error) { return c.charset.appendJSON(dst, text) }

func textBytes(_ *column, dst, text []byte) ([]byte, error) {
	return appendBase64(dst, text), nil
}

// textHex renders bytes that come as hexadecimal digits.
func textHex(c *column, dst, text []byte) ([]byte, error) {
	var raw [16]byte
	if len(text) != 2*c.bytes || c.bytes > len(raw) {
		return dst, errText
	}
	if _, err := hex.Decode(raw[:], text); err != nil {
		return dst, errText
	}
	return textBytes(c, dst, raw[:c.bytes])
}

// textJSON takes the spaces behind commas and colons away, which is all that the stream's text has less.
func textJSON(_ *column, dst, text []byte) ([]byte, error) {
	for len(text) > 0 {
		// Up to the next string nothing but spaces has to go; a string stays as it is.
		n := bytes.IndexByte(text, '"')
		if n < 0 {
			n = len(text)
		}
		for _, c := range text[:n] {
			if c != ' ' {
				dst = append(dst, c)
			}
		}
		if text = text[n:]; len(text) == 0 {
			break
		}
		end := 1
		for end < len(text) && text[end] != '"' {
			if text[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(text) {
			return dst, errText
		}
		dst, text = append(dst, text[:end+1]...), text[end+1:]
	}
	return dst, nil
}
