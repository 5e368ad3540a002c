package binlog

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/millrace-go/millrace/internal/integration/servers"
)

// An oracle says how the server's own SELECT of a value becomes the JSON of docs/types.md.
type oracle struct {
	// expression gives the value as text; %s is the column.
	expression string
	// json turns the text into JSON.
	json func(text string) string
	// same compares where equal values may have several texts; nil compares bytes.
	same func(got, want string) bool
}

// equal compares a value's JSON with what json made of the server's text, or null.
func (o oracle) equal(got, want string) bool {
	return got == want || o.same != nil && want != "null" && o.same(got, want)
}

var (
	asNumber = oracle{expression: "%s", json: verbatim}
	asCount  = oracle{expression: "CAST(%s AS UNSIGNED)", json: verbatim}
	asYear   = oracle{expression: "%s + 0", json: verbatim}
	asPlain  = oracle{expression: "CAST(%s AS CHAR)", json: quoted}
	asText   = oracle{expression: "CONVERT(%s USING utf8mb4)", json: quoted}
	asBytes  = oracle{expression: "HEX(%s)", json: fromHex}
	asMoment = oracle{expression: "CAST(%s AS CHAR)", json: func(s string) string { return quoted(moment(s, "")) }}
	asUTC    = oracle{expression: "CAST(%s AS CHAR)", json: func(s string) string { return quoted(moment(s, "Z")) }}
	asFloat  = oracle{expression: "CAST(%s AS DOUBLE)", json: verbatim, same: sameNumber(32)}
	asDouble = oracle{expression: "CAST(%s AS DOUBLE)", json: verbatim, same: sameNumber(64)}
	asJSON   = oracle{expression: "CAST(%s AS CHAR)", json: compact}
)

func verbatim(text string) string { return text }

func quoted(text string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		panic(err)
	}
	out := strings.TrimSuffix(b.String(), "\n")
	// encoding/json escapes two line separators that JSON does not demand to be escaped.
	return strings.NewReplacer("\\u2028", "\u2028", "\\u2029", "\u2029").Replace(out)
}

func fromHex(text string) string {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return quoted(base64.StdEncoding.EncodeToString(b))
}

// moment writes what is a date and time by RFC 3339, and leaves the rest as it is.
func moment(text, zone string) string {
	if strings.Contains(text[:10], "-00") {
		return text
	}
	return strings.Replace(text, " ", "T", 1) + zone
}

// compact takes the spaces between the tokens of a JSON text away.
func compact(text string) string {
	var out strings.Builder
	inString := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && inString:
			out.WriteByte(c)
			i++
			out.WriteByte(text[i])
			continue
		case c == '"':
			inString = !inString
		case c == ' ' && !inString:
			continue
		}
		out.WriteByte(text[i])
	}
	return out.String()
}

// sameNumber compares by value, and demands that got is the shortest text of it.
func sameNumber(bits int) func(got, want string) bool {
	return func(got, want string) bool {
		w, err := strconv.ParseFloat(want, 64)
		if err != nil {
			return false
		}
		if w == 0 {
			return got == "0" // also a negative zero, whose sign MariaDB does not show
		}
		var shortest []byte
		if bits == 32 {
			shortest, err = json.Marshal(float32(w))
		} else {
			shortest, err = json.Marshal(w)
		}
		return err == nil && got == string(shortest)
	}
}

// A column is a type with values, as SQL, and its oracle.
type column struct {
	define string
	oracle oracle
	values []string
	only   servers.Kind // "" on both
}

// canBeKey tells whether an index can hold the column.
func (c column) canBeKey() bool {
	for _, not := range []string{"JSON", "GEOMETRY", "POINT", "POLYGON", "VECTOR", "INT GENERATED", "INT INVISIBLE", "CHAR(0)", "BINARY(0)"} {
		if strings.HasPrefix(c.define, not) {
			return false
		}
	}
	return len(c.values) > 0
}

