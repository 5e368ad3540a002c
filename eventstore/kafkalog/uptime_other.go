//go:build !linux

package kafkalog

import "time"

// newUptime returns a clock for leases.
func newUptime() func() time.Duration { return new(boot).uptime }
