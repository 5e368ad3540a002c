//go:build !race

package kafkalog

// fencePartitions is how many partitions the old writers of TestFence produce to. With more of them the markers of a fence take longer, and the
// hole that the second OK closes is larger.
const fencePartitions = 48
