package main

import (
	"bytes"
	"strings"
	"testing"
)

func run(t *testing.T, lines ...string) (string, bool) {
	t.Helper()
	var out bytes.Buffer
	r := newReport()
	if err := r.read(strings.NewReader(strings.Join(lines, "\n")), &out); err != nil {
		t.Fatal(err)
	}
	r.print(&out)
	return out.String(), r.ok()
}

func TestMatrix(t *testing.T) {
	out, ok := run(t,
		`{"Action":"run","Package":"p/a","Test":"TestLog"}`,
		`{"Action":"run","Package":"p/a","Test":"TestLog/kafka"}`,
		`{"Action":"attr","Package":"p/a","Test":"TestLog/kafka","Key":"server","Value":"kafka"}`,
		`{"Action":"run","Package":"p/a","Test":"TestLog/kafka/one"}`,
		`{"Action":"pass","Package":"p/a","Test":"TestLog/kafka/one"}`,
		`{"Action":"run","Package":"p/a","Test":"TestLog/kafka/two"}`,
		`{"Action":"pass","Package":"p/a","Test":"TestLog/kafka/two"}`,
		`{"Action":"pass","Package":"p/a","Test":"TestLog/kafka"}`,
		`{"Action":"pass","Package":"p/a","Test":"TestLog"}`,
		`{"Action":"run","Package":"p/a","Test":"TestPure"}`,
		`{"Action":"pass","Package":"p/a","Test":"TestPure"}`,
		`{"Action":"pass","Package":"p/a"}`)
	if !ok || !strings.Contains(out, "kafka  none") || !strings.Contains(out, "    2     1") || !strings.HasSuffix(out, "3 passed, 0 failed, 0 skipped\n") {
		t.Errorf("ok %v:\n%s", ok, out)
	}
}

func TestMatrixRefuses(t *testing.T) {
	for name, lines := range map[string][]string{
		"nothing ran":   {`{"Action":"pass","Package":"p"}`},
		"a skip":        {`{"Action":"run","Package":"p","Test":"A"}`, `{"Action":"pass","Package":"p","Test":"A"}`, `{"Action":"skip","Package":"p","Test":"B"}`},
		"a failure":     {`{"Action":"pass","Package":"p","Test":"A"}`, `{"Action":"fail","Package":"p","Test":"B"}`},
		"a build error": {`{"Action":"pass","Package":"p","Test":"A"}`, `{"Action":"fail","Package":"q"}`},
	} {
		if out, ok := run(t, lines...); ok {
			t.Errorf("%s is ok:\n%s", name, out)
		}
	}
}

// TestMatrixTellsUnfinished: what a test that never ended has said, its panic above all, is shown.
func TestMatrixTellsUnfinished(t *testing.T) {
	out, ok := run(t, `{"Action":"run","Package":"p","Test":"A"}`, `{"Action":"output","Package":"p","Test":"A","Output":"panic: timed out\n"}`,
		`{"Action":"fail","Package":"p"}`)
	if ok || !strings.Contains(out, "unfinished: A\npanic: timed out\n") {
		t.Errorf("ok %v:\n%s", ok, out)
	}
}
