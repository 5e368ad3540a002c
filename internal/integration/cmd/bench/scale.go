package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/shop"
	"github.com/millrace-go/millrace/projector"
)

// maxGrowth is how much more a change may cost in a shop of a hundred times as many products: memory that is not in the processor's caches, and
// pebble's files that have more levels.
const maxGrowth = 3

// scale measures one stock change at a time, each until its document is acknowledged. Whatever the shop's size, it must build one card and
// write one document.
func (b *bench) scale(ctx context.Context) error {
	leaves := min(b.rows/1000, 1000)
	fmt.Printf("scale: one change of stock after the other, each until its document is in the sink (in memory); %d products a catalog\n", leaves)
	for _, one := range []struct {
		name, step string
		sales      int
		pebble     bool
	}{{"document a product", "products", 20_000, false}, {"document a product", "products", 20_000, true},
		{"part of a catalog", "catalogs", 5_000, false}, {"part of a catalog", "catalogs", 5_000, true}} {
		var first result
		sizes := []uint64{b.rows / 100, b.rows / 10, b.rows}
		if !one.pebble {
			sizes = sizes[:2] // the largest takes some gigabytes
		}
		for _, size := range sizes {
			j := job{Step: "sell", Kind: one.step, Rows: uint64(one.sales), Products: int(size), Catalogs: int(size / leaves), Pebble: one.pebble}
			r, err := j.spawn(ctx)
			if err != nil {
				return fmt.Errorf("%s of %d products: %w", one.name, size, err)
			}
			if first.Rows == 0 {
				first = r
			}
			growth := r.cpu() / first.cpu()
			fmt.Printf("  %-18s rows in %-6s %8d products %5d catalogs  %7.1f µs CPU a change (%.2f times the first)  %7.1f µs half of them  %.3f documents %.3f cards a change  %4d MB peak\n",
				one.name, stateName(one.pebble), size, j.Catalogs, r.cpu(), growth, r.Middle*1e6, float64(r.Documents)/float64(r.Rows), float64(r.Cards)/float64(r.Rows), r.Peak>>20)
			if r.Documents != one.sales || r.Cards != int64(one.sales) {
				return fmt.Errorf("%d changes wrote %d documents and built %d cards, want one each", one.sales, r.Documents, r.Cards)
			}
			if growth > maxGrowth {
				return fmt.Errorf("a change costs %.2f times as much CPU in a shop of %d products, want at most %d times", growth, size, maxGrowth)
			}
		}
	}
	return nil
}

// sell changes stocks one by one.
func (j job) sell(ctx context.Context) (_ result, err error) {
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
	if err := s.Open(ctx, 1000); err != nil {
		return result{}, err
	}
	var models shop.Models
	f, err := shop.Follow(ctx, projector.Config{Log: log, Sinks: []projector.Sink{projector.NewMemorySink()}, States: states,
		Projectors: []projector.Projector{job{Step: j.Kind}.model(&models)}})
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Wait(ctx, s.CSN()); err != nil {
		return result{}, err
	}
	cards := models.Cards.Load()
	figures, times, err := f.Sales(ctx, s, int(j.Rows))
	if err != nil {
		return result{}, err
	}
	slices.Sort(times)
	r, err := measured(j.Rows, figures)
	r.Cards, r.Middle = models.Cards.Load()-cards, times[len(times)/2].Seconds()
	return r, err
}
