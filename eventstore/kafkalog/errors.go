package kafkalog

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"github.com/segmentio/kafka-go"

	"github.com/millrace-go/millrace/eventstore"
)

// ErrForeignProducer says that the last watermark was written under another producer id than the pipeline's present one: the transactional
// id expired (by default after seven days without a writer) or its epochs are used up. The fence does not reach a writer of that id, so
// Begin waits until that writer's lease is over ([Config.Lease]), and says so in the log. Who knows that none is alive may begin
// once with [Config.TakeOver] instead. Begin returns the error when its context ends meanwhile, or for such a record behind a watermark of its own id.
var ErrForeignProducer = errors.New("the last watermark is of a producer id that this fence does not reach")

// newLog is the way on from a log that has lost what its watermarks promise.
const newLog = "what is lost is not written again: start a new log under another pipeline name, and let its readers begin anew"

// errBeginAgain says that the producer's state is not what it should be, for a reason that a new epoch mends.
var errBeginAgain = errors.New("begin again")

// class says what an error of Kafka means for whoever made the request.
type class int

const (
	passing class = iota // ask again: unreachable, leader moving, coordinator loading
	fenced               // a newer writer exists
	restart              // the producer's state is unknown: begin again
	lasting              // asking again does not help
)

// classify tells what to do about an error.
func classify(err error) class {
	if errors.Is(err, errBeginAgain) {
		return restart
	}
	if code, ok := errors.AsType[kafka.Error](err); ok {
		return classOf(code)
	}
	var (
		verify    *tls.CertificateVerificationError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		alert     tls.AlertError
		unknown   *net.DNSError
	)
	switch {
	case errors.Is(err, eventstore.ErrFenced):
		return fenced
	case errors.Is(err, eventstore.ErrLogMismatch), errors.Is(err, eventstore.ErrPositionLost), errors.Is(err, eventstore.ErrClosed):
		return lasting
	case errors.Is(err, eventstore.ErrBlobGone), errors.Is(err, errNoBlobs):
		return lasting
	case errors.Is(err, errMalformed), errors.Is(err, errOldBroker), errors.Is(err, errNotKafka), errors.Is(err, ErrForeignProducer):
		return lasting
	case errors.As(err, &verify), errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &record), errors.As(err, &alert):
		return lasting
	case errors.As(err, &unknown) && unknown.IsNotFound:
		return lasting
	case errors.Is(err, context.Canceled):
		return lasting
	case isSettings(err):
		return lasting
	}
	// Everything else came from the network (refused, reset, timed out, cut off) or from metadata that lag behind.
	return passing
}

func isSettings(err error) bool {
	_, ok := errors.AsType[*SettingsError](err)
	return ok
}

func classOf(code kafka.Error) class {
	switch code {
	case kafka.ProducerFenced, kafka.InvalidProducerEpoch:
		return fenced
	case kafka.OutOfOrderSequenceNumber, kafka.DuplicateSequenceNumber, kafka.UnknownProducerId, kafka.InvalidProducerIDMapping:
		return restart
	case kafka.BrokerNotAvailable, kafka.ReplicaNotAvailable, kafka.ConcurrentTransactions, kafka.TransactionCoordinatorFenced,
		// An old writer's batch while a newer one's fence is open: what follows is an epoch error, so ask once more.
		kafka.InvalidTransactionState,
		kafka.Unknown, kafka.StaleControllerEpoch, kafka.ReassignmentInProgress, kafka.RebalanceInProgress:
		return passing
	}
	if code.Temporary() {
		return passing
	}
	return lasting
}

// hint says what an operator may do about an error that passes by itself only when its reason does.
func hint(err error) string {
	code, _ := errors.AsType[kafka.Error](err)
	switch code {
	case kafka.KafkaStorageError:
		return "a broker's disk is full or broken: see its log"
	case kafka.NotEnoughReplicas, kafka.NotEnoughReplicasAfterAppend:
		return "fewer brokers are in sync than min.insync.replicas demands"
	case kafka.LeaderNotAvailable, kafka.NotLeaderForPartition:
		return "a partition has no leader: a broker is down"
	}
	return "is a broker down, or the network cut?"
}

// unavailable marks an error as one that may pass.
func unavailable(err error) error {
	if err == nil || errors.Is(err, eventstore.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", eventstore.ErrUnavailable, err)
}

// seamError translates an error into those of the seam.
func seamError(err error) error {
	if err == nil {
		return nil
	}
	switch classify(err) {
	case fenced:
		if errors.Is(err, eventstore.ErrFenced) {
			return err
		}
		return fmt.Errorf("%w (%w)", eventstore.ErrFenced, err)
	case passing, restart:
		return unavailable(err)
	}
	return explain(err)
}

// explain adds to an error what to do about it, where that is not plain.
func explain(err error) error {
	code, _ := errors.AsType[kafka.Error](err)
	switch code {
	case kafka.SASLAuthenticationFailed:
		return fmt.Errorf("%w: check the user name and password of Config.SASL", err)
	case kafka.UnsupportedSASLMechanism:
		return fmt.Errorf("%w: the broker's listener does not offer Config.SASL's mechanism", err)
	case kafka.TopicAuthorizationFailed, kafka.ClusterAuthorizationFailed, kafka.TransactionalIDAuthorizationFailed:
		return fmt.Errorf("%w: grant the account Read, Write, Create, Describe and DescribeConfigs on topics, and Write on transactional ids, with the pipeline's prefix", err)
	case kafka.InvalidTimestamp:
		return fmt.Errorf("%w: the clock of the source, or the relay's, is ahead of the broker's by more than the topic's message.timestamp.after.max.ms, or behind it by more "+
			"than message.timestamp.before.max.ms: set the clocks right, or raise these; nothing of the batch was written", err)
	}
	return err
}
