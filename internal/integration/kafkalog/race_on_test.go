//go:build race

package kafkalog

// fencePartitions is smaller under the race detector, which makes every old writer several times as dear: `make verify-fence` has the full
// number.
const fencePartitions = 6
