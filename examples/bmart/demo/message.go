package demo

import (
	"encoding/json"
	"os"
	"sync"
	"time"

	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
)

// task is what a child process has to do: one line of JSON on its standard input.
type task struct {
	Flavor   string   `json:"flavor,omitempty"`
	Addr     string   `json:"addr,omitempty"`
	User     string   `json:"user,omitempty"`
	Password string   `json:"password,omitempty"`
	Brokers  []string `json:"brokers"`
	Sink     sinkSpec `json:"sink"`
	StateDir string   `json:"state_dir,omitempty"` // of the projectors' local state
	Break    string   `json:"break,omitempty"`
}

// pipeline is the name of the log.
const pipeline = "bmart"

// report is what a child says: a line of JSON on its standard output.
type report struct {
	Event string `json:"event"`
	// Began and tail.
	CSN  eventstore.CSN `json:"csn,omitempty"`
	Tail int            `json:"tail,omitempty"` // transactions in the tail
	// Records of a flush.
	Records int           `json:"records,omitempty"`
	Took    time.Duration `json:"took,omitempty"` // of a flush
	// Snapshot: how far it is.
	Snapshot cdc.SnapshotInfo `json:"snapshot,omitzero"`
	// Retry and halt: what failed.
	Text string `json:"text,omitempty"`
	// Written: a request that the sink acknowledged.
	At      time.Time `json:"at,omitzero"`
	Kind    string    `json:"kind,omitempty"`
	Written []written `json:"written,omitempty"`
}

// The events.
const (
	eventBegan    = "began"    // a relay has taken over the log
	eventTail     = "tail"     // a relay has finished what its predecessor had begun
	eventFlushing = "flushing" // a relay is about to append
	eventFlushed  = "flushed"  // a relay has appended and recorded
	eventSnapshot = "snapshot" // a relay has read rows of a table
	eventRetry    = "retry"    // something that may pass has failed
	eventWritten  = "written"  // the sink has acknowledged documents
	eventProgress = "progress" // a read model has everything up to a csn
	eventHalt     = "halt"     // a projector has stopped for good
)

// written is a document that the sink has.
type written struct {
	ID  string         `json:"id"`
	CSN eventstore.CSN `json:"csn"`
}

// reporter writes reports. It is safe for concurrent use.
type reporter struct {
	mu  sync.Mutex
	out *json.Encoder
}

func newReporter() *reporter { return &reporter{out: json.NewEncoder(os.Stdout)} }

func (r *reporter) send(m report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.out.Encode(m) // nobody listens: the end of standard input says so, too
}
