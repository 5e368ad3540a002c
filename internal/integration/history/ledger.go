package history

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

// Ledger collects what the clients were told. It is safe for concurrent use; an entry belongs to its client until it is told.
type Ledger struct {
	mu      sync.Mutex
	entries map[uint64]*Entry
	last    uint64
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger { return &Ledger{entries: map[uint64]*Entry{}} }

// Begin gives a transaction its number. Until it is told otherwise its outcome is unknown.
func (l *Ledger) Begin() *Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	e := &Entry{Number: l.last}
	l.entries[e.Number] = e
	return e
}

// Entries are the transactions by their numbers. The map must not be used while transactions still begin.
func (l *Ledger) Entries() map[uint64]*Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries
}

// Started returns how many transactions have begun.
func (l *Ledger) Started() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}
