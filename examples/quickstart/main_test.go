package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql" // the test is the shop's application

	"github.com/millrace-go/millrace/internal/integration/history"
	"github.com/millrace-go/millrace/internal/integration/servers"
)

// start gives the program servers of its own: it uses fixed names, and purges the binlog.
func start(t *testing.T, kind servers.Kind) servers.Address {
	t.Helper()
	server, err := servers.Start(t.Context(), kind, servers.Options{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Attr("server", string(kind))
	return server.Address()
}

func TestQuickstart(t *testing.T) {
	database, broker, search := start(t, servers.MariaDB), start(t, servers.Kafka), start(t, servers.Elasticsearch)
	shop, err := sql.Open("mysql", database.DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	defer shop.Close()
	exec := func(statement string) {
		t.Helper()
		if _, err := shop.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE DATABASE shop")
	exec("CREATE TABLE shop.product (id BIGINT PRIMARY KEY, name VARCHAR(100), price DECIMAL(10,2))")
	exec("INSERT INTO shop.product VALUES (1, 'tea', 3.50), (2, 'milk', 1.20)")
	exec("FLUSH BINARY LOGS") // the first start finds the rows in the table only
	if err := history.Purge(t.Context(), shop); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() {
		stopped <- run(ctx, database.HostPort(), servers.CDCUser, servers.CDCPassword, broker.HostPort(), search.Value)
	}()
	want := func(docs ...string) {
		t.Helper()
		for {
			select {
			case err := <-stopped:
				t.Fatalf("stopped: %v", err)
			default:
			}
			if got := find(t, search.Value); strings.Join(got, " ") == strings.Join(docs, " ") {
				return
			} else if t.Context().Err() != nil {
				t.Fatalf("got %q, want %q", got, docs)
			}
		}
	}
	want(`{"id":1,"name":"tea","price":"3.50"}`, `{"id":2,"name":"milk","price":"1.20"}`)
	exec("UPDATE shop.product SET price = 4 WHERE id = 1")
	exec("DELETE FROM shop.product WHERE id = 2")
	want(`{"id":1,"name":"tea","price":"4.00"}`)
	cancel()
	if err := <-stopped; err != nil {
		t.Fatalf("drain: %v", err)
	}
}

// find asks for all products by id, as a shop page would; none before the index is published.
func find(t *testing.T, search string) []string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, search+"/products/_refresh", nil)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := http.DefaultClient.Do(req); err == nil {
		res.Body.Close()
	}
	req, err = http.NewRequestWithContext(t.Context(), http.MethodGet, search+"/products/_search?sort=id", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNotFound {
		return nil
	}
	var reply struct {
		Hits struct {
			Hits []struct {
				Source json.RawMessage `json:"_source"`
			}
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&reply); err != nil {
		t.Fatal(err)
	}
	var docs []string
	for _, hit := range reply.Hits.Hits {
		docs = append(docs, string(hit.Source))
	}
	return docs
}

// TestReadme: the README's code is this program's, to the letter.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "```go\n")
	code, _, closed := strings.Cut(rest, "```")
	if !found || !closed || strings.Count(code, "\n") < 20 {
		t.Fatal("the README has no Go code")
	}
	if !strings.Contains(string(program), code) {
		t.Errorf("the README's code is not a part of examples/quickstart/main.go:\n%s", code)
	}
}
