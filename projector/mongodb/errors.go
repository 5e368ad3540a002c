package mongodb

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/millrace-go/millrace/projector"
)

// MongoDB's error codes that are told apart (mongodb/mongo: src/mongo/base/error_codes.yml).
const (
	codeUnauthorized     = 13
	codeAuthFailed       = 18
	codeNamespaceMissing = 26
	codeNamespaceExists  = 48
	codeIndexOptions     = 85
	codeIndexSpecs       = 86
	codeUUIDMismatch     = 361
	codeDuplicateKey     = 11000
	codeAtlas            = 8000
)

// passing are codes of what passes: elections, shutdowns, lost connections, time-outs, contention, a full disk.
var passing = []int{
	6, 7, 24, 43, 46, 50, 63, 64, 89, 91, 109, 112, 133, 134, 189, 196, 202, 234, 237, 246, 251, 262, 279, 290, 314, 317, 384, 391,
	462, 9001, 10058, 10107, 11600, 11601, 11602, 13388, 13435, 13436, 14031,
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
	case server.Code == codeAuthFailed || server.Code == codeAtlas:
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
