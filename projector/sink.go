package projector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/millrace-go/millrace/eventstore"
)

// ErrUnavailable marks errors of a sink or database that may pass. The runner retries them with backoff and never gives up.
var ErrUnavailable = errors.New("unavailable")

// Version orders the writes of one document: the generation of the read model in the high 9 bits of 53, the CSN below. It fits a
// float64's 53 bits, which both Elasticsearch and MongoDB clients need.
type Version uint64

const (
	csnBits       = 44
	maxGeneration = 1<<9 - 1
	maxIDBytes    = 512
)

// NewVersion packs generation and csn.
func NewVersion(generation uint64, csn eventstore.CSN) (Version, error) {
	if generation > maxGeneration || csn >= 1<<csnBits {
		return 0, fmt.Errorf("version: generation %d or csn %d out of range", generation, csn)
	}
	return Version(generation<<csnBits | uint64(csn)), nil
}

// Generation returns the generation part.
func (v Version) Generation() uint64 { return uint64(v) >> csnBits }

// CSN returns the csn part.
func (v Version) CSN() eventstore.CSN { return eventstore.CSN(v & (1<<csnBits - 1)) }

// Target names a read model in a sink: the name readers use, and how it is stored.
type Target struct {
	// Sink is the kind of sink, e.g. "memory", "elasticsearch", "mongodb". Packages elastic and mongodb have constructors.
	Sink string
	// Name is the public name: an Elasticsearch alias, a MongoDB view.
	Name string
	// Settings are passed to the sink when it creates storage, in the sink's own form (Elasticsearch: settings and mappings).
	Settings json.RawMessage
}

// Write is one versioned write of one document. A nil Body deletes: the document becomes a tombstone of that version.
type Write struct {
	ID      string // valid UTF-8, 1 to 512 bytes
	Version Version
	Body    []byte // a JSON object
}

// Outcome is what became of one [Write].
type Outcome uint8

// The outcomes of a write.
const (
	// Applied: the sink holds this write now (also when it held the very same version before).
	Applied Outcome = iota + 1
	// Stale: the sink holds a newer version; Result.Stored says which, when known.
	Stale
	// Retry: this write was not done, and the cause may pass.
	Retry
	// Refused: the sink will never take this write.
	Refused
)

// Result is the outcome of one write. Err is set for Retry and Refused; it names the document's id and the sink's reason, without
// document text.
type Result struct {
	Outcome Outcome
	Stored  Version
	Err     error
}

// Document is a stored document.
type Document struct {
	ID      string
	Version Version
	Body    []byte // nil for a tombstone
}

// Progress is how far a projector's documents are written. It is a lower bound.
type Progress struct {
	LogID      string         `json:"log"`
	Generation uint64         `json:"generation"`
	Definition int            `json:"definition"` // the projector's Version field
	CSN        eventstore.CSN `json:"csn"`
	// Begun is the log's end when the generation was begun; 0 when there was no log.
	Begun eventstore.CSN `json:"begun,omitempty"`
}

// Sink stores documents. One physical store exists per target and generation; readers see the published one under the target's
// name. A Sink is safe for concurrent use. Errors that may pass wrap [ErrUnavailable].
type Sink interface {
	// Kind is what [Target.Sink] names.
	Kind() string

	// Check verifies that the server can be reached, is of a known version, and that the account may do what is needed. Its error
	// says what is wrong and how to mend it. It writes nothing.
	Check(ctx context.Context) error

	// Prepare creates the store of a generation, if it does not exist, and checks its settings if it does. It never
	// empties one.
	Prepare(ctx context.Context, t Target, generation uint64) error

	// Apply writes each document whose version is newer than the stored one, and fills results[i] for writes[i]; len(results) must
	// be len(writes). Ids occur once in a call. A non-nil error means that nothing is known of any of the writes; repeat them all.
	// A store that was not prepared, or was deleted, is an error that does not wrap ErrUnavailable; it is never created in passing.
	Apply(ctx context.Context, t Target, generation uint64, writes []Write, results []Result) error

	// Get reads one document, tombstones included, at once (not subject to a search engine's refresh). A store that is not there is
	// an error, as with Apply.
	Get(ctx context.Context, t Target, generation uint64, id string) (d Document, found bool, err error)

	// Publish makes a generation what readers see under the target's name, atomically, and removes nothing. Written documents are
	// visible to searches through the name when it has returned. Tombstones are never visible to them.
	Publish(ctx context.Context, t Target, generation uint64) error

	// Published returns the generation that readers see.
	Published(ctx context.Context, t Target) (generation uint64, found bool, err error)

	// Progress reads, SaveProgress writes the progress record of a projector. An older record (generation, then csn) never
	// replaces a newer one; that is not an error.
	Progress(ctx context.Context, projector string) (p Progress, found bool, err error)
	SaveProgress(ctx context.Context, projector string, p Progress) error

	// Sweep removes tombstones that were written more than age ago, unless a newer write has replaced them, and returns how many.
	// Sinks whose server does that by itself return 0.
	Sweep(ctx context.Context, t Target, generation uint64, age time.Duration) (int, error)
}

// CheckID returns an error for ids that no sink takes: empty, over 512 bytes, or not UTF-8.
func CheckID(id string) error {
	switch {
	case id == "":
		return errors.New("document id is empty")
	case len(id) > maxIDBytes:
		return fmt.Errorf("document id has %d bytes, at most %d are allowed", len(id), maxIDBytes)
	case !utf8.ValidString(id):
		return errors.New("document id is not valid UTF-8")
	}
	return nil
}
