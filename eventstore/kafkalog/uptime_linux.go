package kafkalog

import (
	"syscall"
	"time"
	"unsafe"
)

// clockBoottime goes on while the machine sleeps, and cannot be set.
const clockBoottime = 7

// newUptime returns a clock for leases.
func newUptime() func() time.Duration {
	other := new(boot)
	return func() time.Duration {
		var now syscall.Timespec
		if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockBoottime, uintptr(unsafe.Pointer(&now)), 0); errno != 0 {
			return other.uptime()
		}
		return time.Duration(now.Nano())
	}
}
