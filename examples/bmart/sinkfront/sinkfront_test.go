package sinkfront_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/millrace-go/millrace/examples/bmart/sinkfront"
	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// A sink behind HTTP keeps the whole contract of a sink.
func TestClient(t *testing.T) {
	memory := projector.NewMemorySink()
	server := httptest.NewServer(sinkfront.Handler(memory))
	t.Cleanup(server.Close)
	var targets atomic.Int64
	projectortest.TestSink(t, func(t *testing.T) projectortest.Harness {
		return projectortest.Harness{
			Sink: sinkfront.NewClient(server.URL, memory.Kind()),
			Target: func(t *testing.T) projector.Target {
				return projector.MemoryTarget(fmt.Sprint("target", targets.Add(1)))
			},
			Refused: []byte(`[1]`),
			Search: func(_ context.Context, t projector.Target) (map[string][]byte, error) {
				found := map[string][]byte{}
				for d := range memory.Each(t.Name) {
					found[d.ID] = d.Body
				}
				return found, nil
			},
			Drop: func(_ context.Context, t projector.Target, generation uint64) error {
				memory.Drop(t, generation)
				return nil
			},
		}
	})
}

func TestClientOfNobody(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	err := sinkfront.NewClient(server.URL, "memory").Check(t.Context())
	if !errors.Is(err, projector.ErrUnavailable) {
		t.Errorf("error is %v, want ErrUnavailable", err)
	}
}
