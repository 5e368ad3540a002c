package binlog

import "errors"

// decimal is the layout of DECIMAL(precision, scale): groups of nine digits in four bytes each, big-endian, counted from the point;
// the leading and the trailing group are as short as their digits allow. The highest bit is the sign, and a negative number has
// all bits turned.
type decimal struct {
	precision, scale int
}

// newDecimal returns the zero decimal for numbers that no server has.
func newDecimal(precision, scale int) decimal {
	if precision < 1 || precision > 65 || scale > 38 || scale > precision {
		return decimal{}
	}
	return decimal{precision, scale}
}

// digitBytes is the bytes that a group of so many digits takes.
var digitBytes = [10]int{0, 1, 1, 2, 2, 3, 3, 4, 4, 4}

// size is the bytes of a value.
func (d decimal) size() int {
	whole := d.precision - d.scale
	return whole/9*4 + digitBytes[whole%9] + d.scale/9*4 + digitBytes[d.scale%9]
}

var errDecimal = errors.New("impossible DECIMAL digits: corrupt event")

// appendText appends the number as the server prints it: without leading zeros, with all digits of the scale.
func (d decimal) appendText(dst, src []byte) ([]byte, error) {
	if len(src) < d.size() || d.precision == 0 {
		return dst, errShort
	}
	var flip byte // turns a negative number's bits
	if src[0]&0x80 == 0 {
		flip = 0xff
		dst = append(dst, '-')
	}
	start, sign := len(dst), byte(0x80)
	group := func(digits int) bool {
		var v uint32
		n := digitBytes[digits]
		for _, b := range src[:n] {
			v = v<<8 | uint32(b^flip^sign)
			sign = 0
		}
		src = src[n:]
		end := len(dst) + digits
		if digits > 0 {
			dst = append(dst, "000000000"[:digits]...)
		}
		for at := end - 1; at >= end-digits; at-- {
			dst[at] = byte('0' + v%10)
			v /= 10
		}
		return v == 0
	}
	whole := d.precision - d.scale
	ok := group(whole % 9)
	for range whole / 9 {
		ok = group(9) && ok
	}
	zeros := 0
	for zeros < len(dst)-start && dst[start+zeros] == '0' {
		zeros++
	}
	if zeros > 0 {
		dst = append(dst[:start], dst[start+zeros:]...)
	}
	if len(dst) == start {
		dst = append(dst, '0')
	}
	if d.scale > 0 {
		dst = append(dst, '.')
		for range d.scale / 9 {
			ok = group(9) && ok
		}
		ok = group(d.scale%9) && ok
	}
	if !ok {
		return dst, errDecimal
	}
	return dst, nil
}

func renderDecimal(c *column, dst, src []byte) ([]byte, int, error) {
	dst, err := c.digits.appendText(append(dst, '"'), src)
	return append(dst, '"'), c.bytes, err
}
