package cdc_test

import (
	"context"
	"fmt"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

func ExampleNewRelay() {
	source, err := cdc.NewMemorySource(cdc.Filter{Include: []string{"shop.*"}}, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	product := &cdc.Table{Schema: "shop", Name: "product", Key: []int{0}}
	source.Commit(cdc.Change{Table: product, Op: cdc.Create, Key: []byte(`{"id":1}`), After: []byte(`{"id":1,"name":"tea"}`)})

	log := eventstore.NewMemoryLog()
	ctx, cancel := context.WithCancel(context.Background())
	relay, err := cdc.NewRelay(cdc.Config{Source: source, Log: log, Hooks: cdc.Hooks{
		Flushed: func(i cdc.FlushInfo) {
			fmt.Printf("through csn %d: %d records\n", i.CSN, i.Records)
			cancel()
		},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("stopped:", relay.Run(ctx))
	// Output:
	// through csn 1: 2 records
	// stopped: <nil>
}

func ExampleNewMemorySource() {
	source, err := cdc.NewMemorySource(cdc.Filter{}, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	source.Commit()
	source.Commit()
	executed, _ := source.Executed(context.Background())
	fmt.Println(executed.GTIDs)
	// Output: 00000000-0000-4000-8000-000000000001:1-2
}

func ExampleRowFilter() {
	german := cdc.RowFilter{Tables: "shop.customer", Name: "german", Keep: func(_ *cdc.Table, row cdc.Row) bool {
		country, ok := row.Value("country")
		return ok && string(country) == `"DE"`
	}}
	source, err := cdc.NewMemorySource(cdc.Filter{}, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	customer := &cdc.Table{Schema: "shop", Name: "customer", Key: []int{0}}
	source.Commit(cdc.Change{Table: customer, Op: cdc.Create, Key: []byte(`{"id":1}`), After: []byte(`{"id":1,"country":"FR"}`)})
	source.Commit(cdc.Change{Table: customer, Op: cdc.Update, Key: []byte(`{"id":1}`), Before: []byte(`{"id":1,"country":"FR"}`), After: []byte(`{"id":1,"country":"DE"}`)})

	log := eventstore.NewMemoryLog()
	ctx, cancel := context.WithCancel(context.Background())
	relay, err := cdc.NewRelay(cdc.Config{Source: source, Log: log, RowFilters: []cdc.RowFilter{german}, Hooks: cdc.Hooks{
		Flushed: func(i cdc.FlushInfo) {
			if i.CSN == 2 {
				cancel()
			}
		},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := relay.Run(ctx); err != nil {
		fmt.Println(err)
	}
	for cut, err := range log.Cuts(context.Background(), eventstore.CutOptions{Topics: []string{"shop.customer"}}) {
		if err != nil {
			fmt.Println(err)
		}
		for rec := range cut.Records() {
			var row eventstore.RowChange
			if err := eventstore.ParseRow(rec, &row); err != nil {
				fmt.Println(err)
			}
			fmt.Printf("csn %d: %c %s\n", rec.CSN, row.Op, row.After)
		}
		if cut.CSN == 2 {
			break
		}
	}
	// Output: csn 2: c {"id":1,"country":"DE"}
}

func ExampleRowOf() {
	row := cdc.RowOf([]byte(`{"id":1,"country":"DE"}`))
	country, ok := row.Value("country")
	fmt.Println(string(country), ok)
	_, ok = row.Value("county")
	fmt.Println(ok)
	// Output:
	// "DE" true
	// false
}

func ExampleRedact() {
	m := cdc.Redact("***", "*.*.password")
	fmt.Println(string(m.Replace([]byte(`"swordfish"`), 0)), string(m.Replace([]byte(`null`), 0)))
	// Output: "***" null
}

func ExampleHash() {
	m := cdc.Hash([]byte("0123456789abcdef"), "shop.*.email")
	fmt.Println(string(m.Replace([]byte(`"ann@example.org"`), 0)))
	fmt.Println(cdc.Columns{Masks: []cdc.Mask{cdc.Hash([]byte("guess"), "shop.*.email")}}.Validate())
	// Output:
	// "b2eadfbaaca8f7b30b76563378bedc2fe183e5b392a7710ab8166987238c66ef"
	// Masks[0]: the secret has 5 bytes, want 16 or more
}

func ExampleTruncate() {
	m := cdc.Truncate(3, "shop.customer.zip")
	fmt.Println(string(m.Replace([]byte(`"10115"`), 0)))
	// Output: "101"
}