// prefix is the length of the column in an index, where it needs one or can have one.
func (c column) prefix() string {
	word, _, _ := strings.Cut(c.define, " ")
	word, length, _ := strings.Cut(strings.TrimSuffix(word, ")"), "(")
	n, _ := strconv.Atoi(length)
	if strings.HasSuffix(word, "TEXT") || strings.HasSuffix(word, "BLOB") || (strings.HasSuffix(word, "CHAR") || strings.HasSuffix(word, "BINARY")) && n > 7 {
		return "(7)"
	}
	return ""
}

func (c column) on(kind servers.Kind) bool { return c.only == "" || c.only == kind }

// columns are the types with their edges.
func columns() []column {
	cs := []column{
		{define: "DECIMAL(65,30)", oracle: asPlain, values: []string{"0", "1", "-1", "0.000000000000000000000000000001", "-0.000000000000000000000000000001",
			strings.Repeat("9", 35) + "." + strings.Repeat("9", 30), "-" + strings.Repeat("9", 35) + "." + strings.Repeat("9", 30), "123456789012345678901234567890.5"}},
		{define: "DECIMAL(65,0)", oracle: asPlain, values: []string{"0", strings.Repeat("9", 65), "-" + strings.Repeat("9", 65), "1000000000"}},
		{define: "DECIMAL(1,1)", oracle: asPlain, values: []string{"0", "0.9", "-0.9"}},
		{define: "FLOAT", oracle: asFloat, values: []string{"0", "1", "-1", "0.1", "16777216", "3.402823466e38", "-3.402823466e38", "1.175494351e-38", "1e-45", "1e21", "1e20", "1e-6", "1e-7", "123456.789"}},
		{define: "FLOAT UNSIGNED", oracle: asFloat, values: []string{"0", "1.5"}},
		{define: "DOUBLE", oracle: asDouble, values: []string{"0", "1", "-1", "0.1", "1.7976931348623157e308", "-1.7976931348623157e308", "2.2250738585072014e-308", "4.9e-324", "1e21", "1e20", "123456789012345680000", "1e-6", "1e-7", "0.3", "9007199254740993"}},
		{define: "YEAR", oracle: asYear, values: []string{"0", "'0000'", "1901", "2155", "1970", "2000"}},
		{define: "DATE", oracle: asPlain, values: []string{"'0000-00-00'", "'1000-01-01'", "'9999-12-31'", "'2024-02-29'", "'2024-00-00'", "'2024-02-00'", "'0001-01-01'", "'1582-10-10'"}},
		{define: "ENUM('a','b','it''s','comma,','ü','')", oracle: asText, values: []string{"'a'", "'b'", "'it''s'", "'comma,'", "'ü'", "''", "3"}},
		{define: "ENUM('å','\"q\"','\\\\') CHARACTER SET latin1", oracle: asText, values: []string{"1", "2", "3"}},
		{define: "ENUM('x','é') CHARACTER SET utf16", oracle: asText, values: []string{"1", "2"}},
		{define: "SET('a','b','it''s','ü','d e')", oracle: asText, values: []string{"''", "'a'", "'a,b'", "'it''s,ü'", "31"}},
		{define: "SET('é','z') CHARACTER SET latin1", oracle: asText, values: []string{"0", "1", "3"}},
		{define: "SET(" + labels(64) + ")", oracle: asText, values: []string{"0", "1", "18446744073709551615", "9223372036854775808"}},
		{define: "ENUM(" + labels(300) + ")", oracle: asText, values: []string{"1", "255", "256", "300"}},
		{define: "CHAR(0)", oracle: asText, values: []string{"''"}},
		{define: "CHAR(5)", oracle: asText, values: []string{"''", "'a'", "'a    '", "'äöü€😀'", "'\\0\\n\"'", "'<>&'"}},
		{define: "CHAR(255)", oracle: asText, values: []string{"''", "REPEAT('😀', 255)", "REPEAT('a', 255)"}},
		{define: "VARCHAR(63)", oracle: asText, values: []string{"''", "REPEAT('😀', 63)", "'  '"}},
		{define: "VARCHAR(64)", oracle: asText, values: []string{"''", "REPEAT('😀', 64)", "REPEAT('\"', 64)", "_utf8mb4 x'e280a8e280a97f'"}},
		{define: "VARCHAR(255) CHARACTER SET latin1", oracle: asText, values: []string{"''", "_latin1 x'00080c0a0d095c2201021f7f80819dffe9'", "REPEAT('é', 255)"}},
		{define: "VARCHAR(256) CHARACTER SET latin1", oracle: asText, values: []string{"REPEAT('é', 256)"}},
		{define: "CHAR(200) CHARACTER SET utf32", oracle: asText, values: []string{"'é😀'", "REPEAT('é', 200)"}},
		{define: "VARCHAR(10) COLLATE utf8mb4_bin", oracle: asText, values: []string{"'aé'"}},
		{define: "TINYTEXT", oracle: asText, values: []string{"''", "REPEAT('a', 255)"}},
		{define: "TEXT", oracle: asText, values: []string{"''", "REPEAT('äb', 20000)"}},
		{define: "MEDIUMTEXT CHARACTER SET utf16", oracle: asText, values: []string{"''", "REPEAT('äb😀', 5000)"}},
		{define: "LONGTEXT", oracle: asText, values: []string{"''", "REPEAT('0123456789abcdef', 500000)"}},
		{define: "BINARY(0)", oracle: asBytes, values: []string{"''"}},
		{define: "BINARY(4)", oracle: asBytes, values: []string{"''", "x'00'", "x'0100'", "x'01020304'", "x'00000001'", "x'20202020'"}},
		{define: "BINARY(255)", oracle: asBytes, values: []string{"''", "REPEAT(x'ff', 255)", "REPEAT(x'00', 255)"}},
		{define: "VARBINARY(255)", oracle: asBytes, values: []string{"''", "x'00'", "x'0100'", "REPEAT(x'ff', 255)"}},
		{define: "VARBINARY(300)", oracle: asBytes, values: []string{"''", "REPEAT(x'00', 300)"}},
		{define: "TINYBLOB", oracle: asBytes, values: []string{"''", "REPEAT(x'ff', 255)"}},
		{define: "BLOB", oracle: asBytes, values: []string{"''", "REPEAT(x'00', 65535)"}},
		{define: "MEDIUMBLOB", oracle: asBytes, values: []string{"''", "REPEAT(x'0102', 40000)"}},
		{define: "LONGBLOB", oracle: asBytes, values: []string{"''", "REPEAT(x'ff', 10000000)"}},
		{define: "GEOMETRY", oracle: asBytes, values: []string{"ST_GeomFromText('POINT(1 -2.5)')", "ST_GeomFromText('POLYGON((0 0,10 0,10 10,0 0))')", "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))')"}},
		{define: "POINT", oracle: asBytes, values: []string{"ST_GeomFromText('POINT(1 2)', 4326)"}},
		{define: "BOOLEAN", oracle: asNumber, values: []string{"TRUE", "FALSE"}},
		{define: "INT GENERATED ALWAYS AS (id * 2) VIRTUAL", oracle: asNumber},
		{define: "INT GENERATED ALWAYS AS (id * 2) STORED", oracle: asNumber},
		{define: "INT INVISIBLE DEFAULT 7", oracle: asNumber, values: []string{"1", "DEFAULT"}},
		{define: "VECTOR(3)", oracle: asBytes, values: []string{"STRING_TO_VECTOR('[1,2.5,-3]')"}, only: servers.MySQL},
		{define: "UUID", oracle: asBytes, values: []string{"'6ccd780c-baba-1026-9564-5b8c656024db'", "'123e4567-e89b-42d3-a456-426614174000'", "'018f4b6c-1d2e-7abc-9def-0123456789ab'", "'00000000-0000-0000-0000-000000000000'", "'018f4b6c-1d2e-7abc-9def-012345672000'"}, only: servers.MariaDB},
		{define: "INET6", oracle: asBytes, values: []string{"'2001:db8::ff00:42:8329'", "'::'", "'::ffff:192.0.2.1'", "'2001:db8::2000'"}, only: servers.MariaDB},
		{define: "INET4", oracle: asBytes, values: []string{"'192.0.2.1'", "'0.0.0.0'", "'1.2.32.32'"}, only: servers.MariaDB},
		{define: "JSON", oracle: asText, values: jsonValues(), only: servers.MariaDB},
		{define: "JSON", oracle: asJSON, values: append(jsonValues(), "'"+strings.Repeat("[", 99)+strings.Repeat("]", 99)+"'", "CAST(1.50 AS JSON)", "CAST(CAST('12.340' AS DECIMAL(10,3)) AS JSON)",
			"JSON_ARRAY(CAST('2024-01-02' AS DATE), CAST('10:11:12.5' AS TIME(1)), CAST('-838:59:59' AS TIME), CAST('2024-01-02 03:04:05.678' AS DATETIME(3)))",
			"CAST(CAST('0000-00-00' AS DATE) AS JSON)", "CAST(x'010203' AS JSON)", "JSON_OBJECT('b', x'ff')", "CAST(b'101' AS JSON)", "CAST(TIMESTAMP '2024-01-02 03:04:05' AS JSON)",
			"JSON_ARRAY(18446744073709551615, -9223372036854775808, 65535, -32768, 65536, -32769, 4294967295, -2147483648, 4294967296)",
			"CAST(CAST(2024 AS YEAR) AS JSON)", "CAST(-1e-5 AS JSON)", "CAST(ST_GeomFromText('POINT(1 2)') AS JSON)"), only: servers.MySQL},
	}
	for _, t := range []struct {
		name string
		bits int
	}{{"TINYINT", 8}, {"SMALLINT", 16}, {"MEDIUMINT", 24}, {"INT", 32}, {"BIGINT", 64}} {
		low, high := -int64(1)<<(t.bits-1), int64(1)<<(t.bits-1)-1
		cs = append(cs,
			column{define: t.name, oracle: asNumber, values: []string{"0", "1", "-1", strconv.FormatInt(low, 10), strconv.FormatInt(high, 10)}},
			column{define: t.name + " UNSIGNED", oracle: asNumber, values: []string{"0", "1", strconv.FormatUint(uint64(1)<<t.bits-1, 10), strconv.FormatInt(high, 10)}})
	}
	cs = append(cs,
		column{define: "INT(5) ZEROFILL", oracle: asCount, values: []string{"7", "0", "123456"}},
		column{define: "DECIMAL(10,3) ZEROFILL", oracle: oracle{expression: "CAST(%s + 0 AS CHAR)", json: quoted}, values: []string{"0", "0.5", "12.5", "1234567.891"}},
		column{define: "FLOAT(7,3)", oracle: asFloat, values: []string{"0", "1.2345", "-1234.5678", "0.0005"}},
		column{define: "DOUBLE(10,2)", oracle: asDouble, values: []string{"0", "0.305", "1.005", "-12345678.9", "99999999.99"}},
		column{define: "FLOAT ZEROFILL", oracle: asFloat, values: []string{"0", "1.25"}},
		column{define: "YEAR(2)", oracle: oracle{expression: "IF(YEAR(%[1]s) = 1900, 0, YEAR(%[1]s))", json: verbatim}, values: []string{"1970", "2069", "1901", "2155", "70", "'00'", "'0000'"}, only: servers.MariaDB},
		column{define: "ENUM('x','ü') CHARACTER SET binary", oracle: asText, values: []string{"1", "2"}},
		column{define: "CHAR(8) COLLATE utf8mb4_nopad_bin", oracle: asText, values: []string{"'a '", "' a'", "'  '"}, only: servers.MariaDB},
		column{define: "CHAR(8) COLLATE utf8mb4_0900_ai_ci", oracle: asText, values: []string{"'a '", "' a'", "'  '"}, only: servers.MySQL},
		column{define: "TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)", oracle: asUTC, values: []string{"DEFAULT", "NOW(6)"}},
		column{define: "INT DEFAULT 5", oracle: asNumber, values: []string{"DEFAULT"}},
		column{define: "POLYGON", oracle: asBytes, values: []string{"ST_GeomFromText('POLYGON((0 0,10 0,10 10,0 0),(1 1,2 1,2 2,1 1))')"}})
	for _, bits := range []int{1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 55, 63, 64} {
		cs = append(cs, column{define: fmt.Sprintf("BIT(%d)", bits), oracle: asCount, values: []string{"0", "1", "b'" + strings.Repeat("1", bits) + "'", "b'1" + strings.Repeat("0", bits-1) + "'"}})
	}
	for digits := range 7 {
		fraction := ""
		if digits > 0 {
			fraction = "." + "123456"[:digits]
		}
		nines := strings.Repeat("9", digits)
		if digits > 0 {
			nines = "." + nines
		}
		cs = append(cs,
			column{define: fmt.Sprintf("TIME(%d)", digits), oracle: asPlain, values: []string{"'00:00:00'", "'-00:00:01" + fraction + "'", "'12:34:56" + fraction + "'",
				"'838:59:59'", "'-838:59:59'", "'100:00:00" + fraction + "'", "'-99:59:58" + nines + "'", "'-00:00:00" + fraction + "'", "'00:00:00" + nines + "'"}},
			column{define: fmt.Sprintf("DATETIME(%d)", digits), oracle: asMoment, values: []string{"'0000-00-00 00:00:00'", "'1000-01-01 00:00:00'", "'9999-12-31 23:59:59" + nines + "'",
				"'2024-02-29 12:34:56" + fraction + "'", "'2024-00-00 10:11:12" + fraction + "'", "'2024-05-00 00:00:00'", "'0000-01-01 00:00:00'"}},
			column{define: fmt.Sprintf("TIMESTAMP(%d) NULL", digits), oracle: asUTC, values: []string{"'0000-00-00 00:00:00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07" + nines + "'",
				"'2024-02-29 12:34:56" + fraction + "'", "'2001-09-09 01:46:40'"}})
	}
	for _, d := range [][2]int{{5, 0}, {5, 2}, {9, 9}, {10, 0}, {10, 9}, {12, 2}, {18, 9}, {19, 10}, {30, 30}, {38, 19}} {
		whole, nines := strings.Repeat("9", d[0]-d[1]), strings.Repeat("9", d[1])
		cs = append(cs, column{define: fmt.Sprintf("DECIMAL(%d,%d)", d[0], d[1]), oracle: asPlain,
			values: []string{"0", "0" + whole + "." + nines + "0", "-0" + whole + "." + nines + "0", "0.1"}})
	}
	return cs
}

