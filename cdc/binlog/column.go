package binlog

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/millrace-go/millrace/cdc"
)

// column renders one column of a table's row images. It is made once per table map and used for every row.
type column struct {
	name   string
	prefix []byte // `{"name":` of the first column, `,"name":` of the others
	render renderer
	size   sizer
	key    int  // place in the record's key, or -1
	json   bool // MySQL JSON, which an update can hold as diffs

	excluded bool      // nothing is rendered, not even null: prefix is empty
	mask     *cdc.Mask // nil: values are shown
	special  bool      // in the key, or masked

	width   int      // bytes of an integer, a length prefix, a BIT, an ENUM; fraction digits of a temporal type
	bytes   int      // bytes of the whole value, where it is fixed
	digits  decimal  // DECIMAL
	charset *charset // text
	labels  []string // ENUM: rendered, by number; SET: escaped, by bit
}

// A renderer appends the value at the head of src as JSON and returns how many bytes of src it is.
type renderer func(c *column, dst, src []byte) ([]byte, int, error)

// A sizer returns how many bytes the value at the head of src is, for rows that the filter drops.
type sizer func(c *column, src []byte) (int, error)

var errOldTemporal = errors.New("the column has the temporal format from before MySQL 5.6, whose events do not tell its length. " +
	"Fix: SET GLOBAL mysql56_temporal_format = ON and ALTER TABLE … FORCE, or exclude the table")

// newColumn chooses how a column is rendered. The error says why it cannot be.
func newColumn(m *columnMap, charsets *charsets) (*column, error) {
	c := &column{name: m.name, key: -1}
	c.setSize(m)
	switch m.kind {
	case typeTiny, typeShort, typeInt24, typeLong, typeLongLong:
		c.render = renderInt
		if m.unsigned {
			c.render = renderUint
		}
	case typeFloat:
		c.render = renderFloat
	case typeDouble:
		c.render = renderDouble
	case typeDecimal:
		if c.bytes == 0 {
			return nil, fmt.Errorf("impossible DECIMAL(%d,%d)", m.meta&0xff, m.meta>>8)
		}
		c.render = renderDecimal
	case typeBit:
		if c.bytes < 1 || c.bytes > 8 {
			return nil, fmt.Errorf("impossible BIT(%d)", m.bits())
		}
		c.render = renderBit
	case typeYear:
		c.render = renderYear
	case typeDate, typeNewDate:
		c.render = renderDate
	case typeTime2, typeDatetime2, typeTimestamp2:
		if m.meta > 6 {
			return nil, fmt.Errorf("impossible fraction of %d digits", m.meta)
		}
		c.width = int(m.meta)
		c.render = map[byte]renderer{typeTime2: renderTime, typeDatetime2: renderDatetime, typeTimestamp2: renderTimestamp}[m.kind]
	case typeTime, typeDatetime, typeTimestamp:
		return nil, errOldTemporal
	case typeEnum, typeSet:
		return c, c.setLabels(m, charsets)
	case typeVarchar, typeVarString, typeString, typeBlob:
		return c, c.setText(m, charsets)
	case typeMariaDBCompressedBlob, typeMariaDBCompressedVarchar:
		err := c.setText(m, charsets)
		c.render = renderCompressed
		return c, err
	case typeGeometry, typeVector:
		c.render = renderBase64
	case typeJSON:
		c.render, c.json = renderJSON, true
	default:
		return nil, fmt.Errorf("columns of type %d are not supported", m.kind)
	}
	if c.size == nil {
		return nil, fmt.Errorf("impossible %s with length %d", m.typeName(), m.meta)
	}
	return c, nil
}

// exclude makes a column of which nothing is shown. Its type needs no support beyond that its values can be passed over.
func (c *column) exclude(m *columnMap) error {
	*c = column{name: m.name, render: renderNothing, key: -1, excluded: true, json: m.kind == typeJSON}
	if c.setSize(m); c.size == nil {
		return errors.New("the column is excluded, and its values cannot even be passed over. Fix: exclude the table")
	}
	return nil
}

// renderNothing passes over a value.
func renderNothing(c *column, dst, src []byte) ([]byte, int, error) {
	n, err := c.size(c, src)
	return dst, n, err
}

