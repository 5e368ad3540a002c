package binlog

import (
	"encoding/base64"
	"errors"
	"math"
	"strconv"
)

// The value types of MySQL's binary JSON.
const (
	jsonSmallObject = 0x00
	jsonLargeObject = 0x01
	jsonSmallArray  = 0x02
	jsonLargeArray  = 0x03
	jsonLiteral     = 0x04
	jsonInt16       = 0x05
	jsonUint16      = 0x06
	jsonInt32       = 0x07
	jsonUint32      = 0x08
	jsonInt64       = 0x09
	jsonUint64      = 0x0a
	jsonDouble      = 0x0b
	jsonString      = 0x0c
	jsonOpaque      = 0x0f
)

// jsonDepth is the deepest nesting the server accepts.
const jsonDepth = 100

var errJSON = errors.New("impossible binary JSON: corrupt event")

// renderJSON renders a MySQL JSON column as the server prints it, without the spaces behind commas and colons.
func renderJSON(c *column, dst, src []byte) ([]byte, int, error) {
	value, err := c.prefixed(src)
	if err != nil {
		return dst, 0, err
	}
	n := c.width + len(value)
	if len(value) == 0 { // INSERT IGNORE of nothing into a NOT NULL column; the server reads it as null
		return append(dst, "null"...), n, nil
	}
	// Offsets may point anywhere in the document, several to one place: a corrupt one could grow without bound. An honest one
	// grows by less than this.
	r := jsonReader{limit: len(dst) + 64 + 32*len(value)}
	dst, err = r.value(dst, value[0], value[1:], jsonDepth)
	return dst, n, err
}

type jsonReader struct {
	limit int // of the length of what is written
}

// value appends a value of type kind that begins at the head of b.
func (r *jsonReader) value(dst []byte, kind byte, b []byte, depth int) ([]byte, error) {
	if len(dst) > r.limit {
		return dst, errJSON
	}
	c := cursor{rest: b}
	switch kind {
	case jsonSmallObject, jsonLargeObject, jsonSmallArray, jsonLargeArray:
		if depth == 0 {
			return dst, errJSON
		}
		return r.container(dst, kind, b, depth-1)
	case jsonLiteral:
		switch literal := c.uint(1); {
		case c.bad || literal > 2:
			return dst, errJSON
		default:
			return append(dst, [...]string{"null", "true", "false"}[literal]...), nil
		}
	case jsonInt16:
		dst = strconv.AppendInt(dst, int64(int16(c.uint(2))), 10)
	case jsonUint16:
		dst = strconv.AppendUint(dst, c.uint(2), 10)
	case jsonInt32:
		dst = strconv.AppendInt(dst, int64(int32(c.uint(4))), 10)
	case jsonUint32:
		dst = strconv.AppendUint(dst, c.uint(4), 10)
	case jsonInt64:
		dst = strconv.AppendInt(dst, int64(c.uint(8)), 10)
	case jsonUint64:
		dst = strconv.AppendUint(dst, c.uint(8), 10)
	case jsonDouble:
		return appendJSONDouble(dst, math.Float64frombits(c.uint(8)), c.bad)
	case jsonString:
		s := c.take(c.jsonLength())
		if c.bad {
			return dst, errJSON
		}
		return appendJSONString(dst, s)
	case jsonOpaque:
		kind := byte(c.uint(1))
		data := c.take(c.jsonLength())
		if c.bad {
			return dst, errJSON
		}
		return appendOpaque(dst, kind, data)
	default:
		return dst, errJSON
	}
	if c.bad {
		return dst, errJSON
	}
	return dst, nil
}

// jsonLength reads a length of seven bits a byte, low bits first.
func (c *cursor) jsonLength() uint64 {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		b := c.uint(1)
		v |= b & 0x7f << shift
		if b&0x80 == 0 {
			return v
		}
	}
	c.bad = true
	return 0
}

// jsonEntries are the entries of an object or array. Its bytes are a count, a size, the keys' and the values' entries, and the data they
// point to. Offsets count from the beginning.
type jsonEntries struct {
	body         []byte
	wide         int // bytes of a count or an offset
	count        int
	object       bool
	keys, values int // where the entries begin
}

// openJSON reads the head of the container of a kind that begins at the head of b.
func openJSON(kind byte, b []byte) (jsonEntries, error) {
	e := jsonEntries{wide: 2, object: kind == jsonSmallObject || kind == jsonLargeObject}
	if kind == jsonLargeObject || kind == jsonLargeArray {
		e.wide = 4
	}
	c := cursor{rest: b}
	count, size := c.uint(uint64(e.wide)), c.uint(uint64(e.wide))
	head, entry := uint64(2*e.wide), uint64(1+e.wide)
	if e.object {
		entry += uint64(e.wide + 2)
	}
	if c.bad || size > uint64(len(b)) || size < head || count > (size-head)/entry {
		return e, errJSON
	}
	e.body, e.count, e.keys, e.values = b[:size], int(count), int(head), int(head)
	if e.object {
		e.values += e.count * (e.wide + 2)
	}
	return e, nil
}

// key returns key i of count.
func (e *jsonEntries) key(i int) ([]byte, error) {
	entry := e.body[e.keys+i*(e.wide+2):][:e.wide+2]
	at, n := littleEndian(entry[:e.wide]), littleEndian(entry[e.wide:])
	if size := uint64(len(e.body)); at > size || n > size-at {
		return nil, errJSON
	}
	return e.body[at:][:n], nil
}

