// Package sinkfront puts a projector.Sink behind HTTP, so that a projector in one process can write into a sink that lives in another: [Handler]
// there, [Client] here. The demo keeps its documents in memory this way while its projector process is killed.
//
// Calls are encoded with gob: ids, bodies and versions pass byte for byte, also those that the sink refuses. Whatever keeps a client from its answer is projector.ErrUnavailable: the runner asks again.
package sinkfront
