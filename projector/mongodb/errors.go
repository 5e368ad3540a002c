package mongodb

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/millrace-go/millrace/projector"
)

// MongoDB's error codes that are told apart (src/mongo/base/error_codes.yml in its source).
const (
	codeUnauthorized    = 13
	codeAuthFailed      = 18
	codeNamespaceExists = 48
	codeIndexOptions    = 85
	codeIndexSpecs      = 86
	codeUUIDMismatch    = 361
	codeAtlasAuth       = 8000
	codeDuplicateKey    = 11000
)

// passing are the codes of what passes: elections, shutdowns, lost connections, time-outs, contention, a full disk.
var passing = []int{
	6,     // HostUnreachable
	7,     // HostNotFound
	24,    // LockTimeout
	46,    // LockBusy
	50,    // MaxTimeMSExpired
	64,    // WriteConcernFailed
	89,    // NetworkTimeout
	91,    // ShutdownInProgress
	100,   // UnsatisfiableWriteConcern
	112,   // WriteConflict
	133,   // FailedToSatisfyReadPreference
	134,   // ReadConcernMajorityNotAvailableYet
	189,   // PrimarySteppedDown
	262,   // ExceededTimeLimit
	462,   // IngressRequestRateLimitExceeded
	9001,  // SocketException
	10107, // NotWritablePrimary
	11600, // InterruptedAtShutdown
	11601, // Interrupted
	11602, // InterruptedDueToReplStateChange
	13388, // StaleConfig
	13435, // NotPrimaryNoSecondaryOk
	13436, // NotPrimaryOrSecondary
	14031, // OutOfDiskSpace
}

// commandError explains why a command failed. What leaves its effect unknown, or passes, wraps projector.ErrUnavailable.
func commandError(ctx context.Context, step string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("mongodb: %s: %w", step, context.Cause(ctx))
	}
	if errors.Is(err, mongo.ErrClientDisconnected) {
		return fmt.Errorf("mongodb: %s: the sink is closed", step)
	}
	server, ok := errors.AsType[mongo.CommandError](err)
	if !ok || server.Code == 0 { // no answer: connection lost, no primary found, time-out
		return fmt.Errorf("mongodb: %s: %w: %w", step, projector.ErrUnavailable, err)
	}
	switch {
	case server.Code == codeAuthFailed || server.Code == codeAtlasAuth:
		return fmt.Errorf("mongodb: %s: user name or password is wrong, or the user is in another database than the URI's authSource: %s (code %d)",
			step, server.Message, server.Code)
	case server.Code == codeUnauthorized:
		return fmt.Errorf("mongodb: %s: the account lacks a privilege: %s (code %d): grant it readWrite and dbAdmin on the database",
			step, server.Message, server.Code)
	case slices.Contains(passing, int(server.Code)), server.HasErrorLabel("RetryableWriteError"), server.HasErrorLabel("NetworkError"):
		return fmt.Errorf("mongodb: %s: %w: %s (code %d)", step, projector.ErrUnavailable, server.Message, server.Code)
	}
	return fmt.Errorf("mongodb: %s: %s (code %d)", step, server.Message, server.Code)
}

func hasCode(err error, codes ...int) bool {
	server, ok := errors.AsType[mongo.ServerError](err)
	return ok && slices.ContainsFunc(codes, server.HasErrorCode)
}
