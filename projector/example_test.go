package projector_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

func ExampleNewRunner() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	log, sink := eventstore.NewMemoryLog(), projector.NewMemorySink()

	type product struct {
		ID    int    `json:"id"`
		Price string `json:"price"`
	}
	prices := projector.Fold[product]{
		Name: "prices", Version: 1, Target: projector.MemoryTarget("prices"),
		Sources: []projector.Source[product]{
			projector.OnRow("shop.product", func(p *product) []string { return []string{fmt.Sprint(p.ID)} },
				func(d *projector.Doc[product], old, new *product) error {
					if new == nil {
						d.Delete()
						return nil
					}
					d.Data = *new
					return nil
				}),
		},
	}
	runner, err := projector.NewRunner(projector.Config{
		Log:        log,
		Sinks:      []projector.Sink{sink},
		Projectors: []projector.Projector{prices},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	done := make(chan error)
	go func() { done <- runner.Run(ctx) }()

	feed, err := projectortest.NewFeed(ctx, log) // in the place of a cdc.Relay
	if err != nil {
		fmt.Println(err)
		return
	}
	csn, err := feed.Commit(ctx, projectortest.Put("shop.product", product{ID: 1, Price: "2.50"}))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := runner.WaitFor(ctx, "prices", csn); err != nil {
		fmt.Println(err)
		return
	}
	d, _ := sink.Find("prices", "1")
	fmt.Printf("csn %d: %s\n", d.Version.CSN(), d.Body)

	cancel()
	fmt.Println("drained:", <-done)
	// Output:
	// csn 1: {"id":1,"price":"2.50"}
	// drained: <nil>
}

func ExampleFold() {
	type order struct {
		ID       int    `json:"id"`
		Customer string `json:"customer"`
		Cents    int    `json:"cents"`
	}
	type customer struct {
		Orders int `json:"orders"`
		Cents  int `json:"cents"`
	}
	// What a row was worth is taken back before what it is worth now is added; an order that moves to another customer leaves one
	// document and enters another.
	fold := projector.Fold[customer]{
		Name: "customers", Version: 1, Target: projector.MemoryTarget("customers"),
		Sources: []projector.Source[customer]{
			projector.OnRow("shop.orders", func(o *order) []string { return []string{o.Customer} },
				func(d *projector.Doc[customer], old, new *order) error {
					if old != nil {
						d.Data.Orders--
						d.Data.Cents -= old.Cents
					}
					if new != nil {
						d.Data.Orders++
						d.Data.Cents += new.Cents
					}
					if d.Data.Orders == 0 {
						d.Delete()
					}
					return nil
				}),
		},
	}
	show(fold,
		projectortest.Put("shop.orders", order{1, "ann", 100}),
		projectortest.Put("shop.orders", order{2, "ann", 50}),
		projectortest.Put("shop.orders", order{2, "bob", 70}),
		projectortest.Put("shop.orders", order{3, "eve", 1}),
		projectortest.Del("shop.orders", order{ID: 3}),
	)
	// Output:
	// ann {"orders":1,"cents":100}
	// bob {"orders":1,"cents":70}
}

func ExampleQuery() {
	type category struct {
		ID   int    `json:"id"`
		Name string `json:"name"`
	}
	type product struct {
		ID       int    `json:"id"`
		Category int    `json:"category_id"`
		Name     string `json:"name"`
	}
	query := projector.Query{
		Name: "categories", Version: 1, Target: projector.MemoryTarget("categories"),
		Database: exampleDatabase{}, // projector.MySQL(db) or projector.MariaDB(db)
		Tables: []projector.QueryTable{
			projector.OnTable("shop.category", func(c *category) []string { return []string{fmt.Sprint(c.ID)} }),
			projector.OnTable("shop.product", func(p *product) []string { return []string{fmt.Sprint(p.Category)} }),
		},
		Load: func(ctx context.Context, tx *sql.Tx, ids []string) (map[string]any, error) {
			// Here: SELECT … FROM category LEFT JOIN product … WHERE category.id IN (ids), by tx. Category 2 is gone.
			docs := map[string]any{}
			if slices.Contains(ids, "1") {
				docs["1"] = map[string]any{"name": "tea", "products": []string{"green", "black"}}
			}
			return docs, nil
		},
	}
	show(query,
		projectortest.Put("shop.category", category{1, "tea"}),
		projectortest.Put("shop.category", category{2, "coffee"}),
		projectortest.Put("shop.product", product{1, 1, "green"}),
		projectortest.Put("shop.product", product{2, 1, "black"}),
	)
	// Output: 1 {"name":"tea","products":["green","black"]}
}

func ExampleOnTopic() {
	type paid struct {
		Customer string `json:"customer"`
	}
	query := projector.Query{
		Name: "customers", Version: 1, Target: projector.MemoryTarget("customers"),
		Database: exampleDatabase{}, // projector.MySQL(db) or projector.MariaDB(db)
		Tables: []projector.QueryTable{
			projector.OnTopic("payments",
				func(rec *eventstore.Record) (e paid, ok bool, err error) {
					err = json.Unmarshal(rec.Value, &e)
					return e, true, err
				},
				func(_ projector.Meta, e paid) []string { return []string{e.Customer} }),
		},
		Load: func(ctx context.Context, tx *sql.Tx, ids []string) (map[string]any, error) {
			docs := map[string]any{}
			for _, id := range ids { // here: SELECT … FROM invoice WHERE customer IN (ids), by tx
				docs[id] = map[string]any{"open_invoices": 0}
			}
			return docs, nil
		},
	}
	show(query,
		projectortest.Emit("payments", "order-1", paid{"ann"}),
		projectortest.Emit("payments", "order-2", paid{"bob"}),
	)
	// Output:
	// ann {"open_invoices":0}
	// bob {"open_invoices":0}
}

func ExampleFold_FromRows() {
	type order struct {
		Customer string `json:"customer"`
		Cents    int    `json:"cents"`
	}
	type customer struct {
		Cents int `json:"cents"`
	}
	fold := projector.Fold[customer]{
		Name: "customers", Version: 1, Target: projector.MemoryTarget("customers"),
		Sources: []projector.Source[customer]{
			projector.OnRow("shop.orders", func(o *order) []string { return []string{o.Customer} },
				func(d *projector.Doc[customer], old, new *order) error {
					if old != nil {
						d.Data.Cents -= old.Cents
					}
					if new != nil {
						d.Data.Cents += new.Cents
					}
					return nil
				}),
		},
	}
	docs, err := fold.FromRows(func(table string) [][]byte { // here: all rows of the table, as a test has them
		return [][]byte{[]byte(`{"customer":"ann","cents":100}`), []byte(`{"customer":"ann","cents":50}`)}
	})
	fmt.Printf("%s %v\n", docs["ann"], err)
	// Output: {"cents":150} <nil>
}

// exampleDatabase stands for a database that has executed everything.
type exampleDatabase struct{}

func (exampleDatabase) Check(context.Context) error { return nil }

func (exampleDatabase) Snapshot(ctx context.Context, _ eventstore.Position, read func(context.Context, *sql.Tx) error) error {
	return read(ctx, nil)
}

// show is showDocs over transactions of one change each.
func show(p projector.Projector, changes ...projectortest.Change) {
	var transactions [][]projectortest.Change
	for _, c := range changes {
		transactions = append(transactions, []projectortest.Change{c})
	}
	showDocs(p, transactions...)
}
