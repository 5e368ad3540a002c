package elastic

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/millrace-go/millrace/projector"
)

func TestEncodeBody(t *testing.T) {
	for body, want := range map[string]string{
		`{}`:                      `{}`,
		`{"a": 1.50, "b":"<é>" }`: `{"a": 1.50, "b":"<é>" }`, // as it is
		"{\n \"a\": [1,\r\n 2]}":  `{"a":[1,2]}`,             // one line
		`{"a":"\n"}`:              `{"a":"\n"}`,
		`{"x":{"_gone":1}}`:       `{"x":{"_gone":1}}`, // only reserved at the top
		`{"a":"_gone"}`:           `{"a":"_gone"}`,
		`{"_gone_":1}`:            `{"_gone_":1}`,
		`{"_GONE":1}`:             `{"_GONE":1}`,
	} {
		got, err := encodeBody([]byte(body))
		if err != nil || string(got) != want {
			t.Errorf("%q: got %q, %v; want %q", body, got, err, want)
		}
	}
	for _, body := range []string{
		``, ` `, `nul`, `{"a":`, `["secret"]`, `"secret"`, `{}{}`, "{\"a\":\"secret\xff\"}", `{"_gone":1}`, `{"\u005fgone":"secret"}`,
		`{"a":1,"_gone":null}`, `{"_gone.x":1}`, "{\n\"_gone\":1}",
	} {
		got, err := encodeBody([]byte(body))
		if err == nil {
			t.Errorf("%q: got %q, want an error", body, got)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error holds document text: %v", body, err)
		}
	}
}

func TestTombstone(t *testing.T) {
	body := tombstone(time.UnixMilli(1234))
	if string(body) != `{"_gone":1234}` || !isTombstone(body) {
		t.Errorf("got %s", body)
	}
	if isTombstone([]byte(`{"_gon":1}`)) || isTombstone(nil) {
		t.Error("a document is taken for a tombstone")
	}
}

// FuzzOperation: whatever id and body are, an operation is two lines, which say exactly them.
func FuzzOperation(f *testing.F) {
	f.Add("1", []byte(`{"a":1}`))
	f.Add("\"}\n{\"delete\":{}}\n\\", []byte("{\n\"_gon\\u0065\":\r\n[]}"))
	f.Add("\x00\u2028\u00e9😀\x7f", []byte(`{"_gone":{}}`))
	f.Fuzz(func(t *testing.T, id string, body []byte) {
		line, err := encodeBody(body)
		if err != nil || projector.CheckID(id) != nil {
			return
		}
		var top map[string]json.RawMessage
		if err := json.Unmarshal(body, &top); err != nil || !utf8.Valid(body) {
			t.Fatalf("%q was accepted: %v", body, err)
		}
		if _, ok := top[goneField]; ok || isTombstone(line) {
			t.Fatalf("%q was accepted with the reserved field", body)
		}
		op := appendIndex(nil, id, 1<<52, "external", line)
		if n := len(op) - len(line); n > lineBytes+6*len(id) {
			t.Fatalf("id %q: the operation takes %d bytes beside the body", id, n)
		}
		lines := bytes.Split(op, []byte("\n"))
		if len(lines) != 3 || len(lines[2]) != 0 {
			t.Fatalf("%q: %d lines", op, len(lines)-1)
		}
		var action struct {
			Index struct {
				ID      string `json:"_id"`
				Version uint64 `json:"version"`
				Type    string `json:"version_type"`
			} `json:"index"`
		}
		d := json.NewDecoder(bytes.NewReader(lines[0]))
		d.DisallowUnknownFields()
		if err := d.Decode(&action); err != nil {
			t.Fatalf("%q: %v", lines[0], err)
		}
		if a := action.Index; a.ID != id || a.Version != 1<<52 || a.Type != "external" {
			t.Fatalf("%q says %+v", lines[0], a)
		}
		var want, got bytes.Buffer
		if json.Compact(&want, body) != nil || json.Compact(&got, lines[1]) != nil || !bytes.Equal(want.Bytes(), got.Bytes()) {
			t.Fatalf("%q became %q", body, lines[1])
		}
	})
}

func TestBulkItems(t *testing.T) {
	ids := func(i int) string { return []string{"a", "b"}[i] }
	parse := func(text string) ([]bulkItem, error) {
		var r bulkReply
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		return r.items(ids, 2)
	}
	items, err := parse(`{"items":[{"index":{"_id":"a","status":201}},{"delete":{"_id":"b","status":404}}]}`)
	if err != nil || items[0].Status != 201 || items[1].Status != 404 {
		t.Fatalf("got %v, %v", items, err)
	}
	for name, text := range map[string]string{
		"none":       `{"items":[]}`,
		"no field":   `{}`,
		"fewer":      `{"items":[{"index":{"_id":"a","status":201}}]}`,
		"more":       `{"items":[{"index":{"_id":"a","status":201}},{"index":{"_id":"b","status":201}},{"index":{"_id":"c","status":201}}]}`,
		"swapped":    `{"items":[{"index":{"_id":"b","status":201}},{"index":{"_id":"a","status":201}}]}`,
		"no status":  `{"items":[{"index":{"_id":"a","status":201}},{"index":{"_id":"b"}}]}`,
		"other kind": `{"items":[{"index":{"_id":"a","status":201}},{"update":{"_id":"b","status":200}}]}`,
	} {
		if _, err := parse(text); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
