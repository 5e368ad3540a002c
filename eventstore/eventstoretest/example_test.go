package eventstoretest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/eventstore/eventstoretest"
)

func ExampleNewFaulty() {
	ctx := context.Background()
	var network eventstoretest.Network
	store := eventstore.NewMemoryLog()
	w, err := eventstoretest.NewFaulty(store, &network).Begin(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	w.Watermark(ctx, eventstore.Watermark{})

	// A writer that dies inside a flush: the orders arrive, the stock is lost.
	network.Set(func(topic string) eventstoretest.Fate {
		if topic == "shop.stock" {
			return eventstoretest.Drop
		}
		return eventstoretest.Deliver
	})
	flush := &eventstore.Flush{Records: []eventstore.Record{
		{Place: eventstore.Place{CSN: 1, Index: 0}, Topic: "shop.orders", Key: []byte("1")},
		{Place: eventstore.Place{CSN: 1, Index: 4}, Topic: "shop.stock", Key: []byte("7")},
	}}
	flush.Stamp.Add(1, "0-1-1")
	err = w.Append(ctx, flush)
	fmt.Println(errors.Is(err, eventstore.ErrUnavailable))

	successor, err := store.Begin(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	tail := successor.Start().Tail
	fmt.Println(tail.Landed, len(tail.Last), tail.Stamp.Runs)
	// Output:
	// true
	// [1] 1 [{1 1 0-1-1}]
}
