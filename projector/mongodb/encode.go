package mongodb

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
)

const (
	maxLevels   = 100      // MongoDB's documented limit for nested documents
	maxDocument = 16 << 20 // MongoDB's limit for a document, in bytes of BSON
	fewNames    = 16       // up to this many names of an object are compared one by one
)

// BSON element types (bsonspec.org) that the encoder writes.
const (
	typeDouble   = 0x01
	typeString   = 0x02
	typeDocument = 0x03
	typeArray    = 0x04
	typeBinary   = 0x05
	typeBool     = 0x08
	typeNull     = 0x0A
	typeInt32    = 0x10
	typeInt64    = 0x12
	typeDecimal  = 0x13
)

// appendDocument appends the stored form of a user's JSON document: _id, _v, and the fields in their order. The errors hold no text of
// the document but names of fields.
func appendDocument(dst []byte, id string, version int64, body []byte) ([]byte, error) {
	if !json.Valid(body) {
		return nil, errors.New("the body is not valid JSON")
	}
	if !utf8.Valid(body) {
		return nil, errors.New("the body is not valid UTF-8")
	}
	e := encoder{src: body, dst: dst}
	if e.space(); e.src[e.pos] != '{' {
		return nil, errors.New("the body is not a JSON object")
	}
	start := len(dst)
	e.dst = append(e.dst, 0, 0, 0, 0)
	e.dst = appendString(e.dst, idField, id)
	e.dst = appendInt64(e.dst, versionField, version)
	if err := e.fields(1); err != nil {
		return nil, err
	}
	dst = closeDocument(e.dst, start)
	if n := len(dst) - start; n > maxDocument {
		return nil, fmt.Errorf("the document has %d bytes of BSON, at most %d are allowed", n, maxDocument)
	}
	return dst, nil
}

// An encoder turns JSON that is known to be valid into BSON, in one pass.
type encoder struct {
	src []byte
	pos int
	dst []byte
}

func (e *encoder) space() {
	for e.pos < len(e.src) {
		switch e.src[e.pos] {
		case ' ', '\t', '\r', '\n':
			e.pos++
		default:
			return
		}
	}
}

// fields appends the fields of the object that starts at pos. The surrounding document is the caller's.
func (e *encoder) fields(level int) error {
	e.pos++ // {
	var names nameSet
	for {
		e.space()
		switch e.src[e.pos] {
		case '}':
			e.pos++
			return nil
		case ',':
			e.pos++
			e.space()
		}
		typ := len(e.dst)
		e.dst = append(e.dst, 0) // the type, known later
		if err := e.text(); err != nil {
			return err
		}
		name := e.dst[typ+1:]
		if bytes.IndexByte(name, 0) >= 0 {
			return errors.New("a name contains NUL")
		}
		if level == 1 {
			switch string(name) {
			case idField, versionField, goneField:
				return fmt.Errorf("the field %s is reserved", name)
			}
		}
		if !names.add(e.dst, typ+1) {
			return fmt.Errorf("the name %.100q occurs twice in an object", name)
		}
		e.dst = append(e.dst, 0)
		e.space()
		e.pos++ // :
		if err := e.value(typ, level); err != nil {
			return err
		}
	}
}

// elements appends the elements of the array that starts at pos: a document with the names 0, 1, 2 and so on.
func (e *encoder) elements(level int) error {
	e.pos++ // [
	for i := 0; ; i++ {
		e.space()
		switch e.src[e.pos] {
		case ']':
			e.pos++
			return nil
		case ',':
			e.pos++
		}
		typ := len(e.dst)
		e.dst = append(e.dst, 0)
		e.dst = strconv.AppendInt(e.dst, int64(i), 10)
		e.dst = append(e.dst, 0)
		if err := e.value(typ, level); err != nil {
			return err
		}
	}
}

// value appends the value at pos, and sets the type byte at typ.
func (e *encoder) value(typ, level int) error {
	e.space()
	switch c := e.src[e.pos]; c {
	case '{', '[':
		if level >= maxLevels {
			return fmt.Errorf("the document has more than %d levels", maxLevels)
		}
		start := len(e.dst)
		e.dst = append(e.dst, 0, 0, 0, 0)
		if c == '{' {
			e.dst[typ] = typeDocument
			if err := e.fields(level + 1); err != nil {
				return err
			}
		} else {
			e.dst[typ] = typeArray
			if err := e.elements(level + 1); err != nil {
				return err
			}
		}
		e.dst = closeDocument(e.dst, start)
	case '"':
		e.dst[typ] = typeString
		start := len(e.dst)
		e.dst = append(e.dst, 0, 0, 0, 0)
		if err := e.text(); err != nil {
			return err
		}
		e.dst = append(e.dst, 0)
		binary.LittleEndian.PutUint32(e.dst[start:], uint32(len(e.dst)-start-4))
	case 't':
		e.dst[typ] = typeBool
		e.dst = append(e.dst, 1)
		e.pos += len("true")
	case 'f':
		e.dst[typ] = typeBool
		e.dst = append(e.dst, 0)
		e.pos += len("false")
	case 'n':
		e.dst[typ] = typeNull
		e.pos += len("null")
	default:
		return e.number(typ)
	}
	return nil
}

