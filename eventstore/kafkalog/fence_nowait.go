//go:build millrace_nofence2

package kafkalog

const awaitMarkers = false
