package sinks

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/elastic"
)

// write applies one write of generation 1.
func write(t *testing.T, s projector.Sink, target projector.Target, w projector.Write) (projector.Result, error) {
	t.Helper()
	results := make([]projector.Result, 1)
	err := s.Apply(t.Context(), target, 1, []projector.Write{w}, results)
	return results[0], err
}

func wantOutcome(t *testing.T, s projector.Sink, target projector.Target, w projector.Write, want projector.Outcome) error {
	t.Helper()
	r, err := write(t, s, target, w)
	if err != nil || r.Outcome != want {
		t.Fatalf("write %q at %d: got %+v, %v; want outcome %d", w.ID, w.Version, r, err, want)
	}
	return r.Err
}

// wantError checks that err has all the texts, and whether it says that it may pass.
func wantError(t *testing.T, err error, passes bool, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q is missing in the error: %v", text, err)
		}
	}
	if errors.Is(err, projector.ErrUnavailable) != passes {
		t.Errorf("wraps ErrUnavailable: %v, want %v: %v", !passes, passes, err)
	}
}

// TestElasticBlocked has an index that takes no writes for a while: closed, read-only since the disk ran full, or blocked by hand.
func TestElasticBlocked(t *testing.T) {
	e := newElastic(t)
	target := e.target(t)
	if err := e.sink.Prepare(t.Context(), target, 1); err != nil {
		t.Fatal(err)
	}
	index := "/" + target.Name + "__g1"
	setting := func(value string) func() error {
		return func() error { return e.Call(t.Context(), "PUT", index+"/_settings", value, nil) }
	}
	version := projector.Version(1)
	for name, c := range map[string]struct{ block, release func() error }{
		"closed": {
			func() error { return e.Call(t.Context(), "POST", index+"/_close", "", nil) },
			func() error { return e.Call(t.Context(), "POST", index+"/_open?wait_for_active_shards=1", "", nil) },
		},
		"disk full":   {setting(`{"index.blocks.read_only_allow_delete": true}`), setting(`{"index.blocks.read_only_allow_delete": null}`)},
		"write block": {setting(`{"index.blocks.write": true}`), setting(`{"index.blocks.write": null}`)},
	} {
		t.Run(name, func(t *testing.T) {
			version++
			w := projector.Write{ID: "a", Version: version, Body: []byte(`{"n":1}`)}
			if err := c.block(); err != nil {
				t.Fatal(err)
			}
			err := wantOutcome(t, e.sink, target, w, projector.Retry)
			wantError(t, err, true, `"a"`)
			if err := c.release(); err != nil {
				t.Fatal(err)
			}
			wantOutcome(t, e.sink, target, w, projector.Applied)
		})
	}
}

// TestElasticAliasGone: the write alias is removed, or points at two indexes: an error for good, and nothing is created.
func TestElasticAliasGone(t *testing.T) {
	e := newElastic(t)
	target := e.target(t)
	for generation := range uint64(2) {
		if err := e.sink.Prepare(t.Context(), target, generation+1); err != nil {
			t.Fatal(err)
		}
	}
	alias := func(action, index string) {
		t.Helper()
		body := fmt.Sprintf(`{"actions":[{%q:{"index":%q,"alias":%q}}]}`, action, target.Name+index, target.Name+"__g1_write")
		if err := e.Call(t.Context(), "POST", "/_aliases", body, nil); err != nil {
			t.Fatal(err)
		}
	}
	w := projector.Write{ID: "a", Version: 1, Body: []byte(`{"n":1}`)}

	alias("add", "__g2")
	_, err := write(t, e.sink, target, w)
	wantError(t, err, false, "has no write index", target.Name+"__g1")
	wantError(t, e.sink.Prepare(t.Context(), target, 1), false, "points at other indexes")

	alias("remove", "__g2")
	alias("remove", "__g1")
	_, err = write(t, e.sink, target, w)
	wantError(t, err, false, "not prepared, or was deleted")
	if err := e.Call(t.Context(), "GET", "/"+target.Name+"__g1_write", "", nil); err == nil {
		t.Error("an index was made in the alias's place")
	}
	wantError(t, e.sink.Prepare(t.Context(), target, 1), false, "its alias", "_aliases")
}

