//go:build !millrace_nofence2

package kafkalog

// awaitMarkers is the second half of the fence. Without it (build tag millrace_nofence2) the zombie test fails on a real broker,
// which is how `make verify-fence` shows that the test can.
const awaitMarkers = true