// setSize sets how long a value is; size stays nil where that cannot be known.
func (c *column) setSize(m *columnMap) {
	fixed := func(n int) { c.bytes, c.size = n, sizeFixed }
	prefixed := func(n int) {
		if n >= 1 && n <= 4 {
			c.width, c.size = n, sizePrefixed
		}
	}
	switch m.kind {
	case typeTiny, typeYear:
		fixed(1)
	case typeShort:
		fixed(2)
	case typeInt24, typeDate, typeNewDate:
		fixed(3)
	case typeLong, typeFloat:
		fixed(4)
	case typeLongLong, typeDouble:
		fixed(8)
	case typeNull:
		fixed(0)
	case typeDecimal:
		c.digits = newDecimal(int(m.meta&0xff), int(m.meta>>8))
		fixed(c.digits.size())
	case typeBit:
		fixed((m.bits() + 7) / 8)
	case typeTime2:
		fixed(3 + (int(m.meta)+1)/2)
	case typeTimestamp2:
		fixed(4 + (int(m.meta)+1)/2)
	case typeDatetime2:
		fixed(5 + (int(m.meta)+1)/2)
	case typeEnum, typeSet:
		fixed(int(m.meta))
	case typeBlob, typeGeometry, typeJSON, typeVector, typeMariaDBCompressedBlob:
		prefixed(int(m.meta))
	case typeString, typeVarchar, typeVarString, typeMariaDBCompressedVarchar:
		if m.meta < 256 {
			prefixed(1)
		} else {
			prefixed(2)
		}
	}
}

func sizeFixed(c *column, src []byte) (int, error) {
	if len(src) < c.bytes {
		return 0, errShort
	}
	return c.bytes, nil
}

func sizePrefixed(c *column, src []byte) (int, error) {
	value, err := c.prefixed(src)
	return c.width + len(value), err
}

// prefixed returns the bytes of a value with its length in front.
func (c *column) prefixed(src []byte) ([]byte, error) {
	if len(src) < c.width {
		return nil, errShort
	}
	length := uint64(src[0])
	if c.width > 1 {
		length = littleEndian(src[:c.width])
	}
	if length > uint64(len(src)-c.width) {
		return nil, errShort
	}
	return src[c.width : c.width+int(length)], nil
}

func renderInt(c *column, dst, src []byte) ([]byte, int, error) {
	if len(src) < c.bytes {
		return dst, 0, errShort
	}
	shift := 64 - 8*c.bytes
	return strconv.AppendInt(dst, int64(littleEndian(src[:c.bytes]))<<shift>>shift, 10), c.bytes, nil
}

func renderUint(c *column, dst, src []byte) ([]byte, int, error) {
	if len(src) < c.bytes {
		return dst, 0, errShort
	}
	return strconv.AppendUint(dst, littleEndian(src[:c.bytes]), 10), c.bytes, nil
}

func renderBit(c *column, dst, src []byte) ([]byte, int, error) {
	if len(src) < c.bytes {
		return dst, 0, errShort
	}
	return strconv.AppendUint(dst, bigEndian(src[:c.bytes]), 10), c.bytes, nil
}

func renderYear(_ *column, dst, src []byte) ([]byte, int, error) {
	if len(src) < 1 {
		return dst, 0, errShort
	}
	year := int64(src[0])
	if year != 0 { // 0 is the year 0000
		year += 1900
	}
	return strconv.AppendInt(dst, year, 10), 1, nil
}

func renderFloat(_ *column, dst, src []byte) ([]byte, int, error) {
	if len(src) < 4 {
		return dst, 0, errShort
	}
	dst, err := appendFloat(dst, float64(math.Float32frombits(uint32(littleEndian(src[:4])))), 32)
	return dst, 4, err
}

func renderDouble(_ *column, dst, src []byte) ([]byte, int, error) {
	if len(src) < 8 {
		return dst, 0, errShort
	}
	dst, err := appendFloat(dst, math.Float64frombits(littleEndian(src[:8])), 64)
	return dst, 8, err
}

var errNotFinite = errors.New("the number is not finite, which no server stores: corrupt event")

// appendFloat appends the shortest text that reads back as the same number, in the form encoding/json writes.
func appendFloat(dst []byte, f float64, bits int) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, errNotFinite
	}
	if f == 0 { // the sign of a negative zero is lost in MariaDB's SELECT: the same bytes whoever reads it
		return append(dst, '0'), nil
	}
	format := byte('f')
	abs := math.Abs(f)
	if bits == 64 && (abs < 1e-6 || abs >= 1e21) || bits == 32 && (float32(abs) < 1e-6 || float32(abs) >= 1e21) {
		format = 'e'
	}
	dst = strconv.AppendFloat(dst, f, format, -1, bits)
	if n := len(dst); format == 'e' && n >= 4 && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' { // e-09 to e-9
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst, nil
}
