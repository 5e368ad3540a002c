//go:build !millrace_unsafe

// Package safeguard names the steps of the relay protocol without which the log goes wrong (docs/decisions/0002-relay-protocol.md), so that a
// check can leave one out and fail: `make verify-exactly-once-unsafe`. They are constants: only a build with the tag millrace_unsafe, made by
// that check, can leave anything out.
package safeguard

// The safeguards.
const (
	Fence          = true // steps 6 and 9: older writers are shut out before the tail is read
	SecondOK       = true // the fence's markers are awaited, not only decided on
	Idempotence    = true // a batch that is sent again is known by its producer id and sequence number
	TailRead       = true // step 10: what stands above the last watermark is looked at before anything is written
	WatermarkOrder = true // step 20: a watermark is written behind its data
)
