package shop

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// A Shop writes its rows and their changes into a log, the same ones each time. It is not safe for concurrent use.
type Shop struct {
	Products, Catalogs int

	feed *projectortest.Feed
	rand *rand.Rand
}

// New returns a shop on an empty log. Catalogs have products/catalogs products each.
func New(ctx context.Context, log eventstore.Log, products, catalogs int) (*Shop, error) {
	feed, err := projectortest.NewFeed(ctx, log)
	if err != nil {
		return nil, err
	}
	feed.Keys = map[string][]string{"shop.stock": {"product_id"}}
	return &Shop{products, catalogs, feed, rand.New(rand.NewPCG(1, 1))}, nil
}

// CSN is that of the last transaction.
func (s *Shop) CSN() eventstore.CSN { return s.feed.CSN() }

// Open inserts all rows in transactions of each; readers see them.
func (s *Shop) Open(ctx context.Context, each int) error {
	if err := s.append(ctx, s.Catalogs, each, func(i int) projectortest.Change {
		return projectortest.Put("shop.catalog", Catalog{ID: int64(i) + 1, Title: fmt.Sprintf("catalog %d", i+1)})
	}); err != nil {
		return err
	}
	return s.Stock(ctx, 0, s.Products, each)
}

// Stock inserts the products from first (included) to end (excluded) with their stock, in transactions of each; readers see them.
func (s *Shop) Stock(ctx context.Context, first, end, each int) error {
	if err := s.append(ctx, 2*(end-first), each, func(i int) projectortest.Change {
		id := first + i/2
		if i%2 == 0 {
			return s.product(id)
		}
		return projectortest.Put("shop.stock", Stock{int64(id), int64(id % 100)})
	}); err != nil {
		return err
	}
	return s.Show(ctx)
}

// Trade appends n changes of random products in transactions of each, 70 % of stock and 30 % of price. Readers do not see them before Show.
func (s *Shop) Trade(ctx context.Context, n, each int) error {
	return s.append(ctx, n, each, func(int) projectortest.Change {
		id := s.rand.IntN(s.Products)
		if s.rand.IntN(10) < 3 {
			return s.product(id)
		}
		return projectortest.Put("shop.stock", Stock{int64(id), int64(s.rand.IntN(100))})
	})
}

// Sell changes the stock of one random product in a transaction that readers see. Each has another quantity.
func (s *Shop) Sell(ctx context.Context) error {
	_, err := s.feed.Commit(ctx, projectortest.Put("shop.stock", Stock{int64(s.rand.IntN(s.Products)), int64(1e9) + int64(s.CSN())}))
	return err
}

// Show lets readers see everything that was appended.
func (s *Shop) Show(ctx context.Context) error { return s.feed.Watermark(ctx) }

func (s *Shop) product(id int) projectortest.Change {
	return projectortest.Put("shop.product", Product{int64(id), int64(id%s.Catalogs) + 1, fmt.Sprintf("product number %d of the whole shop", id),
		fmt.Sprintf("%d.%02d", s.rand.IntN(100), s.rand.IntN(100))})
}

func (s *Shop) append(ctx context.Context, n, each int, change func(int) projectortest.Change) error {
	changes := make([]projectortest.Change, 0, each)
	for i := range n {
		if changes = append(changes, change(i)); len(changes) < each && i < n-1 {
			continue
		}
		if err := s.feed.Append(ctx, changes...); err != nil {
			return err
		}
		changes = changes[:0]
	}
	return nil
}
