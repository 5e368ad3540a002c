// Package bulkload is the plain bulk loaders that the sinks are measured beside: the server's ordinary bulk interface, as fast as it goes, without
// versions or any other guard. What is sent is encoded beforehand, so that only sending it and reading the reply is timed: a sink's own encoding counts
// against the sink.
package bulkload

import (
	"context"
	"fmt"
)

// Loader writes batches of documents without looking at what is stored.
type Loader interface {
	// Ready encodes a batch of JSON documents, and returns what sends it.
	Ready(ids []string, bodies [][]byte) (send func(ctx context.Context) error, err error)
	// Close releases the connections. What was loaded stays.
	Close()
}

// Body is a document of about 280 bytes.
func Body(id, n int) []byte {
	return fmt.Appendf(nil, `{"n":%d,"text":"product %d of the house","price":%d,"currency":"EUR","tags":["garden","tools","steel"],`+
		`"stock":{"berlin":%d,"hamburg":%d,"munich":7},"description":"A product that has a description of a usual length, with a few words more than needed, %d"}`,
		n, id, n%10_000, n%17, n%23, n)
}
