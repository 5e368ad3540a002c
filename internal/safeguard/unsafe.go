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

	Suppression       = without != "suppression"
	Tombstones        = without != "tombstones"
	LogIdentity       = without != "log-identity"
	AboveHead         = without != "above-head"
	WholeTransactions = without != "whole-transactions"
	Once              = without != "once"
	OwnRows           = without != "own-rows"
	Sample            = without != "sample"
	NewerWins         = without != "newer-wins"
	PreparedStores    = without != "prepared-stores"
	PublishAtHead     = without != "publish-at-head"
	ExecutedWait      = without != "executed-wait"
	EqualVersions     = without != "equal-versions"
	BothImages        = without != "both-images"
	WholeSnapshots    = without != "whole-snapshots"
	ReplayToHead      = without != "replay-to-head"
	RefusedHalts      = without != "refused-halts"
	ParkedSaid        = without != "parked-said"
	OldestPending     = without != "oldest-pending"
	IdleProgress      = without != "idle-progress"
	WaitersFirst      = without != "waiters-first"
	Unwritten         = without != "unwritten"
	SilentCatchUp     = without != "silent-catch-up"
	Groups            = without != "groups"
)
