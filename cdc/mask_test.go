package cdc

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

var secret = []byte("0123456789abcdef")

// hmacOf is what another system computes of a text.
func hmacOf(text string) string {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(text))
	return `"` + hex.EncodeToString(h.Sum(nil)) + `"`
}

func TestMasks(t *testing.T) {
	redact, hash := Redact("<\"x\"\n>", "a.b.c"), Hash(secret, "a.b.c")
	truncate, nothing := Truncate(3, "a.b.c"), Truncate(0, "a.b.c")
	for _, tt := range []struct {
		mask        Mask
		value, want string
	}{
		{redact, `"a"`, `"<\"x\"\u000a>"`},
		{redact, `{"a":[1]}`, `"<\"x\"\u000a>"`},
		{redact, `7`, `"<\"x\"\u000a>"`},
		{redact, `null`, `null`},
		{hash, `null`, `null`},
		{hash, `""`, hmacOf("")},
		{hash, `"null"`, hmacOf("null")},
		{hash, `"für 3 €"`, hmacOf("für 3 €")},
		{hash, `"a\"b\\c\u000a\n\t\b\f\r\/\u00e9\ud83d\ude00"`, hmacOf("a\"b\\c\n\n\t\b\f\r/é😀")},
		{hash, `"\ud83d"`, hmacOf("\xed\xa0\xbd")},
		{hash, `"\ud83d\ud83d\ude00x"`, hmacOf("\xed\xa0\xbd😀x")},
		{hash, `"\ude00\u0041"`, hmacOf("\xed\xb8\x80A")},
		{hash, `-12345678901234567890`, hmacOf("-12345678901234567890")},
		{hash, `{"a":"\n"}`, hmacOf(`{"a":"\n"}`)},
		{truncate, `"für 3 €"`, `"für"`},
		{truncate, `"fü"`, `"fü"`},
		{truncate, `"für"`, `"für"`},
		{truncate, `"😀é€x"`, `"😀é€"`},
		{truncate, `"\"\\\u000ax"`, `"\"\\\u000a"`},
		{truncate, `"\"\\\u000a"`, `"\"\\\u000a"`},
		{truncate, `""`, `""`},
		{truncate, `null`, `null`},
		{nothing, `"a"`, `""`},
		{nothing, `""`, `""`},
	} {
		row := []byte(`{"c":` + tt.value)
		if got := tt.mask.Replace(row, len(`{"c":`)); string(got) != `{"c":`+tt.want {
			t.Errorf("%s of %s: got %s, want %s", &tt.mask, tt.value, got[len(`{"c":`):], tt.want)
		}
	}
}

// TestMasksDoNotShow prints what has a secret in every way there is.
func TestMasksDoNotShow(t *testing.T) {
	columns := Columns{Masks: []Mask{Hash([]byte("a secret of the house"), "shop.customer.email")}}
	short := Hash([]byte("short secret"), "")
	var id bytes.Buffer
	columns.Identify(&id)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", columns, columns, columns), fmt.Sprintf("%+v", &columns), id.String(),
		fmt.Sprint(columns.Masks[0].validate()), columns.Masks[0].String(), fmt.Sprint(short.validate())} {
		for _, form := range []string{"secret of", "short secret", hex.EncodeToString([]byte("secret")), "115 101 99 114 101 116", "0x73, 0x65, 0x63"} {
			if strings.Contains(text, form) {
				t.Errorf("the secret shows: %s", text)
			}
		}
	}
}

func TestColumnsIdentify(t *testing.T) {
	seen := map[string]int{}
	for i, c := range []Columns{
		{},
		{Include: []string{"a.b.c"}},
		{Exclude: []string{"a.b.c"}},
		{Exclude: []string{"a.b.c", "a.b.d"}},
		{Masks: []Mask{Redact("x", "a.b.c")}},
		{Masks: []Mask{Redact("y", "a.b.c")}},
		{Masks: []Mask{Redact("x", "a.b.d")}},
		{Masks: []Mask{Truncate(1, "a.b.c")}},
		{Masks: []Mask{Truncate(2, "a.b.c")}},
		{Masks: []Mask{Hash(secret, "a.b.c")}},
		{Masks: []Mask{Hash(append(secret, 'x'), "a.b.c")}},
		{Masks: []Mask{Redact("x", "a.b.c"), Redact("y", "a.b.c")}},
		{Masks: []Mask{Redact("y", "a.b.c"), Redact("x", "a.b.c")}},
	} {
		var id, again, reversed strings.Builder
		c.Identify(&id)
		c.Identify(&again)
		if before, ok := seen[id.String()]; ok || id.String() != again.String() {
			t.Errorf("choices %d and %d have one identity, or an unstable one", before, i)
		}
		seen[id.String()] = i
		if len(c.Exclude) == 2 {
			c.Exclude = []string{c.Exclude[1], c.Exclude[0]}
			if c.Identify(&reversed); reversed.String() != id.String() {
				t.Error("the order of the excluded columns counts")
			}
		}
	}
	if _, ok := seen[""]; !ok {
		t.Error("the zero value has an identity")
	}
}

