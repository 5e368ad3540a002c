package mongodb

import (
	"strconv"
	"strings"
)

// sameNumber says whether two JSON number literals are the same decimal number, sign of zero included.
func sameNumber(a, b string) bool {
	na, oka := parseNumber(a)
	nb, okb := parseNumber(b)
	return oka && okb && na == nb
}

// A number is a decimal number in one form only: digits without zeros at either end, times a power of ten.
type number struct {
	negative bool
	digits   string // empty for zero
	exponent int
}

func parseNumber(s string) (number, bool) {
	var n number
	s, n.negative = strings.CutPrefix(s, "-")
	mantissa, exponent := s, ""
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa, exponent = s[:i], s[i+1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	n.digits = strings.TrimRight(digits, "0")
	if n.digits == "" {
		return n, true
	}
	if exponent != "" {
		e, err := strconv.Atoi(exponent)
		if err != nil {
			return n, false
		}
		n.exponent = e
	}
	n.exponent += len(digits) - len(n.digits) - len(fraction)
	return n, true
}
