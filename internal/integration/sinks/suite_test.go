package sinks

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace-go/millrace/projector"
	"github.com/millrace-go/millrace/projector/projectortest"
)

// names are unique on a server that outlives this process and is shared with others.
var (
	nameRun   = fmt.Sprintf("t%x%x", time.Now().UnixNano(), os.Getpid())
	nameCount atomic.Int64
)

func uniqueName() string { return fmt.Sprintf("%s-%d", nameRun, nameCount.Add(1)) }

// TestMemory runs the suite on the sink in memory.
func TestMemory(t *testing.T) {
	projectortest.TestSink(t, func(t *testing.T) projectortest.Harness {
		s := projector.NewMemorySink()
		return projectortest.Harness{
			Sink:    s,
			Target:  func(*testing.T) projector.Target { return projector.MemoryTarget(uniqueName()) },
			Refused: []byte(`["not an object"]`),
			Search: func(_ context.Context, t projector.Target) (map[string][]byte, error) {
				found := map[string][]byte{}
				for d := range s.Each(t.Name) {
					found[d.ID] = d.Body
				}
				return found, nil
			},
			Drop: func(_ context.Context, t projector.Target, generation uint64) error {
				s.Drop(t, generation)
				return nil
			},
		}
	})
}

// TestElastic runs the suite on Elasticsearch.
func TestElastic(t *testing.T) {
	projectortest.TestSink(t, func(t *testing.T) projectortest.Harness { return newElastic(t).harness() })
}

// TestMongoDB runs the suite on MongoDB.
func TestMongoDB(t *testing.T) {
	projectortest.TestSink(t, func(t *testing.T) projectortest.Harness { return newMongo(t).harness() })
}
