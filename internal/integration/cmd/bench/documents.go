package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/integration/supervise"
	"github.com/millrace-go/millrace/internal/shop"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/pebblestate"
)

// documents measures read models that follow a backlog into memory.
func (b *bench) documents(ctx context.Context) error {
	base := job{Rows: b.rows / 2, Products: int(min(max(b.rows/10, 10_000), 100_000))}
	fmt.Printf("documents: %d changes of stock and price in transactions of ten, %d products with stock, one projector, sink in memory\n", base.Rows, base.Products)
	for _, one := range []struct {
		name, step string
		leaves     int
		pebble     bool
	}{
		{"Fold", "fold", 1000, false},
		{"Join, a document a product", "products", 1000, false},
		{"Join, a document a product", "products", 1000, true},
		{"Join, 1,000 products a document", "catalogs", 1000, false},
		{"Join, 1,000 products a document", "catalogs", 1000, true},
		{"Join, 10,000 products a document", "catalogs", 10_000, false},
		{"Join, 10,000 products a document", "catalogs", 10_000, true},
	} {
		j := base
		j.Step, j.Catalogs, j.Pebble = one.step, j.Products/one.leaves, one.pebble
		r, err := j.spawn(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		fmt.Printf("  %-33s rows in %-6s %8.0f changes/s  %6.2f µs CPU a change  %8.0f documents/s  %5.1f MB/s  %4d MB peak\n", one.name, stateName(one.pebble),
			r.rate(), r.cpu(), float64(r.Documents)/r.Seconds, float64(r.Bytes)/r.Seconds/1e6, r.Peak>>20)
	}
	return nil
}

func stateName(pebble bool) string {
	if pebble {
		return "pebble"
	}
	return "memory"
}

// states returns what a job's local states are kept in, and what removes them.
func (j job) states() (projector.LocalStates, func() error, error) {
	if !j.Pebble {
		return projector.NewMemoryStates(), func() error { return nil }, nil
	}
	dir, err := os.MkdirTemp("", "millrace-bench-")
	if err != nil {
		return nil, nil, err
	}
	states, err := pebblestate.New(pebblestate.Config{Dir: dir})
	return states, func() error { return os.RemoveAll(dir) }, err
}

func (j job) model(m *shop.Models) projector.Projector {
	switch j.Step {
	case "fold":
		return m.Fold(projector.MemoryTarget("fold"), 1)
	case "catalogs":
		return m.Catalogs(projector.MemoryTarget("catalogs"), 1)
	}
	return m.Products(projector.MemoryTarget("products"), 1)
}

// backlog follows a backlog in a log in memory. Only that counts: neither the rows before it nor the writing of the log.
func (j job) backlog(ctx context.Context) (_ result, err error) {
	states, remove, err := j.states()
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	log := eventstore.NewMemoryLog()
	s, err := shop.New(ctx, log, j.Products, j.Catalogs)
	if err != nil {
		return result{}, err
	}
	var models shop.Models
	f, err := shop.Backlog(ctx, s, int(j.Rows), projector.Config{Log: log, Sinks: []projector.Sink{projector.NewMemorySink()}, States: states,
		Projectors: []projector.Projector{j.model(&models)}})
	if err != nil {
		return result{}, err
	}
	return measured(j.Rows, f)
}

// measured returns figures as a step's result.
func measured(rows uint64, f shop.Figures) (result, error) {
	peak, err := supervise.PeakMemory()
	return result{Rows: rows, Seconds: f.Elapsed.Seconds(), CPU: f.CPU.Seconds(), Peak: peak, Documents: f.Documents, Bytes: f.Bytes}, err
}
