// Package cdctest holds the conformance suite of [cdc.Source]: what the relay relies on, checked against any implementation.
//
//	func TestSource(t *testing.T) {
//		cdctest.TestSource(t, cdctest.Harness{Open: newDatabase, SliceRows: 100_000})
//	}
//
// The suite drives a [Database] that the implementation makes: transactions, rolled back ones and XA. It checks streams; what a
// [cdc.SnapshotSource] reads of tables it does not.
package cdctest
