package jsonscan

import (
	"encoding/json"
	"errors"
	"testing"
)

func TestObject(t *testing.T) {
	in := ` {"a" : 1.5e3, "b\"c":"x\\\"}{" ,"d":{"e":["}",{}]},"f":[] ,"g":null, "h":true} `
	want := [][2]string{{"a", "1.5e3"}, {`b\"c`, `"x\\\"}{"`}, {"d", `{"e":["}",{}]}`}, {"f", "[]"}, {"g", "null"}, {"h", "true"}}
	var got [][2]string
	if err := Object([]byte(in), func(k, v []byte) bool { got = append(got, [2]string{string(k), string(v)}); return true }); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("member %d: got %q, want %q", i, got[i], want[i])
		}
	}
}

func TestObjectRefuses(t *testing.T) {
	for _, in := range []string{"", "[]", "{", `{"a"`, `{"a":`, `{"a":}`, `{"a":1`, `{"a":1,}`, `{"a":"x}`, `{"a":[1}`, `{"a":1}x`, `{"a":1 "b":2}`, `{a:1}`} {
		if err := Object([]byte(in), func(_, _ []byte) bool { return true }); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: got %v, want ErrSyntax", in, err)
		}
	}
}

// FuzzObject: what encoding/json accepts as an object is walked without an error, with the same number of members or more (repeated
// keys), and every value is what encoding/json accepts, too. Nothing makes it panic.
func FuzzObject(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,"}"]},"c":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, valid := 0, true
		err := Object(data, func(_, v []byte) bool { n++; valid = valid && json.Valid(v); return true })
		var truth map[string]json.RawMessage
		if json.Unmarshal(data, &truth) == nil && truth != nil {
			if err != nil || n < len(truth) || !valid {
				t.Fatalf("%q: %d members, valid %v, %v; want at least %d", data, n, valid, err, len(truth))
			}
		}
	})
}
