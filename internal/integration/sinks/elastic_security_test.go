package sinks

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/elastic"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// The accounts of the secured server, all with the password hunter2. full has the privileges in the package comment of elastic, on
// the indexes of this run, and no others.
const (
	roles = `
full:
  cluster: [monitor]
  indices: [{names: ["%[1]s*"], privileges: [create_index, manage, index, delete, read, view_index_metadata]}]
lacking:
  cluster: [monitor]
  indices: [{names: ["%[1]s*"], privileges: [create_index, index, read, view_index_metadata]}]
reader:
  cluster: [monitor]
  indices: [{names: ["%[1]s*"], privileges: [read, view_index_metadata]}]
anyone:
  cluster: [monitor]
`
	hunter2 = "$2a$04$xrD0Gg.vxJzVjsbmgfqKvuweQvt/bnxePyri0.vfiXLMkPr81NCFm" // bcrypt
)

// securedElastic starts a server that asks for passwords.
func securedElastic(t *testing.T) *servers.Server {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "config")
	users, usersRoles := "", ""
	for _, name := range []string{"full", "lacking", "reader", "superuser"} {
		users += name + ":" + hunter2 + "\n"
		usersRoles += name + ":" + name + "\n"
	}
	if err := errors.Join(
		os.Chmod(filepath.Dir(dir), 0o755), // the server runs as another user than root
		os.Chmod(dir, 0o755),
		os.Mkdir(config, 0o755),
		os.WriteFile(filepath.Join(config, "roles.yml"), fmt.Appendf(nil, roles, nameRun), 0o644),
		os.WriteFile(filepath.Join(config, "users"), []byte(users), 0o644),
		os.WriteFile(filepath.Join(config, "users_roles"), []byte(usersRoles), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	server, err := servers.Start(t.Context(), servers.Elasticsearch, servers.Options{Dir: dir, Logf: t.Logf, Args: []string{
		"xpack.security.enabled: true", "xpack.security.authc.anonymous.roles: anyone",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// TestElasticPrivileges runs the suite as an account with just the privileges that it needs, on a server that checks them, through TLS and
// with compressed requests, and shows what other accounts are told.
func TestElasticPrivileges(t *testing.T) {
	server := securedElastic(t).Address().Value
	url := strings.Replace(server, "//", "//superuser:hunter2@", 1) // for the tests' own client
	as := func(name, password string) func(*elastic.Config) {
		return func(cfg *elastic.Config) {
			cfg.Addresses, cfg.Username, cfg.Password = []string{server}, name, password
		}
	}
	t.Run("suite", func(t *testing.T) {
		proxy, trusted, compressed := tlsProxy(t, server, func(*http.Request) bool { return true })
		projectortest.TestSink(t, func(t *testing.T) projectortest.Harness {
			return newElasticAt(t, url, as("full", "hunter2"), func(cfg *elastic.Config) {
				cfg.Addresses, cfg.TLS, cfg.Compress, cfg.BulkBytes = []string{proxy.URL}, trusted, true, 100_000
			}).harness()
		})
		if compressed.Load() == 0 {
			t.Error("nothing was compressed")
		}
	})
	t.Run("lacking", func(t *testing.T) {
		e := newElasticAt(t, url, as("lacking", "hunter2"))
		wantError(t, e.sink.Check(t.Context()), false, "account lacking lacks", "index privilege manage on "+e.progress, "index privilege delete on")
		target := e.target(t)
		wantError(t, e.sink.Prepare(t.Context(), target, 1), false, "index privilege manage on "+target.Name)
	})
	t.Run("writes", func(t *testing.T) {
		full := newElasticAt(t, url, as("full", "hunter2"))
		target := full.target(t)
		if err := full.sink.Prepare(t.Context(), target, 1); err != nil {
			t.Fatal(err)
		}
		w := projector.Write{ID: "a", Version: 1, Body: []byte(`{"n":1}`)}
		for name, c := range map[string]struct {
			as   func(*elastic.Config)
			want []string
		}{
			"reader":         {as("reader", "hunter2"), []string{"403", "lacks a privilege"}},
			"wrong password": {as("full", "hunter3"), []string{"401", "password"}},
			"unknown":        {as("nobody", "hunter3"), []string{"401", "password"}},
		} {
			_, err := write(t, newElasticAt(t, url, c.as).sink, target, w)
			wantError(t, err, false, c.want...)
			if strings.Contains(err.Error(), "hunter") {
				t.Errorf("%s: the error holds the password: %v", name, err)
			}
		}
		wantOutcome(t, full.sink, target, w, projector.Applied)
	})
}
