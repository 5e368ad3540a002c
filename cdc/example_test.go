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
