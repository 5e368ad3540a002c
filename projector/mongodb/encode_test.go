package mongodb

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// roundTrip stores a document and reads it back.
func roundTrip(t testing.TB, body string) (string, error) {
	t.Helper()
	raw, err := appendDocument(nil, "id", 7, []byte(body))
	if err != nil {
		return "", err
	}
	if err := bson.Raw(raw).Validate(); err != nil {
		t.Fatalf("%s: not valid BSON: %v", body, err)
	}
	d, err := decodeDocument("id", raw)
	if err != nil {
		t.Fatalf("%s: decode: %v", body, err)
	}
	if d.Version != 7 {
		t.Fatalf("%s: version %d, want 7", body, d.Version)
	}
	return string(d.Body), nil
}

func TestRoundTrip(t *testing.T) {
	for body, want := range map[string]string{
		`{}`:                                       ``,
		" {\n\t\"b\" : [ ] ,\r \"a\" : { } } ":     `{"b":[],"a":{}}`,
		`{"z":1,"a":2,"m":{"y":1,"b":2}}`:          ``, // order is kept
		`{"n":[0,-1,2147483647,-2147483648]}`:      ``,
		`{"n":[2147483648,9223372036854775807]}`:   ``,
		`{"n":18446744073709551615}`:               ``, // Decimal128
		`{"n":9223372036854775808}`:                ``,
		`{"n":[-0,0.0,-0.0]}`:                      `{"n":[-0,0,-0]}`,
		`{"n":[1.0,1.50,0.1,1e3,1E-7,1e21]}`:       `{"n":[1,1.5,0.1,1000,1e-7,1e+21]}`,
		`{"n":0.30000000000000004}`:                ``, // a double in its shortest form
		`{"n":0.1234567890123456789}`:              ``, // more than a double holds
		`{"n":123456789.12345678912345}`:           ``,
		`{"n":5e-324}`:                             ``,
		`{"s":"plain","e":"","u":"é😀"}`:            ``,
		`{"s":"\" \\ \/ \b \f \n \r \t \u0000"}`:   `{"s":"\" \\ / \b \f \n \r \t \u0000"}`,
		`{"s":"\ud83d\ude00 \u00e9 < > & \u003c"}`: `{"s":"😀 é < > & <"}`,
		`{"s":"\\ud83d"}`:                          ``,
		`{"a.b":1,"$x":"$y","":[{"":null}]}`:       ``,
		`{"n":{"_id":1,"_v":2,"_gone":3}}`:         ``, // only reserved at the top
		`{"t":true,"f":false,"n":null}`:            ``,
		`{"a":[[],[[1]],{"b":[{}]}]}`:              ``,
		`{"\u0061":1}`:                             `{"a":1}`,
	} {
		if want == "" {
			want = body
		}
		got, err := roundTrip(t, body)
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", body, got, err, want)
		}
	}
}