// text appends the characters of the string literal at pos.
func (e *encoder) text() error {
	start := e.pos
	e.pos++ // "
	for {
		switch e.src[e.pos] {
		case '"':
			e.dst = append(e.dst, e.src[start+1:e.pos]...)
			e.pos++
			return nil
		case '\\':
			return e.escapedText(start)
		}
		e.pos++
	}
}

func (e *encoder) escapedText(start int) error {
	for e.src[e.pos] != '"' {
		if e.src[e.pos] == '\\' {
			e.pos++
		}
		e.pos++
	}
	e.pos++
	literal := e.src[start:e.pos]
	if unpaired(literal) {
		return errors.New("a string has an unpaired surrogate")
	}
	var s string
	if err := json.Unmarshal(literal, &s); err != nil {
		return errors.New("a string is not valid") // cannot be: the body is valid
	}
	e.dst = append(e.dst, s...)
	return nil
}

// unpaired says whether a string literal has half of a surrogate pair, \ud83d without \ude00: encoding/json would put U+FFFD there.
func unpaired(literal []byte) bool {
	unit := func(i int) (uint64, bool) { // of the escape \uXXXX at i
		if i+6 > len(literal) || literal[i] != '\\' || literal[i+1] != 'u' {
			return 0, false
		}
		u, err := strconv.ParseUint(string(literal[i+2:i+6]), 16, 16)
		return u, err == nil
	}
	for i := 0; i < len(literal); {
		if literal[i] != '\\' {
			i++
			continue
		}
		u, ok := unit(i)
		switch {
		case !ok:
			i += 2
		case u >= 0xD800 && u < 0xDC00:
			if low, ok := unit(i + 6); !ok || low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 12
		case u >= 0xDC00 && u <= 0xDFFF:
			return true
		default:
			i += 6
		}
	}
	return false
}

// number appends the number at pos, as the first of int32, int64, double and Decimal128 that holds it exactly.
func (e *encoder) number(typ int) error {
	start := e.pos
	integer := true
scan:
	for ; e.pos < len(e.src); e.pos++ {
		switch c := e.src[e.pos]; {
		case c >= '0' && c <= '9' || c == '-' && e.pos == start:
		case c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-':
			integer = false
		default:
			break scan
		}
	}
	text := string(e.src[start:e.pos])
	if integer && text != "-0" {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			if n >= math.MinInt32 && n <= math.MaxInt32 {
				e.dst[typ] = typeInt32
				e.dst = binary.LittleEndian.AppendUint32(e.dst, uint32(n))
			} else {
				e.dst[typ] = typeInt64
				e.dst = binary.LittleEndian.AppendUint64(e.dst, uint64(n))
			}
			return nil
		}
	} else if f, err := strconv.ParseFloat(text, 64); err == nil && sameNumber(text, strconv.FormatFloat(f, 'e', -1, 64)) {
		e.dst[typ] = typeDouble
		e.dst = binary.LittleEndian.AppendUint64(e.dst, math.Float64bits(f))
		return nil
	}
	d, err := bson.ParseDecimal128(text) // exact, or an error
	if err != nil {
		return errors.New("a number has more than 34 digits, or an exponent out of range")
	}
	e.dst[typ] = typeDecimal
	high, low := d.GetBytes()
	e.dst = binary.LittleEndian.AppendUint64(e.dst, low)
	e.dst = binary.LittleEndian.AppendUint64(e.dst, high)
	return nil
}

// nameSet remembers the names of one object, which are in the output, to find one that occurs twice.
type nameSet struct {
	few  [fewNames][2]int // start and end of each name in the output
	n    int
	many map[string]struct{}
}

// add adds the name that begins at start and ends the output. It returns false for one that is there already.
func (s *nameSet) add(out []byte, start int) bool {
	name := out[start:]
	if s.n < fewNames {
		for _, f := range s.few[:s.n] {
			if bytes.Equal(out[f[0]:f[1]], name) {
				return false
			}
		}
		s.few[s.n] = [2]int{start, len(out)}
		s.n++
		return true
	}
	if s.many == nil {
		s.many = map[string]struct{}{}
		for _, f := range s.few {
			s.many[string(out[f[0]:f[1]])] = struct{}{}
		}
	}
	if _, ok := s.many[string(name)]; ok {
		return false
	}
	s.many[string(name)] = struct{}{}
	return true
}

func closeDocument(dst []byte, start int) []byte {
	dst = append(dst, 0)
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start))
	return dst
}

func appendName(dst []byte, typ byte, name string) []byte {
	dst = append(dst, typ)
	dst = append(dst, name...)
	return append(dst, 0)
}

// openDocument begins an embedded document or array. closeDocument with the returned start ends it.
func openDocument(dst []byte, typ byte, name string) (out []byte, start int) {
	dst = appendName(dst, typ, name)
	return append(dst, 0, 0, 0, 0), len(dst)
}

func appendString(dst []byte, name, value string) []byte {
	dst = appendName(dst, typeString, name)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(value)+1))
	dst = append(dst, value...)
	return append(dst, 0)
}

func appendInt64(dst []byte, name string, value int64) []byte {
	return binary.LittleEndian.AppendUint64(appendName(dst, typeInt64, name), uint64(value))
}

func appendBool(dst []byte, name string, value bool) []byte {
	dst = appendName(dst, typeBool, name)
	if value {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendBinary(dst []byte, name string, b bson.Binary) []byte {
	dst = appendName(dst, typeBinary, name)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(b.Data)))
	dst = append(dst, b.Subtype)
	return append(dst, b.Data...)
}
