package projector_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

func TestMemorySink(t *testing.T) {
	var targets atomic.Int64
	projectortest.TestSink(t, func(*testing.T) projectortest.Harness {
		sink := projector.NewMemorySink()
		return projectortest.Harness{
			Sink:    sink,
			Target:  func(*testing.T) projector.Target { return projector.MemoryTarget(fmt.Sprint("t", targets.Add(1))) },
			Refused: []byte(`[1]`),
			Search: func(_ context.Context, t projector.Target) (map[string][]byte, error) {
				found := map[string][]byte{}
				for d := range sink.Each(t.Name) {
					found[d.ID] = d.Body
				}
				return found, nil
			},
			Drop: func(_ context.Context, t projector.Target, generation uint64) error {
				sink.Drop(t, generation)
				return nil
			},
		}
	})
}

func ExampleNewMemorySink() {
	ctx, sink, target := context.Background(), projector.NewMemorySink(), projector.MemoryTarget("home")
	if err := sink.Prepare(ctx, target, 1); err != nil {
		fmt.Println(err)
		return
	}
	v7, _ := projector.NewVersion(1, 7)
	v9, _ := projector.NewVersion(1, 9)
	results := make([]projector.Result, 1)
	for _, w := range []projector.Write{
		{ID: "1", Version: v9, Body: []byte(`{"title":"new"}`)},
		{ID: "1", Version: v7, Body: []byte(`{"title":"old, and late"}`)},
	} {
		if err := sink.Apply(ctx, target, 1, []projector.Write{w}, results); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("stale:", results[0].Outcome == projector.Stale)
	}
	if err := sink.Publish(ctx, target, 1); err != nil {
		fmt.Println(err)
		return
	}
	d, _ := sink.Find("home", "1")
	fmt.Println(d.Version.CSN(), string(d.Body))
	// Output:
	// stale: false
	// stale: true
	// 9 {"title":"new"}
}