// value returns the kind of value i of count, and its bytes with whatever follows them.
func (e *jsonEntries) value(i int) (kind byte, raw []byte, err error) {
	entry := e.body[e.values+i*(1+e.wide):][:1+e.wide]
	switch kind = entry[0]; {
	case kind == jsonLiteral || kind == jsonInt16 || kind == jsonUint16,
		e.wide == 4 && (kind == jsonInt32 || kind == jsonUint32): // small enough to stand in the entry
		return kind, entry[1:], nil
	}
	at := littleEndian(entry[1:])
	if at > uint64(len(e.body)) {
		return 0, nil, errJSON
	}
	return kind, e.body[at:], nil
}

// container appends an object or array.
func (r *jsonReader) container(dst []byte, kind byte, b []byte, depth int) ([]byte, error) {
	e, err := openJSON(kind, b)
	if err != nil {
		return dst, err
	}
	open, end := byte('['), byte(']')
	if e.object {
		open, end = '{', '}'
	}
	dst = append(dst, open)
	for i := range e.count {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = r.member(dst, &e, i, depth); err != nil {
			return dst, err
		}
	}
	return append(dst, end), nil
}

// member appends an element, or a key and its value.
func (r *jsonReader) member(dst []byte, e *jsonEntries, i, depth int) ([]byte, error) {
	if e.object {
		key, err := e.key(i)
		if err != nil {
			return dst, err
		}
		if dst, err = appendJSONString(dst, key); err != nil {
			return dst, err
		}
		dst = append(dst, ':')
	}
	kind, raw, err := e.value(i)
	if err != nil {
		return dst, err
	}
	return r.value(dst, kind, raw, depth)
}

// appendJSONDouble appends f as the server's JSON functions print it: shortest digits, plain between 1e-15 and 1e15 or so, with
// ".0" behind a whole number so that it reads back as a double.
func appendJSONDouble(dst []byte, f float64, bad bool) ([]byte, error) {
	if bad || math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, errJSON
	}
	start := len(dst)
	dst = appendMySQLDouble(dst, f)
	for _, c := range dst[start:] {
		if c == '.' || c == 'e' {
			return dst, nil
		}
	}
	return append(dst, '.', '0'), nil
}

// appendMySQLDouble follows the server's my_gcvt, whose field is wide enough for all that is not forced into the exponent form.
func appendMySQLDouble(dst []byte, f float64) []byte {
	const maxPlainExponent = 15 // MAX_DECPT_FOR_F_FORMAT
	if f == 0 {
		if math.Signbit(f) {
			dst = append(dst, '-')
		}
		return append(dst, '0')
	}
	var scratch [32]byte
	e := strconv.AppendFloat(scratch[:0], math.Abs(f), 'e', -1, 64) // d.ddde±dd
	split := len(e) - 1
	for e[split] != 'e' {
		split--
	}
	exponent, _ := strconv.Atoi(string(e[split+1:]))
	digits := append(e[:1:1], e[min(2, split):split]...)
	if f < 0 {
		dst = append(dst, '-')
	}
	point := exponent + 1 // place of the decimal point, counted from the first digit
	switch {
	case point < -maxPlainExponent+1 || point > maxPlainExponent && len(digits) <= point:
		dst = append(dst, digits[0])
		if len(digits) > 1 {
			dst = append(append(dst, '.'), digits[1:]...)
		}
		return strconv.AppendInt(append(dst, 'e'), int64(exponent), 10)
	case point <= 0:
		dst = append(dst, '0', '.')
		for range -point {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	case point >= len(digits):
		dst = append(dst, digits...)
		for range point - len(digits) {
			dst = append(dst, '0')
		}
		return dst
	}
	dst = append(append(dst, digits[:point]...), '.')
	return append(dst, digits[point:]...)
}

// appendOpaque appends a value of an SQL type inside a JSON document: decimals as numbers, times as text, others as base64 with
// the type's number, all as the server prints them.
func appendOpaque(dst []byte, kind byte, data []byte) ([]byte, error) {
	switch kind {
	case typeDecimal:
		if len(data) < 2 {
			return dst, errJSON
		}
		return newDecimal(int(data[0]), int(data[1])).appendText(dst, data[2:])
	case typeDate, typeTime, typeDatetime, typeTimestamp:
		if len(data) != 8 {
			return dst, errJSON
		}
		packed := int64(littleEndian(data))
		dst = append(dst, '"')
		if packed < 0 {
			dst, packed = append(dst, '-'), -packed
		}
		hms, micros := uint64(packed)>>24, uint64(packed)&(1<<24-1)
		var err error
		switch {
		case packed < 0, micros > 999_999:
			return dst, errJSON
		case kind == typeDate:
			yearMonth := hms >> 22
			if yearMonth/13 > 9999 {
				return dst, errJSON
			}
			dst = appendDate(dst, yearMonth/13, yearMonth%13, hms>>17&31)
		case kind == typeTime:
			if hms>>12 > 838 || hms>>6&63 > 59 || hms&63 > 59 {
				return dst, errJSON
			}
			dst = appendTime(dst, hms>>12, hms>>6&63, hms&63, micros, 6)
		default:
			dst, err = appendDatetime(dst, hms, micros, 6, ' ')
		}
		return append(dst, '"'), err
	}
	dst = strconv.AppendUint(append(dst, `"base64:type`...), uint64(kind), 10)
	dst = base64.StdEncoding.AppendEncode(append(dst, ':'), data)
	return append(dst, '"'), nil
}
