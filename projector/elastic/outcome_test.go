package elastic

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/projector"
)

// The items are as Elasticsearch 8.19 sends them.
func TestOutcome(t *testing.T) {
	st, err := newStore(Index("home"), 7)
	if err != nil {
		t.Fatal(err)
	}
	const version = 100
	for name, c := range map[string]struct {
		item   string
		want   projector.Outcome // 0: an error of the call
		stored projector.Version
		text   string // part of the error
	}{
		"created":  {item: `{"status":201,"result":"created"}`, want: projector.Applied, stored: 100},
		"updated":  {item: `{"status":200,"result":"updated"}`, want: projector.Applied, stored: 100},
		"repeated": {item: conflictItem("[1]: version conflict, current version [100] is higher or equal to the one provided [100]"), want: projector.Applied, stored: 100},
		"stale":    {item: conflictItem("[1]: version conflict, current version [101] is higher or equal to the one provided [100]"), want: projector.Stale, stored: 101},
		"rejected": {
			item: `{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"rejected execution of secret"}}`,
			want: projector.Retry, text: "es_rejected_execution_exception",
		},
		"no shard":    {item: `{"status":503,"error":{"type":"unavailable_shards_exception","reason":"secret"}}`, want: projector.Retry, text: "503"},
		"disk flood":  {item: `{"status":429,"error":{"type":"cluster_block_exception","reason":"blocked"}}`, want: projector.Retry},
		"write block": {item: `{"status":403,"error":{"type":"cluster_block_exception","reason":"blocked by: [FORBIDDEN/8/index write (api)]"}}`, want: projector.Retry},
		"closed":      {item: `{"status":400,"error":{"type":"index_closed_exception","reason":"closed"}}`, want: projector.Retry},
		"deleted index": {
			item: `{"status":404,"error":{"type":"index_not_found_exception","reason":"no such index [home__g7_write] and [require_alias] request flag is [true]"}}`,
			text: "home__g7 was not prepared",
		},
		"two indexes":  {item: `{"status":400,"error":{"type":"illegal_argument_exception","reason":"no write index is defined for alias [home__g7_write]."}}`, text: "no write index"},
		"no privilege": {item: `{"status":403,"error":{"type":"security_exception","reason":"action [indices:data/write/bulk] is unauthorized"}}`, text: "lacks a privilege"},
		"mapping": {
			item: `{"status":400,"error":{"type":"document_parsing_exception","reason":"[1:6] failed to parse field [n] of type [long] in document with id 'x'. Preview of field's value: 'secret'","caused_by":{"type":"illegal_argument_exception","reason":"For input string: \"secret\""}}}`,
			want: projector.Refused, text: "document_parsing_exception: failed to parse field [n] of type [long]",
		},
		"strict": {
			item: `{"status":400,"error":{"type":"strict_dynamic_mapping_exception","reason":"[1:2] mapping set to strict, dynamic introduction of [x] within [_doc] is not allowed"}}`,
			want: projector.Refused, text: "dynamic introduction of [x]",
		},
		"unknown":  {item: `{"status":400,"error":{"type":"some_exception","reason":"secret"}}`, want: projector.Refused, text: "status 400: some_exception"},
		"no error": {item: `{"status":400}`, want: projector.Refused, text: "status 400"},
	} {
		var it bulkItem
		if err := json.Unmarshal([]byte(c.item), &it); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r, err := outcome(st, projector.Write{ID: "1", Version: version}, it)
		if r.Outcome != c.want || r.Stored != c.stored || (err != nil) != (c.want == 0) {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
		err = errors.Join(err, r.Err)
		if c.text != "" && (err == nil || !strings.Contains(err.Error(), c.text)) {
			t.Errorf("%s: got %v, want %q in it", name, err, c.text)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error holds the server's text: %v", name, err)
		}
		if errors.Is(err, projector.ErrUnavailable) != (c.want == projector.Retry) {
			t.Errorf("%s: unavailable: %v", name, err)
		}
	}
}

func conflictItem(reason string) string {
	text, err := json.Marshal(reason)
	if err != nil {
		return err.Error()
	}
	return `{"status":409,"error":{"type":"version_conflict_engine_exception","reason":` + string(text) + `}}`
}

func TestConflictVersion(t *testing.T) {
	const end = "version conflict, current version [7] is higher or equal to the one provided [5]"
	if v, ok := conflictVersion("[x]: "+end, 5); !ok || v != 7 {
		t.Errorf("got %d, %v", v, ok)
	}
	// An id may say anything; what counts is the end, and the version that was sent.
	if v, ok := conflictVersion("["+end+"]: "+strings.ReplaceAll(end, "[7]", "[9]"), 5); !ok || v != 9 {
		t.Errorf("an id like a reason: got %d, %v", v, ok)
	}
	for _, reason := range []string{
		"", "[x]: " + end + " ", "[x]: " + end + "]", strings.ReplaceAll(end, "[5]", "[6]"), strings.ReplaceAll(end, "[7]", "[4]"), strings.ReplaceAll(end, "[7]", "[-1]"),
		strings.ReplaceAll(end, "[7]", "[99999999999999999999]"), "[x]: version conflict, document already exists (current version [7])",
	} {
		if v, ok := conflictVersion(reason, 5); ok {
			t.Errorf("%q: got %d, want none", reason, v)
		}
	}
}
