package projector

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/millrace-go/millrace/eventstore"
)

// mariadbServer waits for commits by the position up to which the server says that the storage engine has committed. MariaDB's
// MASTER_GTID_WAIT works on replicas only.
type mariadbServer struct{}

func (mariadbServer) check(ctx context.Context, c *sql.Conn) error {
	var version, scheduling string
	if err := c.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return fmt.Errorf("read the version: %w", err)
	}
	if !strings.Contains(version, "MariaDB") {
		return fmt.Errorf("the server is %s, not MariaDB: use projector.MySQL", version)
	}
	if err := c.QueryRowContext(ctx, "SELECT @@global.binlog_optimize_thread_scheduling").Scan(&scheduling); err != nil {
		return fmt.Errorf("read binlog_optimize_thread_scheduling: %w", err)
	}
	if scheduling != "1" && !strings.EqualFold(scheduling, "ON") {
		return errors.New("binlog_optimize_thread_scheduling is OFF, want ON: without it the server's committed position is wrong now and then; it is set at the server's start")
	}
	at, err := committed(ctx, c)
	if err != nil {
		return err
	}
	if _, err := binlogEvents(ctx, c, at.file, 1); err != nil {
		return fmt.Errorf("show binlog events: %w (GRANT BINLOG MONITOR ON *.* TO this account)", err)
	}
	return nil
}

// pollCommitted is the pause between two looks at the committed position.
const pollCommitted = 2 * time.Millisecond

func (mariadbServer) wait(ctx context.Context, c *sql.Conn, executed eventstore.Position) error {
	if executed.GTIDs == "" && executed.File == "" {
		return nil
	}
	if executed.Flavor != "mariadb" {
		return fmt.Errorf("the log is that of a %s server, the database is MariaDB", executed.Flavor)
	}
	want, err := parseBinlogPosition(executed.File, executed.Offset)
	if err != nil {
		return fmt.Errorf("the watermark's binlog position: %w", err)
	}
	var server string
	if err := c.QueryRowContext(ctx, "SELECT @@server_id").Scan(&server); err != nil {
		return fmt.Errorf("read server_id: %w", err)
	}
	if executed.Server != "" && executed.Server != server {
		return fmt.Errorf("the log is that of server %s, the database is server %s: binlog positions of two servers cannot be compared; give the Query the server that is captured", executed.Server, server)
	}
	for until := time.Now().Add(executedWait); ; {
		at, err := committed(ctx, c)
		if err != nil {
			return err
		}
		there, err := reached(ctx, c, at, want)
		if err != nil || there {
			return err
		}
		if time.Now().After(until) {
			return fmt.Errorf("%w: committed only up to %v within %v", ErrUnavailable, at, executedWait)
		}
		if !sleep(ctx, pollCommitted) {
			return ctx.Err()
		}
	}
}

// binlogPosition is a place in the binlog of one server: files are numbered.
type binlogPosition struct {
	file   string
	number uint64
	offset uint64
}

func (p binlogPosition) String() string { return fmt.Sprintf("%s:%d", p.file, p.offset) }

func parseBinlogPosition(file string, offset uint64) (binlogPosition, error) {
	n, err := strconv.ParseUint(file[strings.LastIndexByte(file, '.')+1:], 10, 64)
	if err != nil {
		return binlogPosition{}, fmt.Errorf("binlog file %q has no number", file)
	}
	return binlogPosition{file, n, offset}, nil
}

// committed reads the position of the last commit in the storage engine. Other sessions' SHOW STATUS can put an older one in its
// place, never a newer one: it is a lower bound.
func committed(ctx context.Context, c *sql.Conn) (binlogPosition, error) {
	rows, err := c.QueryContext(ctx, "SHOW STATUS LIKE 'binlog_snapshot_%'")
	if err != nil {
		return binlogPosition{}, fmt.Errorf("show status: %w", err)
	}
	defer rows.Close()
	var file string
	var offset uint64
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return binlogPosition{}, fmt.Errorf("show status: %w", err)
		}
		switch strings.ToLower(name) {
		case "binlog_snapshot_file":
			file = value
		case "binlog_snapshot_position":
			if offset, err = strconv.ParseUint(value, 10, 64); err != nil {
				return binlogPosition{}, errors.New("show status: binlog_snapshot_position is not a number")
			}
		}
	}
	if err := rows.Err(); err != nil {
		return binlogPosition{}, fmt.Errorf("show status: %w", err)
	}
	if file == "" {
		return binlogPosition{}, errors.New("the server has no binlog: start it with log_bin")
	}
	return parseBinlogPosition(file, offset)
}

// reached tells whether everything up to want is committed when the server says that it is at at.
//
// Within one file, positions are those of commits, in order. When the server begins a new file, it says so before the last commits of the
// old one are done; then it is a commit in the new file, or the file's checkpoint event (which names the oldest file that has commits
// to do), that shows that the old ones are through.
func reached(ctx context.Context, c *sql.Conn, at, want binlogPosition) (bool, error) {
	if at.number <= want.number {
		return at.number == want.number && at.offset >= want.offset, nil
	}
	events, err := binlogEvents(ctx, c, at.file, 16)
	if err != nil {
		return false, fmt.Errorf("show binlog events: %w", err)
	}
	return passedHeader(events, at, want), nil
}

func passedHeader(events []binlogEvent, at, want binlogPosition) bool {
	for _, e := range events {
		switch e.kind {
		case "Gtid":
			if e.offset < at.offset {
				return true
			}
		case "Binlog_checkpoint":
			if oldest, err := parseBinlogPosition(e.info, 0); err == nil && oldest.number > want.number {
				return true
			}
		}
	}
	return false
}

// binlogEvent is a line of SHOW BINLOG EVENTS.
type binlogEvent struct {
	kind   string
	offset uint64
	info   string
}

func binlogEvents(ctx context.Context, c *sql.Conn, file string, limit int) ([]binlogEvent, error) {
	// The name comes from the server itself; it takes no parameters here.
	rows, err := c.QueryContext(ctx, fmt.Sprintf("SHOW BINLOG EVENTS IN '%s' LIMIT %d", strings.ReplaceAll(file, "'", "''"), limit))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var events []binlogEvent
	for rows.Next() {
		var e binlogEvent
		var name string
		var server, end uint64
		if err := rows.Scan(&name, &e.offset, &e.kind, &server, &end, &e.info); err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, rows.Err()
}