func TestColumnsMatch(t *testing.T) {
	c := Columns{Include: []string{"shop.*.*", "crm.customer.[ab]*"}, Exclude: []string{"*.*.password"},
		Masks: []Mask{Truncate(1, "shop.a.x"), Redact("", "*.*.x", "*.*.y")}}
	for _, tt := range []struct {
		schema, table, column string
		want                  bool
		mask                  string
	}{
		{"shop", "a", "x", true, "truncate(1)"},
		{"shop", "b", "X", true, "redact"},
		{"shop", "b", "y", true, "redact"},
		{"shop", "b", "z", true, ""},
		{"shop", "b", "PassWord", false, ""},
		{"crm", "customer", "born", true, ""},
		{"crm", "customer", "city", false, ""},
		{"other", "t", "id", false, ""},
	} {
		if got := c.Match(tt.schema, tt.table, tt.column); got != tt.want {
			t.Errorf("%s.%s.%s: got %v, want %v", tt.schema, tt.table, tt.column, got, tt.want)
		}
		mask := ""
		if m := c.Mask(tt.schema, tt.table, tt.column); m != nil {
			mask = m.String()
		}
		if mask != tt.mask {
			t.Errorf("%s.%s.%s: mask %q, want %q", tt.schema, tt.table, tt.column, mask, tt.mask)
		}
	}
}

func TestChoiceValidate(t *testing.T) {
	mask := func(m Mask) Columns { return Columns{Masks: []Mask{Redact("", "a.b.c"), m}} }
	for _, tt := range []struct {
		validate interface{ Validate() error }
		want     string
	}{
		{Columns{Include: []string{"a.b.c", "a.b"}}, `Include: pattern "a.b"`},
		{Columns{Exclude: []string{"a.b.["}}, `Exclude: pattern "a.b.["`},
		{mask(Mask{}), "Masks[1]: the mask was not made by"},
		{mask(Hash(nil, "a.b.c")), "the secret has 0 bytes, want 16 or more"},
		{mask(Hash(secret)), "Masks[1]: hash has no pattern"},
		{mask(Truncate(-1, "a.b.c")), "truncate to -1 characters"},
		{mask(Redact("\xff", "a.b.c")), "not UTF-8"},
		{mask(Redact("", "a.b")), `pattern "a.b"`},
		{Keys{{Tables: "a", Columns: []string{"x"}}}, `Keys[0]: pattern "a"`},
		{Keys{{Tables: "a.b"}}, "Columns is empty"},
		{Keys{{Tables: "a.b", Columns: []string{"x", "*"}}}, `column "*", want a name, or a single *`},
		{Keys{{Tables: "a.b", Columns: []string{""}}}, `column "", want a name`},
		{Keys{{Tables: "a.b", Columns: []string{"x", "X"}}}, `column "X" occurs twice`},
	} {
		if err := tt.validate.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: got %v, want an error with %q", tt.validate, err, tt.want)
		}
	}
	for _, ok := range []interface{ Validate() error }{Columns{}, mask(Hash(secret, "*.*.*")), Keys{}, Keys{{"*.*", []string{"*"}}, {"a.b", []string{"x", "y"}}}} {
		if err := ok.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestHashConcurrently(t *testing.T) {
	mask := Hash(secret, "a.b.c")
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for range 200 {
				if got := string(mask.Replace(fmt.Appendf(nil, "%d", i), 0)); got != hmacOf(fmt.Sprint(i)) {
					t.Errorf("hash of %d is %s", i, got)
					return
				}
			}
		})
	}
	group.Wait()
}

// FuzzMask: whatever JSON text is masked, what comes out is JSON, hashes are of what encoding/json reads, and a truncated text is a prefix
// of it with as many characters as were asked for.
func FuzzMask(f *testing.F) {
	for _, seed := range []string{`""`, `"abc"`, `"\u00e9\n😀\\"`, `"\ud83d\ude00"`, `12`, `{"a":1}`} {
		f.Add([]byte(seed), uint8(2))
	}
	f.Fuzz(func(t *testing.T, value []byte, length uint8) {
		value = bytes.TrimSpace(value)
		if !json.Valid(value) || !utf8.Valid(value) {
			return
		}
		truncate, hash := Truncate(int(length), "a.b.c"), Hash(secret, "a.b.c")
		short := truncate.Replace(bytes.Clone(value), 0)
		var text, cut string
		if json.Unmarshal(value, &text) != nil || string(value) == "null" {
			if !bytes.Equal(short, value) {
				t.Errorf("truncated %s to %s", value, short)
			}
			return
		}
		if strings.Contains(text, "\uFFFD") || bytes.Contains(value, []byte(`\ud`)) || bytes.Contains(value, []byte(`\uD`)) {
			return // half a surrogate pair, which encoding/json cannot keep; or a pair, which counts as two characters
		}
		if err := json.Unmarshal(short, &cut); err != nil {
			t.Fatalf("truncated %s to %s: %v", value, short, err)
		}
		want := []rune(text)
		if want = want[:min(len(want), int(length))]; cut != string(want) {
			t.Errorf("truncated %s to %s, want %q", value, short, string(want))
		}
		if got := hash.Replace(bytes.Clone(value), 0); string(got) != hmacOf(text) {
			t.Errorf("hash of %s is not that of its text", value)
		}
	})
}

// TestMaskRefused: what a mask that will be refused would do is defined; only its use is an error.
func TestMaskRefused(t *testing.T) {
	for _, mask := range []Mask{{}, Redact("\xff", "a.b.c"), Hash([]byte("short"), "a.b.c"), Hash(nil), Truncate(-1, "a.b.c")} {
		columns := Columns{Masks: []Mask{mask}}
		if columns.Validate() == nil {
			t.Errorf("%s is accepted", &mask)
		}
		columns.Identify(io.Discard)
		for _, value := range []string{`"text"`, "1", "null", `""`} {
			mask.Replace([]byte(value), 0)
		}
	}
}

func BenchmarkMask(b *testing.B) {
	value := []byte(`"ann.example@example.org"`)
	for _, mask := range []Mask{Redact("***", "a.b.c"), Hash(secret, "a.b.c"), Truncate(3, "a.b.c")} {
		b.Run(mask.String(), func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, 128)
			for b.Loop() {
				buf = mask.Replace(append(buf[:0], value...), 0)
			}
		})
	}
}
