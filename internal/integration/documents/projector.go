package documents

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	_ "github.com/go-sql-driver/mysql" // driver

	"github.com/millrace-go/millrace/eventstore/kafkalog"
	"github.com/millrace-go/millrace/internal/integration/servers"
	"github.com/millrace-go/millrace/internal/integration/supervise"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/pebblestate"
)

// ProjectorChild is the first argument of the program when it is to be a projector's process, which calls [Child].
const ProjectorChild = "documents-projector"

// window is how long changes are collected before their documents are written.
const window = 100 * time.Millisecond

// task is what a projector's process has to do.
type task struct {
	Kind                          servers.Kind
	DSN, Broker, Pipeline, States string
	Place                         place
	Break                         string
}

// event is a line that a projector's process prints.
type event struct {
	Kind string `json:"kind"`
	Text string `json:"text,omitempty"`
	// Of a window.
	Documents int `json:"documents,omitempty"`
	Unchanged int `json:"unchanged,omitempty"`
	Refused   int `json:"refused,omitempty"` // the sink had newer ones
}

const (
	eventBegan  = "began"
	eventWindow = "window"
	eventRetry  = "retry"
	eventAnew   = "anew" // a local state is found to be damaged, and built anew
)

// projectorName is the name of a projector for a kind of documents in a store.
func projectorName(m *readModel, s store) string { return m.name + "-" + string(s.kind()) }

// Child is a projector's process. It returns the exit code.
func Child() int {
	return supervise.Serve(func(ctx context.Context, line []byte) error {
		var t task
		if err := json.Unmarshal(line, &t); err != nil {
			return err
		}
		return t.project(ctx)
	})
}

// project runs all projectors, into both sinks.
func (t task) project(ctx context.Context) (err error) {
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	say := func(e event) {
		mu.Lock()
		defer mu.Unlock()
		_ = out.Encode(e) // the supervisor may be gone
	}
	logger := slog.New(&anewHandler{slog.NewTextHandler(os.Stderr, nil), say}).With("projector process", os.Getpid())
	log, err := kafkalog.New(kafkalog.Config{Brokers: []string{t.Broker}, Pipeline: t.Pipeline, Logger: logger})
	if err != nil {
		return err
	}
	defer log.Close()
	stores, err := t.Place.open()
	if err != nil {
		return err
	}
	defer func() {
		for _, s := range stores {
			err = errors.Join(err, s.close())
		}
	}()
	db, err := sql.Open("mysql", t.DSN)
	if err != nil {
		return err
	}
	defer db.Close()
	states, err := pebblestate.New(pebblestate.Config{Dir: t.States, CacheBytes: 32 << 20, BufferBytes: 1 << 20, Logger: logger})
	if err != nil {
		return err
	}
	database := projector.MySQL(db)
	if t.Kind == servers.MariaDB {
		database = projector.MariaDB(db)
	}
	ctx, halt := context.WithCancelCause(ctx)
	defer halt(nil)
	cfg := projector.Config{Log: log, States: states, Window: window, Logger: logger, Hooks: projector.Hooks{
		OnWindow: func(i projector.WindowInfo) {
			say(event{Kind: eventWindow, Documents: i.Documents, Unchanged: i.Unchanged, Refused: i.Stale})
		},
		OnRetry: func(i projector.RetryInfo) {
			if errors.Is(i.Err, projector.ErrStateLost) {
				say(event{Kind: eventAnew, Text: i.Err.Error()})
				return
			}
			say(event{Kind: eventRetry, Text: fmt.Sprintf("%s: %s: %v", i.Projector, i.Step, i.Err)})
		},
		OnHalt: func(i projector.HaltInfo) { halt(fmt.Errorf("%s at csn %d: %w", i.Projector, i.CSN, i.Err)) },
	}}
	for _, s := range stores {
		cfg.Sinks = append(cfg.Sinks, breakSink(s.sink(), t.Break))
		for _, m := range readModels() {
			cfg.Projectors = append(cfg.Projectors, m.projector(projectorName(m, s), s.target(m.name), database))
		}
	}
	runner, err := projector.NewRunner(cfg)
	if err != nil {
		return err
	}
	say(event{Kind: eventBegan})
	return runner.Run(ctx)
}

// anewHandler tells when a local state cannot be opened, and is built anew.
type anewHandler struct {
	slog.Handler
	say func(event)
}

func (h *anewHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "projector builds its local state anew" {
		why := ""
		r.Attrs(func(a slog.Attr) bool { why += a.String() + " "; return true })
		h.say(event{Kind: eventAnew, Text: why})
	}
	return h.Handler.Handle(ctx, r)
}

func (h *anewHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &anewHandler{h.Handler.WithAttrs(attrs), h.say}
}
