package projector

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/millrace-go/millrace/eventstore"
)

type mysqlServer struct{}

func (mysqlServer) check(ctx context.Context, c *sql.Conn) error {
	var version, mode string
	if err := c.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return fmt.Errorf("read the version: %w", err)
	}
	if strings.Contains(version, "MariaDB") {
		return fmt.Errorf("the server is %s, not MySQL: use projector.MariaDB", version)
	}
	if err := c.QueryRowContext(ctx, "SELECT @@global.gtid_mode").Scan(&mode); err != nil {
		return fmt.Errorf("read gtid_mode: %w", err)
	}
	if mode != "ON" {
		return fmt.Errorf("gtid_mode is %s, want ON: set it together with enforce_gtid_consistency", mode)
	}
	return nil
}

// wait: an event can be in the binlog, and here, before its transaction is visible; the set is executed when it is.
func (mysqlServer) wait(ctx context.Context, c *sql.Conn, executed eventstore.Position) error {
	if executed.GTIDs == "" {
		return nil
	}
	if executed.Flavor != "mysql" {
		return fmt.Errorf("the log is that of a %s server, the database is MySQL", executed.Flavor)
	}
	var timedOut int
	err := c.QueryRowContext(ctx, "SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?)", executed.GTIDs, executedWait.Seconds()).Scan(&timedOut)
	if err != nil {
		return err
	}
	if timedOut != 0 {
		return fmt.Errorf("%w: not executed there within %v", ErrUnavailable, executedWait)
	}
	return nil
}
