package sinks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/elastic"
)

// A faultyTransport stands between the sink and the real server. While it is armed, the fault gets the bulk requests, with a way to send
// one on.
type faultyTransport struct {
	fault func(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error)
	armed atomic.Int32 // how many bulk requests are still to meet the fault
}

func (f *faultyTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, "/_bulk") && f.armed.Add(-1) >= 0 {
		return f.fault(req, http.DefaultTransport.RoundTrip)
	}
	return http.DefaultTransport.RoundTrip(req)
}

// reply makes a response.
func reply(req *http.Request, status int, body string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}, "X-Elastic-Product": {"Elasticsearch"}}
	return &http.Response{StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, Request: req, Body: io.NopCloser(strings.NewReader(body))}
}

// replaceBody changes the lines that are sent.
func replaceBody(req *http.Request, change func(lines []string) []string) error {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	text := strings.Join(change(strings.SplitAfter(string(body), "\n")), "")
	req.Body, req.ContentLength, req.GetBody = io.NopCloser(strings.NewReader(text)), int64(len(text)), nil
	return nil
}

// changeItems changes the items of a reply.
func changeItems(res *http.Response, err error, change func(items []json.RawMessage) []json.RawMessage) (*http.Response, error) {
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var r struct {
		Errors bool              `json:"errors"`
		Items  []json.RawMessage `json:"items"`
	}
	if err := json.NewDecoder(res.Body).Decode(&r); err != nil {
		return nil, err
	}
	r.Items = change(r.Items)
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return reply(res.Request, http.StatusOK, string(text)), nil
}

type (
	sendFunc  = func(*http.Request) (*http.Response, error)
	faultFunc = func(req *http.Request, send sendFunc) (*http.Response, error)
)

// status answers in the server's place.
func status(code int, body string) faultFunc {
	return func(req *http.Request, _ sendFunc) (*http.Response, error) {
		_, err := io.Copy(io.Discard, req.Body)
		return reply(req, code, body), err
	}
}

// itemFails keeps the second operation from the server, and answers it so.
func itemFails(item string) faultFunc {
	return func(req *http.Request, send sendFunc) (*http.Response, error) {
		if err := replaceBody(req, func(lines []string) []string { return append(lines[:2:2], lines[4:]...) }); err != nil {
			return nil, err
		}
		res, err := send(req)
		return changeItems(res, err, func(items []json.RawMessage) []json.RawMessage {
			return append([]json.RawMessage{items[0], json.RawMessage(item)}, items[1:]...)
		})
	}
}

// after lets the server do the request, and spoils the reply.
func after(spoil func(body []byte) (*http.Response, error)) faultFunc {
	return func(req *http.Request, send sendFunc) (*http.Response, error) {
		res, err := send(req)
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, err
		}
		return spoil(body)
	}
}

var errLost = errors.New("connection reset by peer")

// cutReader ends a body in the middle.
type cutReader struct{ io.Reader }

func (c cutReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (c cutReader) Close() error { return nil }

// TestElasticFaults puts one fault between sink and server at a time. Whatever the sink says of the writes, repeating them all
// ends with every document in its place.
func TestElasticFaults(t *testing.T) {
	const unavailable = projector.Outcome(0) // of the whole call
	items := func(change func([]json.RawMessage) []json.RawMessage) faultFunc {
		return func(req *http.Request, send sendFunc) (*http.Response, error) {
			res, err := send(req)
			return changeItems(res, err, change)
		}
	}
	for name, c := range map[string]struct {
		fault faultFunc
		want  projector.Outcome // of the second write
	}{
		"status 408":        {status(408, `{}`), unavailable},
		"status 429":        {status(429, `{"error":{"type":"circuit_breaking_exception","reason":"data too large"},"status":429}`), unavailable},
		"status 500":        {status(500, `oops`), unavailable},
		"status 502":        {status(502, `<html>bad gateway</html>`), unavailable},
		"status 503":        {status(503, `{"error":{"type":"master_not_discovered_exception"},"status":503}`), unavailable},
		"status 504":        {status(504, ``), unavailable},
		"a page instead":    {status(200, `<html>please log in</html>`), unavailable},
		"an empty reply":    {status(200, ``), unavailable},
		"an empty object":   {status(200, `{}`), unavailable},
		"connection lost":   {func(*http.Request, sendFunc) (*http.Response, error) { return nil, errLost }, unavailable},
		"reply lost":        {after(func([]byte) (*http.Response, error) { return nil, errLost }), unavailable},
		"503 after applied": {after(func([]byte) (*http.Response, error) { return reply(nil, 503, ``), nil }), unavailable},
		"reply cut": {after(func(body []byte) (*http.Response, error) {
			res := reply(nil, 200, "")
			res.Body = cutReader{bytes.NewReader(body[:len(body)/2])}
			return res, nil
		}), unavailable},
		"reply shortened": {after(func(body []byte) (*http.Response, error) { return reply(nil, 200, string(body[:len(body)/2])), nil }), unavailable},
		"items missing":   {items(func(i []json.RawMessage) []json.RawMessage { return i[:2] }), unavailable},
		"an item dropped": {items(func(i []json.RawMessage) []json.RawMessage { return append(i[:1:1], i[2:]...) }), unavailable},
		"items empty":     {items(func([]json.RawMessage) []json.RawMessage { return nil }), unavailable},
		"items swapped":   {items(func(i []json.RawMessage) []json.RawMessage { i[0], i[1] = i[1], i[0]; return i }), unavailable},
		"item 429":        {itemFails(`{"index":{"_id":"b","status":429,"error":{"type":"es_rejected_execution_exception","reason":"queue full"}}}`), projector.Retry},
		"item 503":        {itemFails(`{"index":{"_id":"b","status":503,"error":{"type":"unavailable_shards_exception","reason":"primary shard is not active"}}}`), projector.Retry},
		"no answer in time": {func(req *http.Request, _ sendFunc) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}, unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			f := &faultyTransport{fault: c.fault}
			e := newElastic(t, func(cfg *elastic.Config) {
				cfg.Transport = f
				if name == "no answer in time" {
					cfg.Timeout = 2 * time.Second // also bounds what is not disturbed
				}
			})
			target := e.target(t)
			if err := e.sink.Prepare(t.Context(), target, 1); err != nil {
				t.Fatal(err)
			}
			writes := []projector.Write{
				{ID: "a", Version: 5, Body: []byte(`{"n":1}`)}, {ID: "b", Version: 5, Body: []byte(`{"n":2}`)},
				{ID: "c", Version: 5}, {ID: "d", Version: 5, Body: []byte(`{"n":4}`)},
			}
			f.armed.Store(1)
			results := make([]projector.Result, len(writes))
			err := e.sink.Apply(t.Context(), target, 1, writes, results)
			if c.want == unavailable {
				if !errors.Is(err, projector.ErrUnavailable) {
					t.Fatalf("got %v, want one that wraps ErrUnavailable", err)
				}
			} else if err != nil || results[1].Outcome != c.want || !errors.Is(results[1].Err, projector.ErrUnavailable) {
				t.Fatalf("got %+v, %v; want outcome %d", results[1], err, c.want)
			} else {
				for _, i := range []int{0, 2, 3} {
					if results[i].Outcome != projector.Applied {
						t.Errorf("%q beside the failed one: %+v", writes[i].ID, results[i])
					}
				}
			}
			if err := e.sink.Apply(t.Context(), target, 1, writes, results); err != nil {
				t.Fatalf("repeated: %v", err)
			}
			for i, r := range results {
				d, found, err := e.sink.Get(t.Context(), target, 1, writes[i].ID)
				if r.Outcome != projector.Applied || err != nil || !found || d.Version != 5 || !bytes.Equal(d.Body, writes[i].Body) {
					t.Errorf("%q: repeated write: %+v; stored: %+v, %v, %v", writes[i].ID, r, d, found, err)
				}
			}
		})
	}
}

