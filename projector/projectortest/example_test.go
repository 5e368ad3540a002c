package projectortest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

func ExampleNewFeed() {
	ctx, log := context.Background(), eventstore.NewMemoryLog()
	feed, err := projectortest.NewFeed(ctx, log)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, change := range []projectortest.Change{
		projectortest.Put("shop.orders", order{1, "ann", 5}),
		projectortest.Put("shop.orders", order{1, "ann", 7}),
		projectortest.Del("shop.orders", order{ID: 1}),
	} {
		if _, err := feed.Commit(ctx, change); err != nil {
			fmt.Println(err)
			return
		}
	}
	for cut, err := range log.Cuts(ctx, eventstore.CutOptions{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for rec, err := range cut.Records() {
			if err != nil {
				fmt.Println(err)
				return
			}
			var row eventstore.RowChange
			if err := eventstore.ParseRow(rec, &row); errors.Is(err, eventstore.ErrTombstone) {
				continue
			}
			fmt.Printf("csn %d: %c %s -> %s\n", row.CSN, row.Op, row.Before, row.After)
		}
		if cut.CSN == feed.CSN() {
			break
		}
	}
	// Output:
	// csn 1: c  -> {"id":1,"customer":"ann","cents":5}
	// csn 2: u {"id":1,"customer":"ann","cents":5} -> {"id":1,"customer":"ann","cents":7}
	// csn 3: d {"id":1,"customer":"ann","cents":7} ->
}

func ExampleNewFaultySink() {
	ctx, target := context.Background(), projector.MemoryTarget("home")
	sink := projectortest.NewFaultySink(projector.NewMemorySink(), func(method string) projectortest.Fate {
		if method == "Apply" {
			return projectortest.LoseReply
		}
		return projectortest.Pass
	})
	if err := sink.Prepare(ctx, target, 1); err != nil {
		fmt.Println(err)
		return
	}
	v, _ := projector.NewVersion(1, 1)
	err := sink.Apply(ctx, target, 1, []projector.Write{{ID: "1", Version: v, Body: []byte(`{}`)}}, make([]projector.Result, 1))
	fmt.Println("may pass:", errors.Is(err, projector.ErrUnavailable))
	_, found, _ := sink.Get(ctx, target, 1, "1")
	fmt.Println("written all the same:", found)
	// Output:
	// may pass: true
	// written all the same: true
}

func ExampleNewFaultyLog() {
	ctx := context.Background()
	memory := eventstore.NewMemoryLog()
	if _, err := projectortest.NewFeed(ctx, memory); err != nil {
		fmt.Println(err)
		return
	}
	log := projectortest.NewFaultyLog(memory, func(string) projectortest.Fate { return projectortest.Lose })
	for _, err := range log.Cuts(ctx, eventstore.CutOptions{}) {
		fmt.Println("may pass:", errors.Is(err, eventstore.ErrUnavailable))
	}
	// Output: may pass: true
}

func ExampleEmit() {
	type paid struct {
		Customer string `json:"customer"`
		Cents    int    `json:"cents"`
	}
	payments := projector.OnEvent("payments",
		func(rec *eventstore.Record) (e paid, ok bool, err error) {
			err = json.Unmarshal(rec.Value, &e)
			return e, true, err
		},
		func(_ projector.Meta, e paid) []string { return []string{e.Customer} },
		func(d *projector.Doc[customer], _ projector.Meta, e paid) error {
			d.Data.Cents += e.Cents
			return nil
		})
	var t exampleTest // in a test: its *testing.T
	projectortest.Of(t, projector.Fold[customer]{Name: "payers", Version: 1, Target: projector.MemoryTarget("payers"), Sources: []projector.Source[customer]{payments}}).
		Under(projectortest.Live).
		Given(projectortest.Emit("payments", "order-1", paid{"ann", 100})).
		When(projectortest.Emit("payments", "order-2", paid{"ann", 50})).
		Then("ann", customer{Cents: 150})
	fmt.Println("both payments count")
	// Output: both payments count
}

func ExampleRead() {
	var t exampleTest // in a test: its *testing.T
	projectortest.Of(t, customers(apply)).Under(projectortest.Live).
		Given(projectortest.Put("shop.orders", order{2, "ann", 50})).
		When(projectortest.Read("shop.orders", order{1, "ann", 100})). // it was there before the log began
		When(projectortest.Read("shop.orders", order{2, "ann", 50})).
		Then("ann", customer{Orders: 2, Cents: 150})
	fmt.Println("a row that a snapshot reads once more counts once")
	// Output: a row that a snapshot reads once more counts once
}

func ExampleDifferential() {
	var t exampleTest // in a test: its *testing.T
	orders := projector.NewTable("shop.orders", func(o *order) int { return o.ID })
	projectortest.Differential(t, customers(apply), 100, 1, orders)
	fmt.Println("each document was what its rows say")
	// Output: each document was what its rows say
}
