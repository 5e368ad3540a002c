// Package projectortest checks read models and implementations of [projector.Sink].
//
// # Read models
//
// A [Scenario] tests a definition without any server: transactions go in, documents come out, the same ones whether the process
// lives through it, sees it as a backlog, in windows of several sizes, starts again after each transaction or sees all again, and for joins also in
// another order. What differs is said by its path in the document. [Differential] makes random transactions. A [Feed] takes the place of the database and its relay in
// tests of one's own.
//
// # Sinks
//
// [TestSink] is the conformance suite: every sink of this library passes it on its real server. An implementation of your own calls
// it from a test:
//
//	func TestSink(t *testing.T) {
//		projectortest.TestSink(t, func(t *testing.T) projectortest.Harness { … })
//	}
//
// # Faults
//
// [NewFaultySink] and [NewFaultyLog] lose calls, replies and halves of requests, or end the process at a given call.
package projectortest