// TestElasticPrepareRefuses names every way in which a name is taken or an index is not the target's.
func TestElasticPrepareRefuses(t *testing.T) {
	e := newElastic(t)
	create := func(t *testing.T, index, body string) {
		t.Helper()
		t.Cleanup(func() { e.delete(t, index) })
		if err := e.Call(t.Context(), "PUT", "/"+index, body, nil); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("public name is an index", func(t *testing.T) {
		target := e.target(t)
		create(t, target.Name, `{}`)
		wantError(t, e.sink.Prepare(t.Context(), target, 1), false, "is an index")
	})
	t.Run("public name is another's alias", func(t *testing.T) {
		target := e.target(t)
		create(t, target.Name+"-other", fmt.Sprintf(`{"aliases":{%q:{}}}`, target.Name))
		wantError(t, e.sink.Prepare(t.Context(), target, 1), false, target.Name+"-other")
		wantError(t, e.sink.Publish(t.Context(), target, 1), false, target.Name+"-other")
	})
	t.Run("not Millrace's index", func(t *testing.T) {
		target := e.target(t)
		create(t, target.Name+"__g1", `{}`)
		wantError(t, e.sink.Prepare(t.Context(), target, 1), false, "not created by Millrace")
	})
	t.Run("another mapping", func(t *testing.T) {
		target := e.target(t)
		if err := e.sink.Prepare(t.Context(), target, 1); err != nil {
			t.Fatal(err)
		}
		target.Settings = elastic.Index("x", elastic.Mapping(`{"properties":{"n":{"type":"keyword"}}}`)).Settings
		wantError(t, e.sink.Prepare(t.Context(), target, 1), false, "another mapping", "new generation")
		if err := e.sink.Prepare(t.Context(), target, 2); err != nil {
			t.Error(err)
		}
	})
	t.Run("asynchronous translog", func(t *testing.T) {
		target := e.target(t, elastic.Settings(`{"number_of_replicas": 0, "index.translog.durability": "async"}`))
		wantError(t, e.sink.Prepare(t.Context(), target, 1), false, "translog.durability", "request")
	})
	t.Run("invalid mapping", func(t *testing.T) {
		target := e.target(t, elastic.Mapping(`{"properties":{"n":{"type":"no-such-type"}}}`))
		wantError(t, e.sink.Prepare(t.Context(), target, 1), false, "no-such-type")
	})
}

// TestElasticRefusedWithoutText: what is wrong with a document is named, its text is not.
func TestElasticRefusedWithoutText(t *testing.T) {
	e := newElastic(t)
	settings := elastic.Settings(`{"number_of_shards": 1, "number_of_replicas": 0, "index.mapping.total_fields.limit": 5}`)
	for name, c := range map[string]struct{ mapping, body, want string }{
		"type":         {`{"properties":{"n":{"type":"long"}}}`, `{"n":"secret"}`, "failed to parse field [n] of type [long]"},
		"date":         {`{"properties":{"d":{"type":"date"}}}`, `{"d":"secret"}`, "failed to parse field [d] of type [date]"},
		"object":       {`{"properties":{"o":{"properties":{"x":{"type":"long"}}}}}`, `{"o":"secret"}`, "object mapping for [o]"},
		"strict":       {`{"dynamic":"strict"}`, `{"extra":"secret"}`, "dynamic introduction of [extra]"},
		"many fields":  {`{}`, `{"a":"secret","b":"secret","c":"secret","d":"secret"}`, "Limit of total fields [5]"},
		"metadata":     {`{}`, `{"_id":"secret"}`, "[_id]"},
		"reserved":     {`{}`, `{"_gone":"secret"}`, "_gone"},
		"name twice":   {`{}`, `{"a":"secret","a":2}`, "uplicate"},
		"long keyword": {`{"properties":{"k":{"type":"keyword","ignore_above":100000}}}`, `{"k":"` + strings.Repeat("secret", 10_000) + `"}`, "status 400"},
	} {
		t.Run(name, func(t *testing.T) {
			target := e.target(t, elastic.Mapping(c.mapping), settings)
			if err := e.sink.Prepare(t.Context(), target, 1); err != nil {
				t.Fatal(err)
			}
			err := wantOutcome(t, e.sink, target, projector.Write{ID: "a", Version: 1, Body: []byte(c.body)}, projector.Refused)
			wantError(t, err, false, `"a"`, c.want)
			if strings.Contains(err.Error(), "secret") || len(err.Error()) > 400 {
				t.Errorf("the error holds document text: %v", err)
			}
		})
	}
}

// TestElasticSweepsManyPages sweeps more tombstones than one search finds.
func TestElasticSweepsManyPages(t *testing.T) {
	const tombstones = 2500
	e := newElastic(t)
	target := e.target(t)
	if err := e.sink.Prepare(t.Context(), target, 1); err != nil {
		t.Fatal(err)
	}
	writes := make([]projector.Write, tombstones)
	for i := range writes {
		writes[i] = projector.Write{ID: fmt.Sprint(i), Version: 3}
	}
	if err := e.sink.Apply(t.Context(), target, 1, writes, make([]projector.Result, tombstones)); err != nil {
		t.Fatal(err)
	}
	if n, err := e.sink.Sweep(t.Context(), target, 1, 0); n != tombstones || err != nil {
		t.Errorf("got %d, %v; want %d", n, err, tombstones)
	}
}

// tlsProxy terminates TLS before a server, and answers 401 where allow says no. It counts the requests that came compressed.
func tlsProxy(t *testing.T, server string, allow func(*http.Request) bool) (proxy *httptest.Server, trusted *tls.Config, compressed *atomic.Int64) {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	compressed = new(atomic.Int64)
	forward := httputil.NewSingleHostReverseProxy(u)
	proxy = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allow(r) {
			w.Header().Set("X-Elastic-Product", "Elasticsearch")
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":{"type":"security_exception","reason":"unable to authenticate user [millrace]"},"status":401}`)
			return
		}
		if r.Header.Get("Content-Encoding") == "gzip" {
			compressed.Add(1)
		}
		forward.ServeHTTP(w, r)
	}))
	proxy.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that tests let fail
	proxy.StartTLS()
	t.Cleanup(proxy.Close)
	trusted = &tls.Config{RootCAs: proxy.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	return proxy, trusted, compressed
}

