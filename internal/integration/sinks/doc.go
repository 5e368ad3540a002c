// Package sinks runs the conformance suite of projector.Sink on every sink, with the real servers, and what each vendor alone can go
// wrong with: faults between sink and server, closed indexes, unique indexes, switched views.
package sinks
