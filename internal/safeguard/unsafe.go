//go:build millrace_unsafe

package safeguard

import "os"

// The safeguards, but for the one that MILLRACE_UNSAFE names.
var (
	without = os.Getenv("MILLRACE_UNSAFE")

	Fence          = without != "fence"
	SecondOK       = without != "second-ok"
	Idempotence    = without != "idempotence"
	TailRead       = without != "tail-read"
	WatermarkOrder = without != "watermark-order"
)
