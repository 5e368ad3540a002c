package binlog

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

var update = flag.Bool("update", false, "TestCharsets: write the tables of cdc/binlog as the servers have them")

// TestCharsets: for each character set of the server, every character that it has a code for reads as the server's own conversion
// says. Codes of one and two bytes are tried all; the longer ones are those that Unicode's characters become. Of the Unicode character
// sets, which need no table, every sixteenth character is tried.
func TestCharsets(t *testing.T) {
	tables := map[string]map[uint32]rune{}
	onEach(t, func(t *testing.T, kind servers.Kind) {
		d := open(t, servers.Find(t, kind), "charsets")
		d.exec(t, "CREATE TABLE num (n INT PRIMARY KEY)")
		d.exec(t, "INSERT INTO num WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n+1 FROM c WHERE n < 255) SELECT n FROM c")
		d.exec(t, "CREATE TABLE code (b VARBINARY(4), u VARBINARY(4))")
		for _, insert := range []string{
			"SELECT UNHEX(LPAD(HEX(n), 2, '0')), NULL FROM num",
			"SELECT UNHEX(LPAD(HEX(a.n * 256 + b.n), 4, '0')), NULL FROM num a, num b WHERE a.n >= 128",
			"SELECT NULL, UNHEX(LPAD(HEX(a.n * 256 + b.n), 8, '0')) FROM num a, num b WHERE a.n NOT BETWEEN 0xd8 AND 0xdf",
			"SELECT NULL, UNHEX(LPAD(HEX(65536 + a.n * 4096 + b.n), 8, '0')) FROM num a, num b WHERE b.n % 16 = 0",
		} {
			d.exec(t, "INSERT INTO code "+insert)
		}
		total := 0
		for _, row := range d.rows(t, "SELECT CHARACTER_SET_NAME, MAXLEN FROM information_schema.CHARACTER_SETS WHERE CHARACTER_SET_NAME <> 'binary' ORDER BY 1") {
			name, longest := row[0], row[1]
			t.Run(name, func(t *testing.T) {
				convert, where := "CONVERT(b USING "+name+")", "b IS NOT NULL AND OCTET_LENGTH(b) <= "+longest
				if name == "ascii" {
					where = "b <= x'7f'"
				}
				d.exec(t, "DROP TABLE IF EXISTS c")
				d.exec(t, "CREATE TABLE c (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(8) CHARACTER SET "+name+")")
				from := d.executed(t)
				if !byRule(name) || name == "ucs2" {
					d.exec(t, "INSERT IGNORE INTO c (v) SELECT "+convert+" FROM code WHERE "+where)
				}
				if longest > "2" || byRule(name) {
					sample := ""
					if byRule(name) {
						sample = " AND CRC32(u) % 16 = 0"
					}
					d.exec(t, "INSERT IGNORE INTO c (v) SELECT CONVERT(CONVERT(u USING utf32) USING "+name+") FROM code WHERE u IS NOT NULL"+sample)
				}
				inserted := d.executed(t)
				d.exec(t, "DELETE FROM c WHERE v IS NULL OR CHAR_LENGTH(v) <> 1") // what is no character
				want := d.rows(t, "SELECT HEX(v), HEX(CONVERT(v USING utf8mb4)), id FROM c ORDER BY id")
				addCodes(t, tables, name, want)
				total += len(want)
				if *update {
					return
				}
				got := map[string][]byte{}
				for _, c := range changes(read(t, d.source(t), from, inserted)) {
					got[string(c.Key)] = c.After
				}
				wrong := 0
				for _, row := range want {
					code, text, image := row[0], row[1], got[`{"id":`+row[2]+`}`]
					var v struct{ V string }
					if err := json.Unmarshal(image, &v); err != nil {
						t.Fatal(err)
					}
					if unit, lone := loneSurrogate(name, code); lone { // JSON can say it, UTF-8 and Go's strings cannot
						if !strings.Contains(string(image), `"v":"\u`+unit+`"`) {
							t.Errorf("code %s: got %s", code, image)
						}
						continue
					}
					if have := fmt.Sprintf("%X", v.V); have != text {
						if wrong++; wrong < 10 {
							t.Errorf("code %s: got %s, want %s", code, have, text)
						}
					}
				}
				if wrong > 0 {
					t.Errorf("%d of %d characters are wrong", wrong, len(want))
				}
			})
		}
		t.Logf("%d characters", total)
	})
	if *update {
		if err := os.WriteFile("../../../cdc/binlog/charsets.bin", encodeCodeTables(tables), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// loneSurrogate tells of a code that it is half of a surrogate pair, which some character sets of the servers take for a character.
func loneSurrogate(name, code string) (unit string, lone bool) {
	if name != "ucs2" && name != "utf32" {
		return "", false
	}
	unit = strings.ToLower(strings.TrimPrefix(code, "0000"))
	return unit, len(unit) == 4 && unit >= "d800" && unit <= "dfff"
}

// byRule tells of a character set that it is Unicode or ASCII, which need no table.
func byRule(name string) bool {
	return slices.Contains([]string{"ascii", "utf8", "utf8mb3", "utf8mb4", "ucs2", "utf16", "utf16le", "utf32"}, name)
}

// addCodes collects a character set's codes, and demands that the servers agree.
func addCodes(t *testing.T, tables map[string]map[uint32]rune, name string, rows [][]string) {
	t.Helper()
	if byRule(name) {
		return
	}
	if tables[name] == nil {
		tables[name] = map[uint32]rune{}
	}
	for _, row := range rows {
		b, err1 := hex.DecodeString(row[0])
		text, err2 := hex.DecodeString(row[1])
		r, size := utf8.DecodeRune(text)
		if err1 != nil || err2 != nil || size != len(text) {
			t.Fatalf("code %s is %s: not one character", row[0], row[1])
		}
		code := uint32(0)
		for _, x := range b {
			code = code<<8 | uint32(x)
		}
		if name == "gb18030" && r > 0xffff || r == '?' && code != '?' { // counted; without Unicode
			continue
		}
		if have, ok := tables[name][code]; ok && have != r {
			t.Errorf("code %X is %U here and %U on the other server", b, r, have)
		}
		tables[name][code] = r
	}
}

// encodeCodeTables writes the tables in the form that cdc/binlog reads.
func encodeCodeTables(tables map[string]map[uint32]rune) []byte {
	var raw []byte
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		raw = append(binary.AppendUvarint(raw, uint64(len(name))), name...)
		raw = binary.AppendUvarint(raw, uint64(len(tables[name])))
		code, r := uint32(0), rune(0)
		for _, next := range slices.Sorted(maps.Keys(tables[name])) {
			raw = binary.AppendUvarint(raw, uint64(next-code))
			raw = binary.AppendVarint(raw, int64(tables[name][next])-int64(r))
			code, r = next, tables[name][next]
		}
	}
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestCompression) // the level is a constant
	_, _ = w.Write(raw)                                  // a bytes.Buffer takes everything
	_ = w.Close()
	return out.Bytes()
}
