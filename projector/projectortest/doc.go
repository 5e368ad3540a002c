// Package projectortest checks implementations of [projector.Sink], and read models.
//
// [TestSink] is the conformance suite: every sink of this library passes it on its real server. An implementation of your own calls
// it from a test:
//
//	func TestSink(t *testing.T) {
//		projectortest.TestSink(t, func(t *testing.T) projectortest.Harness { … })
//	}
package projectortest
