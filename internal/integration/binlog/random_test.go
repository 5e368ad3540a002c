package binlog

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// randomValues makes n values or more for the types whose edges are not all there is.
func randomValues(rnd *rand.Rand, define string, n int) []string {
	var out []string
	for range n {
		switch word, _, _ := strings.Cut(define, "("); word {
		case "DOUBLE":
			out = append(out, fmt.Sprintf("%g", rnd.NormFloat64()*pow10(rnd.IntN(600)-300)))
		case "FLOAT":
			out = append(out, fmt.Sprintf("%g", float32(rnd.NormFloat64()*pow10(rnd.IntN(70)-35))))
		case "DECIMAL":
			out = append(out, fmt.Sprintf("%d.%d", rnd.IntN(1000), rnd.IntN(1e9)), fmt.Sprintf("-0.%030d", rnd.Uint64()))
		case "TIME":
			out = append(out, fmt.Sprintf("'%s%d:%02d:%02d.%06d'", []string{"", "-"}[rnd.IntN(2)], rnd.IntN(838), rnd.IntN(60), rnd.IntN(60), rnd.IntN(1e6)))
		case "DATETIME":
			out = append(out, fmt.Sprintf("'%04d-%02d-%02d %02d:%02d:%02d.%06d'", rnd.IntN(10000), rnd.IntN(13), rnd.IntN(29), rnd.IntN(24), rnd.IntN(60), rnd.IntN(60), rnd.IntN(999999)))
		case "TIMESTAMP":
			out = append(out, fmt.Sprintf("FROM_UNIXTIME(%d.%06d)", 1+rnd.IntN(1<<31-2), rnd.IntN(1e6)))
		case "BIGINT", "BIGINT UNSIGNED", "INT", "MEDIUMINT", "SMALLINT":
			out = append(out, fmt.Sprint(rnd.Uint64()>>rnd.IntN(64)>>1))
		case "JSON":
			out = append(out, "'"+randomJSON(rnd, 4)+"'", fmt.Sprintf("'%g'", rnd.NormFloat64()*pow10(rnd.IntN(60)-30)))
		case "VARCHAR", "TEXT":
			var text []rune
			for range rnd.IntN(64) {
				text = append(text, []rune("aZ09 éß€漢😀\"/\n\t")[rnd.IntN(14)])
			}
			out = append(out, "'"+string(text)+"'")
		case "VARBINARY", "BLOB":
			out = append(out, fmt.Sprintf("UNHEX('%x')", rnd.Uint64()|1<<60))
		}
	}
	return out
}

func pow10(e int) float64 {
	f := 1.0
	for ; e > 0; e-- {
		f *= 10
	}
	for ; e < 0; e++ {
		f /= 10
	}
	return f
}

func randomJSON(rnd *rand.Rand, depth int) string {
	switch n := rnd.IntN(9); {
	case n < 2 && depth > 0:
		var parts []string
		for i := range rnd.IntN(5) {
			parts = append(parts, fmt.Sprintf(`"k%d%s": %s`, i, strings.Repeat("x", rnd.IntN(3)), randomJSON(rnd, depth-1)))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case n < 4 && depth > 0:
		var parts []string
		for range rnd.IntN(5) {
			parts = append(parts, randomJSON(rnd, depth-1))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case n == 4:
		return fmt.Sprint(rnd.Int64() >> rnd.IntN(64))
	case n == 5:
		return fmt.Sprintf("%g", rnd.NormFloat64()*pow10(rnd.IntN(40)-20))
	case n == 6:
		return []string{"true", "false", "null"}[rnd.IntN(3)]
	}
	return `"text é` + strings.Repeat("y", rnd.IntN(300)) + `"`
}
