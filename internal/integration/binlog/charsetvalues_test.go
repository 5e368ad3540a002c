package binlog

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// letters are of the scripts that the servers' character sets are for.
const letters = "aZ~é€ßÿœŠşğıżłőŘ¤§ΑωЖыїאשابتกฮ漢字乙日本かなｶﾅ한글각靑一丁龠😀𠀋ﬁ�\u00a0"

// charsets are texts in each character set that the server offers, as CHAR, VARCHAR, TEXT, ENUM and SET.
func (v *verifier) charsets(t *testing.T, kind servers.Kind) {
	d := open(t, servers.Find(t, kind), "allcharsets")
	w := d.writer(t)
	rnd := v.random("charsets", kind)
	var tables []*valueTable
	from := d.executed(t)
	for i, row := range d.rows(t, "SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS WHERE CHARACTER_SET_NAME <> 'binary' ORDER BY 1") {
		name := row[0]
		chars := d.lettersOf(t, name)
		values := []string{"''", "' '", "'  a  '"}
		for range 3 + v.values {
			values = append(values, randomText(rnd, name, chars))
		}
		last := chars[len(chars)-1]
		labels := fmt.Sprintf("('a','%s','b %s')", last, last)
		cs := []column{
			{define: "VARCHAR(40) CHARACTER SET " + name + " NOT NULL", values: values},
			{define: "CHAR(20) CHARACTER SET " + name, values: values},
			{define: "VARCHAR(300) CHARACTER SET " + name, values: values[1:]},
			{define: "TEXT CHARACTER SET " + name, values: values[2:]},
			{define: "ENUM" + labels + " CHARACTER SET " + name, values: []string{"1", "2", "3", "'no label'"}},
			{define: "SET" + labels + " CHARACTER SET " + name, values: []string{"0", "1", "2", "7"}},
		}
		for j := range cs {
			cs[j].oracle = asText
		}
		tables = append(tables, w.fill(t, rnd, fmt.Sprintf("c%d", i), cs, 1))
	}
	v.compare(t, d, from, tables)
}

// lettersOf asks the server which letters a character set has.
func (d *database) lettersOf(t *testing.T, name string) []string {
	t.Helper()
	var chars []string
	for _, r := range letters {
		hex := fmt.Sprintf("_utf8mb4 x'%x'", string(r))
		if d.value(t, fmt.Sprintf("SELECT HEX(CONVERT(CONVERT(%s USING %s) USING utf8mb4)) = HEX(%s)", hex, name, hex)) == "1" {
			chars = append(chars, string(r))
		}
	}
	return chars
}

// randomText is up to 20 characters.
func randomText(rnd *rand.Rand, name string, chars []string) string {
	var text strings.Builder
	for range rnd.IntN(20) {
		text.WriteString(chars[rnd.IntN(len(chars))])
	}
	return fmt.Sprintf("CONVERT(_utf8mb4 x'%x' USING %s)", text.String(), name)
}
