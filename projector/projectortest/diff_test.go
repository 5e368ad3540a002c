package projectortest

import (
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	for _, c := range []struct{ got, want, diff string }{
		{`{"a":1,"b":[1,2]}`, `{"b":[1,2],"a":1}`, ""},
		{`{"a":1}`, `{"a":2}`, "\t.a: want 2, got 1"},
		{`{"a":"1"}`, `{"a":1}`, "\t.a: want 1, got \"1\""},
		{`{"a":null}`, `{}`, "\t.a: want nothing, got null"},
		{`{}`, `{"a":{"b":[]}}`, "\t.a: want {\"b\":[]}, got nothing"},
		{`{"a":{"b c":[{"x":1},{"x":2}]}}`, `{"a":{"b c":[{"x":1},{"x":3},{}]}}`, "\t.a[\"b c\"][1].x: want 3, got 2\n\t.a[\"b c\"][2]: want {}, got nothing"},
		{`{"a":[1]}`, `{"a":{"b":1}}`, "\t.a: want {\"b\":1}, got [1]"},
		{`{"n":9007199254740993}`, `{"n":9007199254740992}`, "\t.n: want 9007199254740992, got 9007199254740993"},
		{`[]`, `{}`, "\tthe document: want {}, got []"},
		{`oops`, `{}`, "\tgot oops\n\twant {}"},
		{`[` + strings.Repeat("1,", 29) + `1]`, `[` + strings.Repeat("2,", 29) + `2]`, "\tand 10 more"},
	} {
		if diff := diffJSON([]byte(c.got), []byte(c.want)); diff != c.diff && (!strings.HasPrefix(c.diff, "\tand") || !strings.HasSuffix(diff, c.diff)) {
			t.Errorf("%s, wanted %s: got\n%s\nwant\n%s", c.got, c.want, diff, c.diff)
		}
	}
}
