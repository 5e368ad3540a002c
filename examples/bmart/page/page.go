// Package page shows in a browser how a catalog's document follows the database: its tree, how fresh documents are, and what is flowing.
//
// The page gets JSON by server-sent events and sets texts with it, never markup; what a visitor sends is read as a number.
package page

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Config says where the page gets what it shows. All functions are required and must be safe for concurrent use.
type Config struct {
	// Document returns the JSON of a catalog's home document, as readers of the sink get it, or found false where there is none.
	Document func(ctx context.Context, catalog uint64) (body []byte, found bool, err error)
	// Status returns what to show of the rest.
	Status func() Status
	// Catalog returns which one to show to visitors who have not chosen one.
	Catalog func(ctx context.Context) uint64
}

// Status is a moment's state of everything but the tree.
type Status struct {
	// Stages are the places a change passes through, from the database to the sink.
	Stages []Stage `json:"stages"`
	// Freshness has the figures of each read model.
	Freshness []Freshness `json:"freshness"`
	// Changes are the last ones of the log, the newest first.
	Changes []Change `json:"changes"`
}

// Stage is one place in the line.
type Stage struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`   // what stands there, e.g. "MariaDB 10.11"
	Figure string `json:"figure"` // e.g. "1,204 rows/s"
	Note   string `json:"note"`
}

// Freshness is how long commits take to become documents of a read model, in milliseconds, over the last seconds, and how far it is behind the log.
type Freshness struct {
	Kind    string  `json:"kind"`
	P50     float64 `json:"p50"`
	P99     float64 `json:"p99"`
	Samples int     `json:"samples"`
	Behind  uint64  `json:"behind"` // csns of the log that it does not have yet
}

// Change is one row's change.
type Change struct {
	CSN   uint64 `json:"csn"`
	Index uint64 `json:"index"`
	Op    string `json:"op"`
	Table string `json:"table"`
	Key   string `json:"key"`
	What  string `json:"what"`
}

//go:embed static page.html
var files embed.FS

var shell = template.Must(template.ParseFS(files, "page.html"))

// How often the page looks.
const (
	treeEvery   = 150 * time.Millisecond
	statusEvery = 500 * time.Millisecond
)

type page struct{ Config }

// Handler returns the page.
func Handler(c Config) (http.Handler, error) {
	if c.Document == nil || c.Status == nil || c.Catalog == nil {
		return nil, errors.New("page: Document, Status or Catalog is missing")
	}
	static, err := fs.Sub(files, "static")
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	p := &page{c}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.shell)
	mux.HandleFunc("GET /events", p.events)
	mux.Handle("GET /static/", http.StripPrefix("/static/", http.FileServerFS(static)))
	return secured(mux), nil
}

// secured forbids the browser everything the page does not need.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// catalog reads the number of a catalog from the request.
func (p *page) catalog(r *http.Request) (uint64, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return 0, err
	}
	if !query.Has("catalog") {
		return p.Catalog(r.Context()), nil
	}
	return strconv.ParseUint(query.Get("catalog"), 10, 64)
}

func (p *page) shell(w http.ResponseWriter, r *http.Request) {
	id, err := p.catalog(r)
	if err != nil {
		http.Error(w, "catalog is not a number", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = shell.Execute(w, map[string]any{"Catalog": id, "Before": max(1, id) - 1, "After": id + 1}) // a visitor who has gone
}

// events streams the tree when it changes, and the status, until the visitor goes.
func (p *page) events(w http.ResponseWriter, r *http.Request) {
	id, err := p.catalog(r)
	if err != nil {
		http.Error(w, "catalog is not a number", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	send := func(event string, data any) error {
		text, err := json.Marshal(data)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, text); err != nil {
			return err
		}
		return out.Flush()
	}
	tree, status := time.NewTicker(treeEvery), time.NewTicker(statusEvery)
	defer tree.Stop()
	defer status.Stop()
	last, sent := "", false
	sendTree := func() error {
		t := p.tree(r.Context(), id)
		now := t.Error + string(t.Document)
		if now == last && sent {
			return nil
		}
		last, sent = now, true
		return send("tree", t)
	}
	if sendTree() != nil || send("status", p.Status()) != nil {
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case <-tree.C:
			err = sendTree()
		case <-status.C:
			err = send("status", p.Status())
		}
		if err != nil {
			return
		}
	}
}

// tree is what a tree event says.
type tree struct {
	Catalog  uint64          `json:"catalog"`
	Document json.RawMessage `json:"document"` // null: hidden
	Error    string          `json:"error,omitempty"`
}

func (p *page) tree(ctx context.Context, id uint64) tree {
	body, found, err := p.Document(ctx, id)
	switch {
	case err != nil:
		return tree{Catalog: id, Error: "the sink does not answer"}
	case !found:
		return tree{Catalog: id}
	default:
		return tree{Catalog: id, Document: body}
	}
}
