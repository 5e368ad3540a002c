package binlog

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/millrace-go/millrace/cdc"
)

// The server's error numbers that matter here.
const (
	codeTooManyConnections = 1040
	codeAccessDenied       = 1045
	codeNoSchema           = 1049
	codeShutdown           = 1053
	codeUnknownColumn      = 1054
	codeForcingClose       = 1080
	codeSelectDenied       = 1142
	codeColumnDenied       = 1143
	codeNoTable            = 1146
	codeNetReadError       = 1158
	codeNetReadInterrupted = 1159
	codeNetWriteError      = 1160
	codeNetWriteInterrupt  = 1161
	codeLockWait           = 1205
	codeDeadlock           = 1213
	codeCommand            = 1220 // "Error when executing command": no such binlog file, no event there
	codeSpecificAccess     = 1227
	codeUserLimit          = 1226
	codeTooManyUserConns   = 1203
	codeFatalReading       = 1236
	codeInterrupted        = 1317
	codeTableChanged       = 1412
	codePurgedGTIDs        = 1789
	codeKilled             = 1927 // MariaDB
	codeStatementTime      = 1969 // MariaDB
	codeExecutionTime      = 3024
	codeOffline            = 3032
	codeSecureTransport    = 3159
	codeNotAvailable       = 3168
	codeSessionKilled      = 3169
	codeIdle               = 4031
)

// transient tells whether another try may succeed without anybody doing something.
func transient(err error) bool {
	if e, ok := errors.AsType[*mysql.MyError](err); ok {
		switch e.Code {
		case codeTooManyConnections, codeShutdown, codeForcingClose, codeNetReadError, codeNetReadInterrupted, codeNetWriteError,
			codeNetWriteInterrupt, codeUserLimit, codeTooManyUserConns, codeInterrupted, codeKilled, codeOffline, codeNotAvailable, codeSessionKilled,
			codeLockWait, codeDeadlock, codeStatementTime, codeExecutionTime, codeIdle:
			return true
		}
		return false
	}
	if isTLS(err) {
		return expired(err)
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, mysql.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, context.DeadlineExceeded)
}

// isTLS tells of a failed handshake that will fail again.
func isTLS(err error) bool {
	_, verify := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	return verify || record || alert || authority
}

// expired tells of a certificate that is not valid now: it is renewed on the server, or a clock is set right.
func expired(err error) bool {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok && invalid.Reason == x509.Expired
}

// serverError wraps err with what was tried, and with cdc.ErrUnavailable where it may pass.
func serverError(what string, err error) error {
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", what, err)
	}
	if transient(err) {
		return fmt.Errorf("%s: %w: %w", what, cdc.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// loginError explains why a connection could not be made.
func loginError(ctx context.Context, err error, cfg *Config) error {
	what := "connect to " + cfg.Addr
	if e, ok := errors.AsType[*mysql.MyError](err); ok {
		switch {
		case e.Code == codeSecureTransport || strings.Contains(e.Message, "insecure transport"):
			return fmt.Errorf("%s: the server takes encrypted connections only. Fix: set Config.TLS: %w", what, e)
		case e.Code == codeAccessDenied && cfg.TLS == nil:
			return fmt.Errorf("%s: account %q: wrong name or password, or the account demands TLS (Config.TLS): %w", what, cfg.User, e)
		case e.Code == codeAccessDenied:
			return fmt.Errorf("%s: account %q: wrong name or password: %w", what, cfg.User, e)
		}
		return serverError(what, e)
	}
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, context.DeadlineExceeded) {
			return fmt.Errorf("%s: %w: no answer within %v; is it a MySQL or MariaDB server?", what, cdc.ErrUnavailable, connectTimeout)
		}
		return fmt.Errorf("%s: %w", what, cause)
	}
	if isTLS(err) {
		return serverError(what+": TLS", err)
	}
	if transient(err) {
		return serverError(what, err)
	}
	return fmt.Errorf("%s: the MySQL handshake does not succeed; is it a MySQL or MariaDB server? %w", what, err)
}

// streamError explains the end of a stream.
func streamError(err error, cfg *Config, serverID uint32) error {
	what := "binlog stream from " + cfg.Addr
	e, ok := errors.AsType[*mysql.MyError](err)
	if !ok {
		return serverError(what, err)
	}
	switch text := strings.ToLower(e.Message); {
	case strings.Contains(text, "same server_uuid/server_id"):
		return fmt.Errorf("%s: %w: another replica with server id %d has connected. Fix: give each its own Config.ServerID, or none: %w",
			what, cdc.ErrUnavailable, serverID, e)
	case e.Code == codePurgedGTIDs, e.Code == codeFatalReading && lostTexts(text):
		return lost(what, e)
	case e.Code == codeFatalReading && (strings.Contains(text, "has more gtids") || strings.Contains(text, "not in the master's binlog") ||
		strings.Contains(text, "missing the gtid requested")):
		return behind(what, e)
	case e.Code == codeSpecificAccess || e.Code == codeAccessDenied:
		return fmt.Errorf("%s: account %q may not read the binlog. Fix: GRANT REPLICATION SLAVE ON *.* TO it: %w", what, cfg.User, e)
	}
	return serverError(what, e)
}

// isCutOff tells that a binlog file ends within an event: MariaDB leaves it so when it was killed within a commit. A stream that begins
// behind the last whole transaction begins in the next file.
func isCutOff(err error) bool {
	e, ok := errors.AsType[*mysql.MyError](err)
	return ok && e.Code == codeFatalReading && strings.Contains(strings.ToLower(e.Message), "truncated in the middle of event")
}

// lostTexts tells from the server's text whether the binlog of the position is gone.
func lostTexts(text string) bool {
	for _, part := range []string{"purged", "could not find first log", "too old", "could not find gtid state", "missing transactions"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// behind wraps cdc.ErrSourceBehind with what to do.
func behind(what string, err error) error {
	return fmt.Errorf("%s: %w: the position has transactions that the server has not: it lags, it lost them, or it is another server. Fix: "+
		"connect to the server that has them: %w", what, cdc.ErrSourceBehind, err)
}

// lost wraps cdc.ErrPositionLost with the ways on.
func lost(what string, err error) error {
	text := fmt.Errorf("%s: %w. The ways on: restore the purged binlog files on the server; follow a replica that still has them (Config.Addrs); or "+
		"start a new log, which reads the tables as they are now (Config.Snapshot), or one from a later position, knowing what is missing", what, cdc.ErrPositionLost)
	if err == nil {
		return text
	}
	return fmt.Errorf("%w: %w", text, err)
}
