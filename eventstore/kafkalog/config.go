package kafkalog

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"

	"github.com/millrace-go/millrace/eventstore"
)

// Config configures a [Log]. Brokers and Pipeline are required; every other field's zero value means its default.
type Config struct {
	// Brokers are addresses to begin with, host:port.
	Brokers []string
	// Pipeline names the log: the first part of its topics' names and of its transactional id. Letters, digits, - and _.
	Pipeline string

	// Partitions is how many partitions a new topic gets. Default 4. The number a topic was listed with is for good.
	Partitions int
	// ReplicationFactor is how many copies a new topic gets; from 3 on with min.insync.replicas=2 and without unclean elections. Default: the
	// broker's own default, with the broker's settings.
	ReplicationFactor int
	// AcceptLoss makes topics of three and more copies good enough that may lose acknowledged records with one broker: min.insync.replicas of
	// 1, unclean elections. Without it Begin refuses them. Topics of fewer copies are a warning in either case.
	AcceptLoss bool
	// Compression of data records: "lz4" (the default), "zstd", "snappy", "gzip" or "none".
	Compression string
	// MaxMessageBytes is the largest record and batch, in bytes, written as max.message.bytes to new topics and demanded of
	// existing ones. A larger record is an [*eventstore.RecordError], or goes to Blobs. The broker's socket.request.max.bytes (100 MiB, unless it is
	// set) must be larger. An update's record has both images; binary values take four bytes for three. Default 32 MiB,
	// from 16 KiB to 1 GiB.
	MaxMessageBytes int
	// Blobs takes the values of records that are larger than MaxMessageBytes; their records have a claim instead. Nil refuses them. Readers
	// need the same store.
	Blobs eventstore.BlobStore
	// RetryTimeout is how long a writer repeats what got no answer until it gives up and reports an unknown outcome. Default 30 s.
	RetryTimeout time.Duration

	// Lease is how long a writer relies on its fence without having told the brokers that it lives, which it does six times in that time: an empty
	// aborted transaction. A writer that was stopped for longer writes nothing more and is begun again. The same for all writers of a pipeline, in
	// whole seconds. Brokers must remember producers for twice as long (transactional.id.expiration.ms, producer.id.expiration.ms). Default 1 h,
	// from 1 s to 24 h.
	Lease time.Duration

	// TLS and SASL secure the connections to the brokers; see package github.com/segmentio/kafka-go/sasl for mechanisms.
	TLS  *tls.Config
	SASL sasl.Mechanism
	// Transport replaces the log's own connections; TLS and SASL are its own business then. The log does not close it.
	Transport kafka.RoundTripper

	// TakeOver makes Begin accept a last watermark of a producer id that is not the pipeline's any more at once (see [ErrForeignProducer]),
	// instead of waiting until that producer's lease is over. Set it for one start, after making sure that no older writer is alive.
	TakeOver bool

	// Logger gets what an operator wants to know; nil is silent.
	Logger *slog.Logger
}

const (
	defaultPartitions      = 4
	defaultMaxMessageBytes = 32 << 20
	defaultRetryTimeout    = 30 * time.Second
	minMessageBytes        = 16 << 10
	maxTopicName           = 249 // Kafka's own limit
)

var (
	pipelineName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	topicName    = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
)

// withDefaults returns the configuration with its defaults filled in, or every problem in one error.
func (c Config) withDefaults() (Config, error) {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if len(c.Brokers) == 0 {
		bad("Brokers is empty, want at least one host:port")
	}
	for _, b := range c.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			bad("Brokers: %q is no host:port", b)
		}
	}
	if !pipelineName.MatchString(c.Pipeline) || len(c.Pipeline) > 100 {
		bad("Pipeline is %q, want 1 to 100 letters, digits, - and _", c.Pipeline)
	}
	if c.Partitions < 0 {
		bad("Partitions is %d, want a positive number, or 0 for %d", c.Partitions, defaultPartitions)
	} else if c.Partitions == 0 {
		c.Partitions = defaultPartitions
	}
	if c.ReplicationFactor < 0 {
		bad("ReplicationFactor is %d, want a positive number, or 0 for the broker's default", c.ReplicationFactor)
	}
	if c.Compression == "" {
		c.Compression = "lz4"
	}
	if _, err := codecOf(c.Compression); err != nil {
		bad("Compression is %q, want lz4, zstd, snappy, gzip or none", c.Compression)
	}
	if c.MaxMessageBytes == 0 {
		c.MaxMessageBytes = defaultMaxMessageBytes
	} else if c.MaxMessageBytes < minMessageBytes || c.MaxMessageBytes > 1<<30 {
		bad("MaxMessageBytes is %d, want %d to %d, or 0 for %d", c.MaxMessageBytes, minMessageBytes, 1<<30, defaultMaxMessageBytes)
	}
	if c.RetryTimeout < 0 {
		bad("RetryTimeout is %v, want a duration, or 0 for %v", c.RetryTimeout, defaultRetryTimeout)
	} else if c.RetryTimeout == 0 {
		c.RetryTimeout = defaultRetryTimeout
	}
	if c.Lease != 0 && (c.Lease < minLease || c.Lease > maxLease || c.Lease%time.Second != 0) {
		bad("Lease is %v, want whole seconds from %v to %v, or 0 for %v", c.Lease, minLease, maxLease, defaultLease)
	} else if c.Lease == 0 {
		c.Lease = defaultLease
	}
	if c.Transport != nil && (c.TLS != nil || c.SASL != nil) {
		bad("Transport is given, so TLS and SASL must be set there")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if len(problems) > 0 {
		return c, fmt.Errorf("kafkalog config: %w", errors.Join(problems...))
	}
	return c, nil
}
