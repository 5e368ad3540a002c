package binlog

import (
	"errors"
	"time"
)

var errTemporal = errors.New("impossible date or time: corrupt event")

// fraction reads the fraction behind the n leading bytes of a temporal value, in microseconds. Two digits take a byte.
func fraction(src []byte, digits int) uint64 {
	micros := bigEndian(src[:(digits+1)/2])
	switch (digits + 1) / 2 {
	case 1:
		return micros * 10_000
	case 2:
		return micros * 100
	}
	return micros
}

func renderDate(_ *column, dst, src []byte) ([]byte, int, error) {
	if len(src) < 3 {
		return dst, 0, errShort
	}
	v := littleEndian(src[:3]) // 15 bits year, 4 month, 5 day
	if v>>9 > 9999 || v>>5&15 > 12 {
		return dst, 0, errTemporal
	}
	dst = appendDate(append(dst, '"'), v>>9, v>>5&15, v&31)
	return append(dst, '"'), 3, nil
}

func renderDatetime(c *column, dst, src []byte) ([]byte, int, error) {
	if len(src) < c.bytes {
		return dst, 0, errShort
	}
	v := bigEndian(src[:5]) - 1<<39 // a sign bit, always set
	dst, err := appendDatetime(append(dst, '"'), v, fraction(src[5:], c.width), c.width, 'T')
	return append(dst, '"'), c.bytes, err
}

// appendDatetime appends packed date and time: 17 bits year*13+month, 5 day, 5 hour, 6 minute, 6 second. What is no date, because
// its month or its day is zero, is written as the server writes it, with a space for the separator.
func appendDatetime(dst []byte, v, micros uint64, digits int, separator byte) ([]byte, error) {
	yearMonth, day, hour, minute, second := v>>22, v>>17&31, v>>12&31, v>>6&63, v&63
	year, month := yearMonth/13, yearMonth%13
	if year > 9999 || hour > 23 || minute > 59 || second > 59 || micros > 999_999 {
		return dst, errTemporal
	}
	if month == 0 || day == 0 {
		separator = ' '
	}
	dst = append(appendDate(dst, year, month, day), separator)
	return appendTime(dst, hour, minute, second, micros, digits), nil
}

func renderTimestamp(c *column, dst, src []byte) ([]byte, int, error) {
	if len(src) < c.bytes {
		return dst, 0, errShort
	}
	seconds, micros := bigEndian(src[:4]), fraction(src[4:], c.width)
	if micros > 999_999 {
		return dst, 0, errTemporal
	}
	dst = append(dst, '"')
	if seconds == 0 && micros == 0 { // the zero timestamp; with a fraction it is what the servers make of an instant beyond the type's end
		dst = appendDate(dst, 0, 0, 0)
		dst = appendTime(append(dst, ' '), 0, 0, 0, 0, c.width)
		return append(dst, '"'), c.bytes, nil
	}
	year, month, day := time.Unix(int64(seconds), 0).UTC().Date()
	dst = appendDate(dst, uint64(year), uint64(month), uint64(day))
	dst = appendTime(append(dst, 'T'), seconds/3600%24, seconds/60%60, seconds%60, micros, c.width)
	return append(dst, 'Z', '"'), c.bytes, nil
}

func renderTime(c *column, dst, src []byte) ([]byte, int, error) {
	if len(src) < c.bytes {
		return dst, 0, errShort
	}
	// The whole value is one integer with an offset in the middle of its range: a negative time's fraction borrows from the seconds.
	bits := uint(8 * c.bytes)
	v := int64(bigEndian(src[:c.bytes])) - 1<<(bits-1)
	dst = append(dst, '"')
	if v < 0 {
		dst, v = append(dst, '-'), -v
	}
	fractionBits := bits - 24
	micros := uint64(v) & (1<<fractionBits - 1)
	switch c.bytes - 3 {
	case 1:
		micros *= 10_000
	case 2:
		micros *= 100
	}
	hms := uint64(v) >> fractionBits
	if hms>>12 > 838 || hms>>6&63 > 59 || hms&63 > 59 || micros > 999_999 {
		return dst, 0, errTemporal
	}
	dst = appendTime(dst, hms>>12, hms>>6&63, hms&63, micros, c.width)
	return append(dst, '"'), c.bytes, nil
}

func appendDate(dst []byte, year, month, day uint64) []byte {
	dst = append(dst, byte('0'+year/1000), byte('0'+year/100%10), byte('0'+year/10%10), byte('0'+year%10), '-')
	return appendTwo(append(appendTwo(dst, month), '-'), day)
}

// appendTime appends the time of day, or a duration of up to 838 hours, with digits of the fraction.
func appendTime(dst []byte, hour, minute, second, micros uint64, digits int) []byte {
	if hour > 99 {
		dst = append(dst, byte('0'+hour/100))
		hour %= 100
	}
	dst = appendTwo(append(appendTwo(append(appendTwo(dst, hour), ':'), minute), ':'), second)
	if digits == 0 {
		return dst
	}
	dst = append(dst, '.')
	for unit := uint64(100_000); digits > 0; digits-- {
		dst = append(dst, byte('0'+micros/unit%10))
		unit /= 10
	}
	return dst
}

func appendTwo(dst []byte, v uint64) []byte { return append(dst, byte('0'+v/10), byte('0'+v%10)) }
