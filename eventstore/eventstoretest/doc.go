// Package eventstoretest says what every [eventstore.Log] must do, as a suite of tests, and offers the faults to try it with.
//
// An implementation passes when TestLog does:
//
//	func TestLog(t *testing.T) {
//		eventstoretest.TestLog(t, eventstoretest.Harness{New: newStore, MaxRecordBytes: 1 << 20})
//	}
//
// A [Store] is one log as several processes see it: each Open is another process with a [Network] of its own, on which the suite
// drops what is sent, loses replies, or holds a message back until a successor has taken over.
//
// [NewFaulty] puts such a network before any log, for the tests of a log's users.
package eventstoretest
