package history

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Both ways to read an object give the same.
func TestObject(t *testing.T) {
	for _, c := range []struct {
		text string
		flat bool
	}{
		{`{}`, true}, {`{"a":1}`, true}, {`{"a":"x","b":null,"c":-1.5e3,"d":true,"e":18446744073709551615}`, true},
		{`{"a":"say \"hi\", {b}: \u00e9\\","ключ":"}"}`, true}, {`{"a":""}`, true}, {`{"a":{"b":[1,2]},"c":1}`, false}, {`{"a": 1}`, false}, {` {}`, false},
	} {
		var any map[string]any
		if err := decode([]byte(c.text), &any); err != nil {
			t.Fatal(err)
		}
		columns, err := names([]byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		_, _, flat := flat([]byte(c.text))
		row, got, err := object([]byte(c.text))
		if diff := cmp.Diff(texts(any), row) + cmp.Diff(columns, got); diff != "" || err != nil || flat != c.flat {
			t.Errorf("%s: flat %t, error %v, (-want +got)\n%s", c.text, flat, err, diff)
		}
	}
	for _, text := range []string{``, `{`, `{"a"}`, `{"a":1`, `{"a":1}x`, `[1]`, `{"a":"\x"}`} {
		if row, _, err := object([]byte(text)); err == nil {
			t.Errorf("%s: got %v", text, row)
		}
	}
	if row, columns, err := object([]byte("null")); row != nil || columns != nil || err != nil {
		t.Errorf("null: got %v %v %v", row, columns, err)
	}
}
