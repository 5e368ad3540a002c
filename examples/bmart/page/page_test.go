package page_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/millrace-go/millrace/examples/bmart/page"
)

func newPage(t *testing.T, document func(uint64) string) *httptest.Server {
	t.Helper()
	h, err := page.Handler(page.Config{
		Document: func(_ context.Context, id uint64) ([]byte, bool, error) {
			text := document(id)
			return []byte(text), text != "", nil
		},
		Status:  func() page.Status { return page.Status{Stages: []page.Stage{{Name: "database", Figure: "7 rows/s"}}} },
		Catalog: func(context.Context) uint64 { return 5 },
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestShell(t *testing.T) {
	server := newPage(t, func(uint64) string { return "" })
	resp, body := get(t, server.URL+"/")
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, `data-catalog="5"`) {
		t.Errorf("status %s, body %.200q", resp.Status, body)
	}
	if policy := resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	for _, file := range []string{"/static/page.css", "/static/page.js"} {
		if resp, _ := get(t, server.URL+file); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", file, resp.Status)
		}
	}
}

// Whatever a visitor sends, none of it comes back.
func TestInputIsANumber(t *testing.T) {
	server := newPage(t, func(uint64) string { return "" })
	for _, path := range []string{"/", "/events"} {
		for _, input := range []string{"<script>alert(1)</script>", "-1", "1;2", "{{.}}", "99999999999999999999"} {
			resp, body := get(t, server.URL+path+"?catalog="+input)
			if resp.StatusCode != http.StatusBadRequest || strings.Contains(body, input) {
				t.Errorf("%s %q: %s %q", path, input, resp.Status, body)
			}
		}
	}
}

// A visitor gets the document, then its change, then that it is hidden.
func TestEvents(t *testing.T) {
	var document atomic.Value
	document.Store(`{"id":9,"title":"<b>one</b>"}`)
	server := newPage(t, func(id uint64) string {
		if id != 9 {
			return ""
		}
		return document.Load().(string)
	})
	resp, err := http.Get(server.URL + "/events?catalog=9")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	next := func(event string) string {
		for lines.Scan() {
			if lines.Text() == "event: "+event {
				lines.Scan()
				return strings.TrimPrefix(lines.Text(), "data: ")
			}
		}
		t.Fatalf("the stream ended before event %s", event)
		return ""
	}
	if got := next("tree"); got != `{"catalog":9,"document":{"id":9,"title":"\u003cb\u003eone\u003c/b\u003e"}}` {
		t.Errorf("first tree %s", got)
	}
	if got := next("status"); !strings.Contains(got, `"7 rows/s"`) {
		t.Errorf("status %s", got)
	}
	document.Store(`{"id":9,"title":"two"}`)
	if got := next("tree"); got != `{"catalog":9,"document":{"id":9,"title":"two"}}` {
		t.Errorf("second tree %s", got)
	}
	document.Store("")
	if got := next("tree"); got != `{"catalog":9,"document":null}` {
		t.Errorf("third tree %s", got)
	}
}
