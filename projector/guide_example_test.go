package projector_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// The examples of docs/projectors.md stand between marks; TestGuide compares them with the page. That of Query is in internal/integration/projector,
// where it has a database.

// guide: fold
type Order struct {
	ID       int64  `json:"id"`
	Customer string `json:"customer"`
	Cents    int64  `json:"cents"`
}

type Turnover struct {
	Orders int   `json:"orders"`
	Cents  int64 `json:"cents"`
}

var turnover = projector.Fold[Turnover]{
	Name: "turnover", Version: 1, Target: projector.MemoryTarget("turnover"),
	Sources: []projector.Source[Turnover]{
		projector.OnRow("shop.orders", func(o *Order) []string { return []string{o.Customer} },
			func(d *projector.Doc[Turnover], old, now *Order) error {
				if old != nil { // the row as this document has counted it
					d.Data.Orders--
					d.Data.Cents -= old.Cents
				}
				if now != nil {
					d.Data.Orders++
					d.Data.Cents += now.Cents
				}
				if d.Data.Orders == 0 {
					d.Delete()
				}
				return nil
			}),
	},
}

// guide: end

// guide: join
type Category struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

type Product struct {
	ID       int64  `json:"id"`
	Category int64  `json:"category_id"`
	Name     string `json:"name"`
}

type Stock struct {
	Product int64 `json:"product_id"`
	Qty     int   `json:"qty"`
}

type Shelf struct {
	Name  string                `json:"name"`
	Items projector.List[Entry] `json:"items"`
}

type Entry struct {
	Name string `json:"name"`
	Qty  int    `json:"qty"`
}

var (
	categories = projector.NewTable("shop.category", func(c *Category) int64 { return c.ID })
	products   = projector.NewTable("shop.product", func(p *Product) int64 { return p.ID })
	stocks     = projector.NewTable("shop.stock", func(s *Stock) int64 { return s.Product })

	productOf = projector.HasMany(categories, products, func(p *Product) int64 { return p.Category })
	stockOf   = projector.HasOne(products, stocks, func(s *Stock) int64 { return s.Product })

	entry = projector.NewPart(products, func(v *projector.View, p *Product) (*Entry, error) {
		s, found := stockOf.Of(v, p)
		if !found || s.Qty == 0 {
			return nil, nil // not on the shelf
		}
		return &Entry{p.Name, s.Qty}, nil
	})

	shelves = projector.Join[Category, int64, Shelf]{
		Name: "shelves", Version: 1, Target: projector.MemoryTarget("shelves"), Root: categories,
		Reads: []projector.Readable{productOf, stockOf, entry},
		Build: func(v *projector.View, c *Category) (*Shelf, error) {
			return &Shelf{c.Name, entry.All(v, productOf.Below(c))}, nil
		},
	}
)

// guide: end

// guide: events
type Paid struct {
	Customer string `json:"customer"`
	Cents    int64  `json:"cents"`
}

var revenueByCustomer = projector.Fold[Turnover]{
	Name: "revenue", Version: 1, Target: projector.MemoryTarget("revenue"),
	Sources: []projector.Source[Turnover]{
		projector.OnEvent("payments",
			func(rec *eventstore.Record) (p Paid, ok bool, err error) {
				err = json.Unmarshal(rec.Value, &p)
				return p, p.Cents > 0, err
			},
			func(_ projector.Meta, p Paid) []string { return []string{p.Customer, "everybody"} },
			func(d *projector.Doc[Turnover], _ projector.Meta, p Paid) error {
				d.Data.Orders++
				d.Data.Cents += p.Cents
				return nil
			}),
	},
}

// guide: end

// play commits to a log in memory and prints the documents of a read model.
func play(p projector.Projector, transactions ...[]projectortest.Change) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	log, sink := eventstore.NewMemoryLog(), projector.NewMemorySink()
	feed, err := projectortest.NewFeed(ctx, log)
	if err != nil {
		fmt.Println(err)
		return
	}
	feed.Keys = map[string][]string{"shop.stock": {"product_id"}}
	runner, err := projector.NewRunner(projector.Config{Log: log, Sinks: []projector.Sink{sink}, Projectors: []projector.Projector{p}})
	if err != nil {
		fmt.Println(err)
		return
	}
	done := make(chan error)
	go func() { done <- runner.Run(ctx) }()
	for _, changes := range transactions {
		csn, err := feed.Commit(ctx, changes...)
		if err != nil {
			fmt.Println(err)
			return
		}
		if err := runner.WaitFor(ctx, runner.Status()[0].Projector, csn); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("csn", csn)
		for d := range sink.Each(projector.TargetOf(p).Name) {
			fmt.Println(strconv.Quote(d.ID), string(d.Body))
		}
	}
	cancel()
	if err := <-done; err != nil {
		fmt.Println(err)
	}
}

func ExampleFold_turnover() {
	play(turnover,
		one(projectortest.Put("shop.orders", Order{1, "ann", 500}), projectortest.Put("shop.orders", Order{2, "ann", 250})),
		one(projectortest.Put("shop.orders", Order{2, "bob", 300})))
	// Output:
	// csn 1
	// "ann" {"orders":2,"cents":750}
	// csn 2
	// "ann" {"orders":1,"cents":500}
	// "bob" {"orders":1,"cents":300}
}

func ExampleJoin_parts() {
	play(shelves,
		one(projectortest.Put("shop.category", Category{1, "tea"}), projectortest.Put("shop.product", Product{10, 1, "green"}),
			projectortest.Put("shop.product", Product{11, 1, "black"}), projectortest.Put("shop.stock", Stock{10, 3}), projectortest.Put("shop.stock", Stock{11, 8})),
		one(projectortest.Put("shop.stock", Stock{10, 2}), projectortest.Del("shop.product", Product{ID: 11})))
	// Output:
	// csn 1
	// "1" {"name":"tea","items":[{"name":"green","qty":3},{"name":"black","qty":8}]}
	// csn 2
	// "1" {"name":"tea","items":[{"name":"green","qty":2}]}
}

func ExampleOnEvent() {
	play(revenueByCustomer,
		one(projectortest.Emit("payments", "order-1", Paid{"ann", 500}), projectortest.Emit("payments", "order-2", Paid{"bob", 200})),
		one(projectortest.Emit("payments", "order-3", Paid{"ann", 1})))
	// Output:
	// csn 1
	// "ann" {"orders":1,"cents":500}
	// "bob" {"orders":1,"cents":200}
	// "everybody" {"orders":2,"cents":700}
	// csn 2
	// "ann" {"orders":2,"cents":501}
	// "bob" {"orders":1,"cents":200}
	// "everybody" {"orders":3,"cents":701}
}