func TestStoredTypes(t *testing.T) {
	raw, err := appendDocument(nil, "x", 1<<50, []byte(`{"i":1,"l":2147483648,"d":1.5,"big":18446744073709551615,"s":"t","b":true,"z":null,"o":{},"a":[1]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bson.Type{
		"_id": bson.TypeString, "_v": bson.TypeInt64, "i": bson.TypeInt32, "l": bson.TypeInt64, "d": bson.TypeDouble, "big": bson.TypeDecimal128,
		"s": bson.TypeString, "b": bson.TypeBoolean, "z": bson.TypeNull, "o": bson.TypeEmbeddedDocument, "a": bson.TypeArray,
	}
	for name, typ := range want {
		if got := bson.Raw(raw).Lookup(name).Type; got != typ {
			t.Errorf("%s: got type %s, want %s", name, got, typ)
		}
	}
}

func TestRefusedBodies(t *testing.T) {
	many := "{"
	for i := range 40 {
		many += `"f` + strings.Repeat("x", i) + `":1,`
	}
	for name, body := range map[string]string{
		"no JSON":                "",
		"cut":                    `{"a":`,
		"not an object":          `["secret"]`,
		"two values":             `{} {}`,
		"invalid UTF-8":          "{\"a\":\"secret\xff\"}",
		"_id":                    `{"_id":"secret"}`,
		"_v":                     `{"_v":1}`,
		"_gone":                  `{"\u005fgone":null}`,
		"NUL in a name":          `{"a\u0000b":1}`,
		"NUL in an inner name":   `{"a":[{"\u0000":1}]}`,
		"name twice":             `{"a":"secret","b":2,"a":3}`,
		"name twice, escaped":    `{"a":1,"\u0061":3}`,
		"name twice among many":  many + `"fxxx":"secret"}`,
		"name twice, both late":  many + `"y":1,"y":"secret"}`,
		"unpaired high":          `{"a":"secret\ud83d"}`,
		"unpaired high, letter":  `{"a":"\ud83d\u0041"}`,
		"unpaired low":           `{"a":"\ude00"}`,
		"swapped":                `{"a":"\ude00\ud83d"}`,
		"35 digits":              `{"a":12345678901234567890123456789012345}`,
		"35 digits in fraction":  `{"a":0.12345678901234567890123456789012345}`,
		"exponent":               `{"a":1e7000}`,
		"huge exponent":          `{"a":1e99999999999999999999}`,
		"101 levels":             strings.Repeat(`{"a":`, 101) + "1" + strings.Repeat("}", 101),
		"101 levels of arrays":   `{"a":` + strings.Repeat(`[`, 100) + strings.Repeat("]", 100) + `}`,
		"over 16 MiB":            `{"a":"` + strings.Repeat("x", 16<<20) + `"}`,
		"over 16 MiB in integer": `{"a":[1` + strings.Repeat(",1", 2<<20) + `]}`,
	} {
		raw, err := appendDocument([]byte("before"), "id", 1, []byte(body))
		if err == nil {
			t.Errorf("%s: stored as %d bytes", name, len(raw))
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error holds document text: %v", name, err)
		}
	}
	if _, err := appendDocument(nil, "id", 1, []byte(strings.Repeat(`{"a":`, 100)+"1"+strings.Repeat("}", 100))); err != nil {
		t.Errorf("100 levels: %v", err)
	}
}

func TestSameNumber(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"1", "1.0", true}, {"1", "1e0", true}, {"100", "1e2", true}, {"0.01", "1e-2", true}, {"-1", "1", false}, {"0", "-0", false},
		{"0", "0e7", true}, {"12.50", "1.25e+01", true}, {"1.1", "1.10000000000000000001", false}, {"1e400", "1e401", false},
	} {
		if got := sameNumber(c.a, c.b); got != c.want {
			t.Errorf("sameNumber(%s, %s) = %v", c.a, c.b, got)
		}
	}
}

// FuzzDocument: a body is either refused or stored as valid BSON that reads back as the same JSON, except for the form of numbers and
// strings, and storing that again changes nothing.
func FuzzDocument(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":[1,2.5,-0,1e300,{"b":null}],"c":"\ud83d\ude00"}`, `{"$a.b":{"":18446744073709551615}}`, `{"a":1,"a":2}`, `{"a":"\ud800"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		raw, err := appendDocument(nil, "id", math.MaxInt64, body)
		if err != nil {
			return
		}
		if !json.Valid(body) || !utf8.Valid(body) {
			t.Fatalf("stored invalid JSON %q", body)
		}
		if err := bson.Raw(raw).Validate(); err != nil {
			t.Fatalf("%q: not valid BSON: %v", body, err)
		}
		d, err := decodeDocument("id", raw)
		if err != nil {
			t.Fatalf("%q: decode: %v", body, err)
		}
		sameTokens(t, body, d.Body)
		again, err := appendDocument(nil, "id", math.MaxInt64, d.Body)
		if err != nil {
			t.Fatalf("%q came back as %q, which is refused: %v", body, d.Body, err)
		}
		d2, err := decodeDocument("id", again)
		if err != nil || !bytes.Equal(d.Body, d2.Body) {
			t.Fatalf("%q came back as %q, and that as %q (%v)", body, d.Body, d2.Body, err)
		}
	})
}

// sameTokens compares two JSON texts token by token, so that order counts; numbers by value.
func sameTokens(t *testing.T, a, b []byte) {
	t.Helper()
	da, db := json.NewDecoder(bytes.NewReader(a)), json.NewDecoder(bytes.NewReader(b))
	da.UseNumber()
	db.UseNumber()
	for {
		ta, errA := da.Token()
		tb, errB := db.Token()
		if errors.Is(errA, io.EOF) && errors.Is(errB, io.EOF) {
			return
		}
		if errA != nil || errB != nil {
			t.Fatalf("%q came back as %q: %v, %v", a, b, errA, errB)
		}
		na, isA := ta.(json.Number)
		nb, isB := tb.(json.Number)
		if isA && isB && sameNumber(na.String(), nb.String()) {
			continue
		}
		if ta != tb {
			t.Fatalf("%q came back as %q: %v became %v", a, b, ta, tb)
		}
	}
}
