package elastic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/millrace-go/millrace/internal/safeguard"
	"github.com/millrace-go/millrace/projector"
)

// lineBytes is a bound on what surrounds id and body in an operation: {"index":{"_id":"…","version":…,"version_type":"external"}}.
const lineBytes = 96

// appendIndex appends the bulk operation that stores a body, which must be one line, under an id and version.
func appendIndex(dst []byte, id string, version projector.Version, versionType string, body []byte) []byte {
	dst = append(dst, `{"index":{"_id":`...)
	dst = appendQuoted(dst, id)
	if safeguard.NewerWins {
		dst = append(dst, `,"version":`...)
		dst = strconv.AppendUint(dst, uint64(version), 10)
		dst = append(dst, `,"version_type":"`...)
		dst = append(dst, versionType...)
		dst = append(dst, '"')
	}
	dst = append(dst, "}}\n"...)
	dst = append(dst, body...)
	return append(dst, '\n')
}

// appendDelete appends the bulk operation that removes a document, unless it has a newer version.
func appendDelete(dst []byte, id string, version projector.Version) []byte {
	dst = append(dst, `{"delete":{"_id":`...)
	dst = appendQuoted(dst, id)
	dst = append(dst, `,"version":`...)
	dst = strconv.AppendUint(dst, uint64(version), 10)
	return append(dst, ",\"version_type\":\"external_gte\"}}\n"...)
}

// appendQuoted appends s, which must be valid UTF-8, as a JSON string.
func appendQuoted(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

const tombstonePrefix = `{"` + goneField + `":`

// tombstone is the body of a deleted document.
func tombstone(now time.Time) []byte {
	return append(strconv.AppendInt([]byte(tombstonePrefix), now.UnixMilli(), 10), '}')
}

// isTombstone tells a tombstone by its first bytes, which no user's document has: encodeBody refuses the field.
func isTombstone(source []byte) bool { return bytes.HasPrefix(source, []byte(tombstonePrefix)) }

// encodeBody returns a user's document as one line, or why it cannot be stored. The text of the document stays out of the error.
func encodeBody(body []byte) ([]byte, error) {
	if !json.Valid(body) {
		return nil, errors.New("the body is not valid JSON")
	}
	if !utf8.Valid(body) {
		return nil, errors.New("the body is not valid UTF-8")
	}
	if bytes.TrimLeft(body, " \t\r\n")[0] != '{' {
		return nil, errors.New("the body is not a JSON object")
	}
	if bytes.IndexByte(body, '\n') >= 0 {
		var b bytes.Buffer
		if err := json.Compact(&b, body); err != nil {
			return nil, errors.New("the body is not valid JSON")
		}
		body = b.Bytes()
	}
	if hasGone(body) {
		return nil, fmt.Errorf("the body has the field %s, which is reserved", goneField)
	}
	return body, nil
}

// hasGone says whether a valid JSON object has the reserved field at its top, however that is written: "_gone", "\u005fgone", or as
// the path "_gone.x".
func hasGone(body []byte) bool {
	if !bytes.Contains(body, []byte(goneField)) && !bytes.Contains(body, []byte(`\u`)) {
		return false // almost always
	}
	var top map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil {
		return true // cannot be: the body is valid
	}
	for name := range top {
		if name == goneField || len(name) > len(goneField) && name[:len(goneField)+1] == goneField+"." {
			return true
		}
	}
	return false
}

// bulkReply is the reply to a bulk request: one item an operation, in their order.
type bulkReply struct {
	Items []struct {
		Index  *bulkItem `json:"index"`
		Delete *bulkItem `json:"delete"`
	} `json:"items"`
}

// bulkReplyFields leaves out what nothing reads, most of the reply.
var bulkReplyFields = []string{"items.*._id", "items.*.status", "items.*.error.type", "items.*.error.reason"}

type bulkItem struct {
	ID     string `json:"_id"`
	Status int    `json:"status"`
	Error  *struct {
		Type   string `json:"type"`
		Reason string `json:"reason"`
	} `json:"error"`
}

// items returns the items of the reply to operations on ids. A reply that does not answer exactly those is an error that wraps
// projector.ErrUnavailable: nothing is known of any operation.
func (r *bulkReply) items(ids func(int) string, n int) ([]bulkItem, error) {
	if len(r.Items) != n {
		return nil, fmt.Errorf("elastic: bulk: the reply has %d items for %d operations: %w", len(r.Items), n, projector.ErrUnavailable)
	}
	items := make([]bulkItem, n)
	for i, it := range r.Items {
		switch {
		case it.Index != nil:
			items[i] = *it.Index
		case it.Delete != nil:
			items[i] = *it.Delete
		}
		if items[i].Status == 0 || items[i].ID != ids(i) {
			return nil, fmt.Errorf("elastic: bulk: item %d of the reply answers another operation: %w", i, projector.ErrUnavailable)
		}
	}
	return items, nil
}
