// Package murmur2 is the hash by which Kafka's Java client, and so most of the world, routes a keyed record to a partition.
// The log in memory and the log on Kafka share it, so that a key stands in the same partition of both.
package murmur2

import "encoding/binary"

const (
	seed = 0x9747b28c
	m    = 0x5bd1e995
	r    = 24
)

// Sum returns the hash of data as org.apache.kafka.common.utils.Utils.murmur2 does.
func Sum(data []byte) uint32 {
	h := uint32(seed) ^ uint32(len(data))
	for len(data) >= 4 {
		k := binary.LittleEndian.Uint32(data)
		k *= m
		k ^= k >> r
		k *= m
		h = h*m ^ k
		data = data[4:]
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(data[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}

// Partition returns the partition of key among n, as the Java client's default partitioner does for records with a key.
// n must be positive.
func Partition(key []byte, n int) int32 {
	return int32((Sum(key) & 0x7fffffff) % uint32(n))
}
