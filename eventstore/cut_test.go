package eventstore_test

import (
	"fmt"

	"github.com/millrace-go/millrace/eventstore"
)

// An implementation of Log makes cuts; here one of two records.
func ExampleNewCut() {
	cut := eventstore.NewCut(6, eventstore.Watermark{CSN: 7}, func(yield func(*eventstore.Record, error) bool) {
		for index := range uint64(2) {
			if !yield(&eventstore.Record{Place: eventstore.Place{CSN: 7, Index: index}, Topic: "shop.product"}, nil) {
				return
			}
		}
	})
	for rec, err := range cut.Records() {
		fmt.Println(rec.CSN, rec.Index, rec.Topic, err)
	}
	// Output:
	// 7 0 shop.product <nil>
	// 7 1 shop.product <nil>
}
