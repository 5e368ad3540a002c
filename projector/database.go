package projector

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// Database is where the loader of a [Query] reads. [MySQL] and [MariaDB] make the ones of this library. It is safe for concurrent use.
type Database interface {
	// Check verifies that the database can be reached, is of the right kind, and that the account may do what Snapshot needs.
	Check(ctx context.Context) error

	// Snapshot waits until the database shows everything up to the position, then calls read with a transaction in which every
	// statement sees one state, and ends it. read's error is returned, wrapping [ErrUnavailable] when its cause may pass; so is a database that
	// does not get there within a second or two.
	Snapshot(ctx context.Context, executed eventstore.Position, read func(ctx context.Context, tx *sql.Tx) error) error
}

// executedWait is how long a call of Snapshot waits for the database to get there before it says so.
const executedWait = 2 * time.Second

// MySQL returns the database behind db, a MySQL server with GTIDs: the one whose log is followed, or any replica of it. The
// account needs no more than what the loader reads. db stays the caller's to close.
func MySQL(db *sql.DB) Database { return &sqlDatabase{db: db, server: mysqlServer{}} }

// MariaDB returns the database behind db: the MariaDB server whose log is followed, not a replica. The account needs BINLOG MONITOR
// beside what the loader reads. db stays the caller's to close.
func MariaDB(db *sql.DB) Database { return &sqlDatabase{db: db, server: mariadbServer{}} }

// sqlServer is what differs between the servers.
type sqlServer interface {
	check(ctx context.Context, c *sql.Conn) error
	// wait returns when the connection's server shows everything up to the position.
	wait(ctx context.Context, c *sql.Conn, executed eventstore.Position) error
}

type sqlDatabase struct {
	db     *sql.DB
	server sqlServer
}

func (d *sqlDatabase) Check(ctx context.Context) error {
	if d.db == nil {
		return errors.New("database: db is nil")
	}
	c, err := d.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("database: connect: %w", err)
	}
	defer c.Close()
	if err := d.server.check(ctx, c); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	return nil
}

// Snapshot waits and reads on one connection, so that a db that stands for several servers does no harm. The transaction's snapshot is
// made by its first statement, which comes after the wait.
func (d *sqlDatabase) Snapshot(ctx context.Context, executed eventstore.Position, read func(context.Context, *sql.Tx) error) error {
	c, err := d.db.Conn(ctx)
	if err != nil {
		return classify(ctx, nil, fmt.Errorf("database: connect: %w", err))
	}
	defer c.Close()
	if err := d.server.wait(ctx, c, executed); err != nil {
		return classify(ctx, c, fmt.Errorf("database: wait for %v: %w", executed, err))
	}
	tx, err := c.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return classify(ctx, c, fmt.Errorf("database: begin: %w", err))
	}
	err = read(ctx, tx)
	// Nothing was written; the error of an early end of the connection is in err or does not matter.
	_ = tx.Rollback()
	return classify(ctx, c, err)
}

// classify marks errors that may pass. The core imports no driver, so what a server has said is known by its SQLSTATE in the
// text that go-sql-driver gives it, and a broken connection by its not answering.
func classify(ctx context.Context, c *sql.Conn, err error) error {
	if err == nil || ctx.Err() != nil || errors.Is(err, ErrUnavailable) {
		return err
	}
	if _, ok := errors.AsType[*PanicError](err); ok {
		return err
	}
	_, network := errors.AsType[net.Error](err)
	passes := network || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded)
	if state := sqlState.FindStringSubmatch(err.Error()); state != nil {
		passes = passes || passingState(state[1])
	} else if !passes && c != nil {
		passes = c.PingContext(ctx) != nil
	}
	if passes {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

var sqlState = regexp.MustCompile(`\bError \d+ \(([0-9A-Z]{5})\): `)

// passingState tells whether a server's error may pass: lost connection, rollback and deadlock, interrupted (a killed or too long statement),
// and the general ones, among them lock wait timeouts. Others (syntax, missing table, access) will not.
func passingState(state string) bool {
	for _, class := range []string{"08", "40", "70", "HY"} {
		if strings.HasPrefix(state, class) {
			return true
		}
	}
	return false
}