// TestElasticConflictWithoutVersion has conflicts whose reason does not tell the stored version: the sink asks.
func TestElasticConflictWithoutVersion(t *testing.T) {
	f := &faultyTransport{fault: func(req *http.Request, send sendFunc) (*http.Response, error) {
		res, err := send(req)
		return changeItems(res, err, func(items []json.RawMessage) []json.RawMessage {
			for i, it := range items {
				items[i] = bytes.ReplaceAll(it, []byte("current version ["), []byte("present version ["))
			}
			return items
		})
	}}
	e := newElastic(t, func(cfg *elastic.Config) { cfg.Transport = f })
	target := e.target(t)
	if err := e.sink.Prepare(t.Context(), target, 1); err != nil {
		t.Fatal(err)
	}
	write := func(versions ...projector.Version) []projector.Result {
		t.Helper()
		writes, results := make([]projector.Write, len(versions)), make([]projector.Result, len(versions))
		for i, v := range versions {
			writes[i] = projector.Write{ID: fmt.Sprint("doc", i), Version: v, Body: []byte(`{"n":1}`)}
		}
		if err := e.sink.Apply(t.Context(), target, 1, writes, results); err != nil {
			t.Fatal(err)
		}
		return results
	}
	write(5, 5, 5)
	f.armed.Store(1)
	got := write(4, 5, 6)
	want := []projector.Result{{Outcome: projector.Stale, Stored: 5}, {Outcome: projector.Applied, Stored: 5}, {Outcome: projector.Applied, Stored: 6}}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("write %d: got %+v, want %+v", i, got[i], want[i])
		}
	}
}

// TestElasticRequestTooLarge has a proxy that takes small requests only: the sink halves them. A document that is too large by itself
// is refused, alone.
func TestElasticRequestTooLarge(t *testing.T) {
	const limit = 2000
	f := &faultyTransport{fault: func(req *http.Request, send sendFunc) (*http.Response, error) {
		if req.ContentLength > limit {
			return reply(req, http.StatusRequestEntityTooLarge, `<html>too large</html>`), nil
		}
		return send(req)
	}}
	e := newElastic(t, func(cfg *elastic.Config) { cfg.Transport = f })
	target := e.target(t)
	if err := e.sink.Prepare(t.Context(), target, 1); err != nil {
		t.Fatal(err)
	}
	f.armed.Store(1 << 30)
	writes, results := make([]projector.Write, 100), make([]projector.Result, 100)
	for i := range writes {
		writes[i] = projector.Write{ID: fmt.Sprint(i), Version: 1, Body: []byte(`{"text":"` + strings.Repeat("x", i) + `"}`)}
	}
	writes[7].Body = []byte(`{"text":"` + strings.Repeat("y", limit) + `"}`)
	writes[8].Body = nil
	if err := e.sink.Apply(t.Context(), target, 1, writes, results); err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		want := projector.Applied
		if i == 7 {
			want = projector.Refused
		}
		if r.Outcome != want {
			t.Errorf("write %d: %+v, want %d", i, r, want)
		}
		if _, found, err := e.sink.Get(t.Context(), target, 1, writes[i].ID); err != nil || found != (i != 7) {
			t.Errorf("write %d: found %v, %v", i, found, err)
		}
	}
}