func labels(n int) string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("'l%d'", i))
	}
	return strings.Join(names, ",")
}

func jsonValues() []string {
	deep := strings.Repeat("[", 30) + strings.Repeat("]", 30) // MariaDB takes 32
	return []string{"'null'", "'true'", "'false'", "'0'", "'-1'", "'1.0'", "'1e100'", "'1e-100'", "'0.1'", "'123456789012345'", "'1234567890123456789'", "'18446744073709551615'",
		"'18446744073709551616'", "'-9223372036854775808'", "'1e15'", "'1e16'", "'1.5e15'", "'1e14'", "'0.0001'", "'1e-5'", "'1e-14'", "'1e-15'", "'1e-16'", "'123456.789e3'", "'-0.0'", "'2.5e-8'",
		"'1209352490834813.2'", "'-2274972161083964.5'", "'1234567890123456'", "'12345678901234567'", "'-1.2345678901234567e-14'", "'-1.2345678901234567e-15'", "'999999999999999.9'", "'100000000000000000000'",
		`'""'`, `'"a\\"\\\\\\n\\u0001\\u007f/😀é"'`, "'{}'", "'[]'", `'{"b": 1, "a": [1, 2.5, {"c": null}], "": "", "long key": "v"}'`, "'" + deep + "'",
		`'{"z": 1, "y": 2, "aa": 3, "B": 4, "é": 5}'`, `CONCAT('["', REPEAT('x', 70000), '", 1, 40000, 3000000000]')`, `CONCAT('{"a": [', REPEAT('1,', 20000), '2]}')`,
		`'" spaces : , inside "'`}
}