// TestElasticCheck: what is wrong with the server or the account gives one clear error, and the password is in none.
func TestElasticCheck(t *testing.T) {
	direct := newElastic(t)
	proxy, trusted, _ := tlsProxy(t, direct.URL, func(r *http.Request) bool {
		return strings.EqualFold(r.Header.Get("Authorization"), "ApiKey a2V5")
	})
	fake := func(t *testing.T, header, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if header != "" {
				w.Header().Set("X-Elastic-Product", header)
			}
			fmt.Fprint(w, body)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg    elastic.Config
		passes bool
		texts  []string
	}{
		"wrong password": {elastic.Config{Addresses: []string{proxy.URL}, TLS: trusted, Username: "millrace", Password: "hunter2"}, false, []string{"401", "password"}},
		"no password":    {elastic.Config{Addresses: []string{proxy.URL}, TLS: trusted}, false, []string{"401"}},
		"wrong key":      {elastic.Config{Addresses: []string{proxy.URL}, TLS: trusted, APIKey: "hunter2"}, false, []string{"401", "API key"}},
		"unknown CA":     {elastic.Config{Addresses: []string{proxy.URL}, Username: "millrace", Password: "hunter2"}, false, []string{"certificate", "RootCAs"}},
		"wrong name": {
			elastic.Config{Addresses: []string{strings.Replace(proxy.URL, "127.0.0.1", "localhost", 1)}, TLS: trusted, Username: "millrace", Password: "hunter2"},
			false, []string{"ServerName"},
		},
		"unreachable":       {elastic.Config{Addresses: []string{"http://" + closed.Addr().String()}, Username: "u", Password: "hunter2"}, true, []string{closed.Addr().String(), "refused"}},
		"not Elasticsearch": {elastic.Config{Addresses: []string{fake(t, "", `{"nodes":{"a":{"version":"8.1.0"}}}`)}}, false, []string{"not Elasticsearch"}},
		"something else":    {elastic.Config{Addresses: []string{fake(t, "Elasticsearch", `{}`)}}, false, []string{"not Elasticsearch"}},
		"old":               {elastic.Config{Addresses: []string{fake(t, "Elasticsearch", `{"nodes":{"a":{"version":"7.17.0"}}}`)}}, false, []string{"7.17.0", "8.x"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := elastic.New(c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			err = s.Check(t.Context())
			wantError(t, err, c.passes, c.texts...)
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
	s, err := elastic.New(elastic.Config{Addresses: []string{proxy.URL}, TLS: trusted, APIKey: "a2V5"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("with an API key: %v", err)
	}
}

// TestElasticSecondAddress: a node that is down does not keep the sink from the other one for long.
func TestElasticSecondAddress(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	e := newElastic(t, func(cfg *elastic.Config) {
		cfg.Addresses = append([]string{"http://" + closed.Addr().String()}, cfg.Addresses...)
	})
	for attempt := 1; ; attempt++ {
		err := e.sink.Check(t.Context())
		if err == nil {
			return
		}
		wantError(t, err, true)
		if attempt == 10 {
			t.Fatalf("still failing: %v", err)
		}
	}
}
