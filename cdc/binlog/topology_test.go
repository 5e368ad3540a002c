package binlog

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/cdc"
)

// TestAddrs: every wrong address is named, and each server verifies its own name.
func TestAddrs(t *testing.T) {
	_, err := New(Config{Addr: "a:1", Addrs: []string{"b", "a:1", "c:1", "c:1"}, User: "cdc"})
	for _, text := range []string{`Addrs "b": want host:port`, `Addrs "a:1": it is given twice`, `Addrs "c:1": it is given twice`} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not say %q", err, text)
		}
	}
	s, err := New(Config{Addr: "a:1", Addrs: []string{"b:1"}, User: "cdc", TLS: &tls.Config{MinVersion: tls.VersionTLS13}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"a", "b"} {
		server := s.Servers()[i]
		if one := server.Source.(*Source); server.Name != want+":1" || one.cfg.Addr != want+":1" || one.cfg.TLS.ServerName != want || one.ConfigID() != s.ConfigID() {
			t.Errorf("server %d is %s, verified as %s", i, server.Name, one.cfg.TLS.ServerName)
		}
	}
}

// TestNoServer: when no server can be reached, one error says why of each.
func TestNoServer(t *testing.T) {
	var addrs []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, l.Addr().String())
		l.Close()
	}
	s, err := New(Config{Addr: addrs[0], Addrs: addrs[1:], User: "cdc"})
	if err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]func(context.Context) error{
		"check":    s.Check,
		"executed": func(ctx context.Context) error { _, err := s.Executed(ctx); return err },
		"oldest":   func(ctx context.Context) error { _, err := s.Oldest(ctx); return err },
		"open":     func(ctx context.Context) error { _, err := s.Open(ctx, cdc.Position{}); return err },
		"horizon":  func(ctx context.Context) error { _, err := s.Horizon(ctx, cdc.Position{}); return err },
	} {
		err := ask(t.Context())
		all, ok := errors.AsType[*cdc.ServersError](err)
		if !ok || len(all.Reasons) != 2 || !errors.Is(err, cdc.ErrUnavailable) || !strings.Contains(err.Error(), addrs[0]) || !strings.Contains(err.Error(), addrs[1]) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestSameTopology: addresses of two flavors or of two histories are refused; a server that has executed nothing may be a replica to be.
func TestSameTopology(t *testing.T) {
	const a, b = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5", "4e11fa47-71ca-11e1-9e33-c80aa9429562:1-5"
	for _, tt := range []struct {
		one, two cdc.Position
		text     string
	}{
		{cdc.Position{Flavor: MySQL, GTIDs: a}, cdc.Position{Flavor: MySQL, GTIDs: a + "," + b}, ""},
		{cdc.Position{Flavor: MySQL, GTIDs: a}, cdc.Position{Flavor: MySQL}, ""},
		{cdc.Position{Flavor: MySQL, GTIDs: a}, cdc.Position{Flavor: MySQL, GTIDs: b}, "no server has written to both"},
		{cdc.Position{Flavor: MySQL, GTIDs: a}, cdc.Position{Flavor: MariaDB, GTIDs: "0-1-5"}, "of one topology"},
		{cdc.Position{Flavor: MariaDB, GTIDs: "0-1-5"}, cdc.Position{Flavor: MariaDB, GTIDs: "0-1-3,0-2-4"}, ""},
		{cdc.Position{Flavor: MariaDB, GTIDs: "0-1-5"}, cdc.Position{Flavor: MariaDB, GTIDs: "7-1-5"}, "no server has written to both"},
	} {
		err := sameTopology("one", tt.one, "two", tt.two)
		if tt.text == "" && err != nil || tt.text != "" && (err == nil || !strings.Contains(err.Error(), tt.text)) {
			t.Errorf("%v and %v: got %v, want %q", tt.one, tt.two, err, tt.text)
		}
	}
}
