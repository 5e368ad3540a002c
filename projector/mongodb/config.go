package mongodb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/millrace-go/millrace/projector"
)

// Defaults of [Config].
const (
	DefaultBulkBytes          = 4 << 20
	DefaultTimeout            = 30 * time.Second
	DefaultTombstoneAge       = 24 * time.Hour
	DefaultProgressCollection = "millrace_progress"
)

// Config says how to reach MongoDB. URI and Database must be set.
type Config struct {
	// URI is the connection string, e.g. mongodb://user:password@db-1,db-2/?replicaSet=rs0.
	URI string
	// Database is where read models and progress records are kept.
	Database string

	// TLS replaces the TLS settings of the URI. Nil leaves those.
	TLS *tls.Config
	// Options changes the driver's options after URI and TLS: pool sizes, monitors, credentials of other kinds. Nil changes nothing.
	// Read and write concerns cannot be changed: writes are acknowledged by a majority.
	Options func(*options.ClientOptions)

	// BulkBytes is the size up to which writes share an update command. A single larger document is a command of its own. At most
	// 15 MiB. Zero means DefaultBulkBytes.
	BulkBytes int
	// Timeout bounds each command, with the search for a primary before it. Zero means DefaultTimeout.
	Timeout time.Duration
	// TombstoneAge is how long the server keeps tombstones, in whole seconds. It must be longer than any pause of a writer. Zero means
	// DefaultTombstoneAge.
	TombstoneAge time.Duration

	// ProgressCollection is for progress records. Pipelines that share a database and have projectors of the same name need one
	// each. Empty means DefaultProgressCollection.
	ProgressCollection string

	// Logger hears of collections that are created and generations that are published. Nil means silence.
	Logger *slog.Logger
}

// Sink stores documents in MongoDB. It is safe for concurrent use. Close it to end its connections.
type Sink struct {
	client *mongo.Client
	db     *mongo.Database
	cfg    Config
	log    *slog.Logger

	replicaSet string // as configured

	mu    sync.Mutex
	uuids map[string]bson.Binary // of collections that were prepared, or found when first written to
	fresh map[string]bool        // collections of which the last command has met no stored document
}

var _ projector.Sink = (*Sink)(nil)

// New returns a sink. It reports everything that is wrong with the configuration in one error, and does not wait for a connection:
// use [Sink.Check] for that.
func New(cfg Config) (*Sink, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("mongodb: config: "+format, args...)) }

	opts := options.Client()
	if cfg.URI == "" {
		bad("URI is empty")
	} else if opts.ApplyURI(cfg.URI); opts.Validate() != nil {
		if strings.Contains(cfg.URI, "@") {
			bad("URI is not valid (the reason is left out, for it may quote the password)")
		} else {
			bad("URI: %w", opts.Validate())
		}
	}
	switch {
	case cfg.Database == "":
		bad("Database is empty")
	case len(cfg.Database) > 63 || strings.ContainsAny(cfg.Database, "/\\. \"$*<>:|?\x00"):
		bad("Database must have at most 63 bytes, and none of / \\ . \" $ * < > : | ? or spaces")
	}
	if cfg.BulkBytes < 0 || cfg.BulkBytes > 15<<20 {
		bad("BulkBytes must be between 0 and 15 MiB")
	}
	if cfg.Timeout < 0 {
		bad("Timeout is negative")
	}
	if cfg.TombstoneAge != 0 && cfg.TombstoneAge < time.Second || cfg.TombstoneAge > 1<<31*time.Second-1 {
		bad("TombstoneAge must be between one second and 68 years")
	}
	if cfg.BulkBytes == 0 {
		cfg.BulkBytes = DefaultBulkBytes
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.TombstoneAge == 0 {
		cfg.TombstoneAge = DefaultTombstoneAge
	}
	if cfg.ProgressCollection == "" {
		cfg.ProgressCollection = DefaultProgressCollection
	}
	if err := checkName(cfg.ProgressCollection); err != nil {
		bad("ProgressCollection: %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}

	if cfg.TLS != nil {
		opts.SetTLSConfig(cfg.TLS.Clone())
	}
	opts.SetAppName("millrace").SetServerSelectionTimeout(cfg.Timeout)
	if cfg.Options != nil {
		cfg.Options(opts)
	}
	client, err := mongo.Connect(opts)
	if err != nil {
		return nil, fmt.Errorf("mongodb: connect: %w", err)
	}
	s := &Sink{client: client, db: client.Database(cfg.Database), cfg: cfg, log: cfg.Logger, uuids: map[string]bson.Binary{}, fresh: map[string]bool{}}
	if opts.ReplicaSet != nil {
		s.replicaSet = *opts.ReplicaSet
	}
	return s, nil
}

// Kind returns "mongodb".
func (s *Sink) Kind() string { return kind }

// Close ends the sink's connections. Commands under way fail.
func (s *Sink) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Timeout)
	defer cancel()
	if err := s.client.Disconnect(ctx); err != nil {
		return fmt.Errorf("mongodb: close: %w", err)
	}
	return nil
}
