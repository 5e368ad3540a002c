//go:build !millrace_unsafe

// Package safeguard names what must not be left out: steps of the relay protocol without which the log goes wrong
// (docs/decisions/0002-relay-protocol.md), and rules of projectors without which documents do (docs/projectors.md). A check can leave one out, and
// fail: `make verify-exactly-once-unsafe`, `make verify-rules`. They are constants: only a build with the tag millrace_unsafe, made by those
// checks, can leave anything out.
package safeguard

// The safeguards of the log.
const (
	Fence          = true // steps 6 and 9: older writers are shut out before the tail is read
	SecondOK       = true // the fence's markers are awaited, not only decided on
	Idempotence    = true // a batch that is sent again is known by its producer id and sequence number
	TailRead       = true // step 10: what stands above the last watermark is looked at before anything is written
	WatermarkOrder = true // step 20: a watermark is written behind its data
)

// The safeguards of documents, by the counterexample that asks for each.
const (
	Suppression       = true // C1: the same bytes are left out only if one transaction has made them
	Tombstones        = true // C2, C9: a deleted document leaves its version
	LogIdentity       = true // C3, C19: documents and local states are of one log
	AboveHead         = true // C3: a stored version that the log never had halts
	WholeTransactions = true // C5: nothing is written within a transaction
	Once              = true // C5: a change that is read again is not applied again
	OwnRows           = true // C6: a Fold's old row is the last one that it has applied
	Sample            = true // C7: documents that did not change are made again at the start
	NewerWins         = true // C2, C8: a sink's store compares versions itself, within the write
	PreparedStores    = true // C10: no write makes a store
	PublishAtHead     = true // C11: readers never go back
	ExecutedWait      = true // C12: a Query reads what the database has executed up to the cut
	EqualVersions     = true // C12: of two writes with one version the first stays
	BothImages        = true // C12, moved keys: a changed row concerns what it belonged to and what it belongs to
	WholeSnapshots    = true // C6, C13: nothing is written before all rows are in the log
	ReplayToHead      = true // C15: a replay writes nothing below the log's end
	RefusedHalts      = true // C16: progress does not pass a document that is refused
	ParkedSaid        = true // C16: a waiter is told of documents that are set aside
	OldestPending     = true // C17: progress stays below what is not written yet
	IdleProgress      = true // C18: progress moves without documents
	WaitersFirst      = true // C18: a waiter closes the window
	Unwritten         = true // C19: what has changed since the progress is written, whatever the state knows of it
	SilentCatchUp     = true // C19: a state behind the progress writes nothing on the way
	Groups            = true // C19: a local state ends with a commit, never between two
)
