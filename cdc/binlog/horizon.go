package binlog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/gtid"
)

var _ cdc.HorizonSource = (*Source)(nil)

// Horizon says how long the server keeps what comes behind from. It looks for the file by the sets that stand at the beginnings of the
// files, so from may come from another server. When that file was closed it reads from the next one's first event, since no statement
// shows it; the limit is binlog_expire_logs_seconds (or expire_logs_days on MariaDB). Of several servers the first that has the
// position answers. XA transactions of the position whose binlog is purged are passed over where Open does that.
func (s *Source) Horizon(ctx context.Context, from cdc.Position) (cdc.Horizon, error) {
	if s.topology != nil {
		return first(ctx, s.topology, func(one *Source) (cdc.Horizon, error) { return one.Horizon(ctx, from) })
	}
	c, err := connect(ctx, &s.cfg)
	if err != nil {
		return cdc.Horizon{}, err
	}
	defer c.close()
	h, err := c.horizon(ctx, from)
	if errors.Is(err, cdc.ErrPositionLost) {
		if rest, ok := c.withoutForgotten(ctx, from); ok {
			h, err = c.horizon(ctx, rest)
		}
	}
	if err != nil {
		return h, fmt.Errorf("horizon: %w", err)
	}
	return h, nil
}

func (c *conn) horizon(ctx context.Context, from cdc.Position) (cdc.Horizon, error) {
	h := cdc.Horizon{Server: c.cfg.Addr}
	set, err := startSet(c.flavor, from)
	if err != nil {
		return h, err
	}
	rows, err := c.rows(ctx, "SHOW BINARY LOGS")
	if err != nil {
		return h, err
	}
	if len(rows) == 0 {
		return h, fmt.Errorf("%s has no binlog files", c.cfg.Addr)
	}
	files := make([]string, len(rows))
	for i, row := range rows {
		files[i] = row["log_name"]
	}
	h.Oldest = files[0]
	// What a file begins behind only grows from file to file.
	behind := sort.Search(len(files), func(i int) bool {
		if err != nil {
			return true
		}
		var begins *gtid.Set
		if begins, err = c.beginsBehind(ctx, files[i]); err != nil {
			return true
		}
		return !set.Contains(begins)
	})
	if err != nil {
		return h, err
	}
	if behind == 0 {
		return h, lost(fmt.Sprintf("the oldest binlog file of %s, %s, begins behind the position", c.cfg.Addr, files[0]), nil)
	}
	h.File = files[behind-1]
	if h.Expiry, err = c.expiry(ctx); err != nil || h.Expiry == 0 {
		return h, err
	}
	h.Left = h.Expiry
	if behind == len(files) {
		return h, nil // still being written
	}
	text, err := c.value(ctx, "SELECT UNIX_TIMESTAMP()")
	if err != nil {
		return h, err
	}
	now, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return h, fmt.Errorf("time of %s: %w", c.cfg.Addr, err)
	}
	if h.Closed, err = c.begun(ctx, files[behind]); err != nil {
		return h, err
	}
	h.Left = h.Closed.Add(h.Expiry).Sub(time.Unix(now, 0))
	return h, nil
}

// beginsBehind is what was executed before a file's first transaction.
func (c *conn) beginsBehind(ctx context.Context, file string) (*gtid.Set, error) {
	events, err := c.rows(ctx, fmt.Sprintf("SHOW BINLOG EVENTS IN '%s' LIMIT 4", strings.ReplaceAll(file, "'", "''")))
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		if kind := e["event_type"]; strings.EqualFold(kind, "Gtid_list") || strings.EqualFold(kind, "Previous_gtids") {
			return gtid.Parse(c.flavor, flat(strings.Trim(e["info"], "[]")))
		}
	}
	return nil, fmt.Errorf("binlog file %q of %s does not begin with a set of GTIDs", file, c.cfg.Addr)
}

// expiry is how long the server keeps files that it has closed; 0 means for ever.
func (c *conn) expiry(ctx context.Context) (time.Duration, error) {
	rows, err := c.rows(ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('binlog_expire_logs_seconds', 'expire_logs_days', 'binlog_expire_logs_auto_purge')")
	if err != nil {
		return 0, err
	}
	var seconds float64
	for _, row := range rows {
		value, err := strconv.ParseFloat(row["value"], 64)
		switch name := row["variable_name"]; {
		case name == "binlog_expire_logs_auto_purge":
			if strings.EqualFold(row["value"], "OFF") {
				return 0, nil
			}
		case err != nil:
			return 0, fmt.Errorf("%s of %s: %w", name, c.cfg.Addr, err)
		case name == "expire_logs_days":
			seconds = max(seconds, value*24*60*60)
		default:
			seconds = max(seconds, value)
		}
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// begun is when the server began a binlog file, by the time of its first event.
func (c *conn) begun(ctx context.Context, file string) (began time.Time, err error) {
	err = c.readFile(ctx, file, func(raw []byte) (more bool, err error) { // a rotate event, then the format description
		if replication.EventType(raw[4]) != replication.FORMAT_DESCRIPTION_EVENT {
			return true, nil
		}
		began = time.Unix(int64(binary.LittleEndian.Uint32(raw)), 0)
		return false, nil
	})
	if err == nil && began.IsZero() {
		err = errors.New("the binlog file does not begin with a format description")
	}
	return began, err
}
