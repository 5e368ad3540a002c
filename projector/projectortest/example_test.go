package projectortest_test

import (
	"context"
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
