package transactions

import "sync"

// Outcome is what a client knows about a transaction.
type Outcome int

// The outcomes.
const (
	Unknown    Outcome = iota // the connection was lost before the answer
	Committed                 // the server said so
	RolledBack                // by the client, or by a server that forgot it
)

// Entry is a transaction as its client saw it.
type Entry struct {
	// Number stands in every row that the transaction writes.
	Number  uint64
	Outcome Outcome
	// Changes is how many rows it changed, as the server counted them, without what a ROLLBACK TO took back; -1 when the answer was lost.
	Changes int
	// Marked tells that at least one of the changes wrote a row, so that the number is in the log.
	Marked bool
}

// ledger collects what the clients were told. It is safe for concurrent use; an entry belongs to its client until it is told.
type ledger struct {
	mu      sync.Mutex
	entries map[uint64]*Entry
	last    uint64
}

func newLedger() *ledger { return &ledger{entries: map[uint64]*Entry{}} }

// begin gives a transaction its number. Until it is told otherwise its outcome is unknown.
func (l *ledger) begin() *Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	e := &Entry{Number: l.last}
	l.entries[e.Number] = e
	return e
}

func (l *ledger) started() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}
