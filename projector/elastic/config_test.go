package elastic

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
)

func TestNewReportsEverything(t *testing.T) {
	_, err := New(Config{
		Addresses: []string{"http://ok:9200", "ftp://x", "http://user:hunter2%zz@host"}, Username: "u", APIKey: "k", TLS: &tls.Config{},
		Transport: http.DefaultTransport, BulkBytes: -1, Timeout: -1, ProgressIndex: "UPPER",
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"Addresses[1]", "Addresses[2]", "APIKey", "TLS", "BulkBytes", "Timeout", "ProgressIndex"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing in: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error holds the password: %v", err)
	}
	if _, err := New(Config{Password: "hunter2"}); err == nil || !strings.Contains(err.Error(), "Addresses is empty") || !strings.Contains(err.Error(), "without Username") {
		t.Errorf("got %v", err)
	}
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"home": true, "home-page_1": true, "é": true,
		"": false, "Home": false, "a b": false, "a*": false, "a,b": false, "a#": false, "a:b": false, `a\`: false, "a\n": false, "a\xff": false,
		"-a": false, "_a": false, "+a": false, ".a": false, "home__g7": false, "home__g7_write": false, strings.Repeat("x", 221): false,
	} {
		if _, err := newStore(Index(name), 7); (err == nil) != ok {
			t.Errorf("%q: got error %v, want valid %v", name, err, ok)
		}
	}
	for index, want := range map[string]uint64{"home__g0": 0, "home__g12": 12} {
		if got, ok := generationOf("home", index); !ok || got != want {
			t.Errorf("generationOf(%q) = %d, %v", index, got, ok)
		}
	}
	for _, index := range []string{"home", "home__g", "home__g7_write", "homes__g7", "home__g-1"} {
		if got, ok := generationOf("home", index); ok {
			t.Errorf("generationOf(%q) = %d", index, got)
		}
	}
}
