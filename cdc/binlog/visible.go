package binlog

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/internal/gtid"
	"github.com/millrace-go/millrace/internal/pause"
)

// A transaction comes through the stream before it is visible: its group is written to the binlog, and then committed in the engine,
// milliseconds later. What was delivered must be visible in a chunk, so the reader waits. How each server says what is visible, and how
// not, is in docs/decisions/0011-reading-chunks.md.

const (
	// visibleTimeout is how long a server may take until everything that was delivered is visible. A replica may lag.
	visibleTimeout = 30 * time.Second

	fixScheduling = "start the server without binlog_optimize_thread_scheduling=0 (needs a restart)"
)

// awaitVisible returns when a view that is opened now has everything delivered, and what must be known of that; see [cdc.Chunk].
func (r *chunkReader) awaitVisible(ctx context.Context, delivered cdc.Position) (low *cdc.Coordinates, unseen []string, err error) {
	if delivered.Flavor != "" && delivered.Flavor != r.conn.flavor {
		return nil, nil, fmt.Errorf("what was delivered is of a %s server, %s is a %s server", delivered.Flavor, r.cfg.Addr, r.conn.flavor)
	}
	set, err := gtid.Parse(r.conn.flavor, delivered.GTIDs)
	if err != nil || set.IsEmpty() {
		return nil, nil, err
	}
	deadline := time.Now().Add(visibleTimeout)
	if r.conn.flavor == MySQL {
		if !waits {
			return nil, nil, nil
		}
		return nil, nil, r.awaitGTIDs(ctx, set, deadline)
	}
	if !marksLow {
		return nil, nil, nil
	}
	if low, err = r.awaitCommitted(ctx, delivered, deadline); err != nil {
		return nil, nil, err
	}
	unseen, err = r.prepared(ctx)
	return low, unseen, err
}

func (r *chunkReader) behind(delivered string) error {
	return fmt.Errorf("%w: %s has not executed all of %s within %v", cdc.ErrUnavailable, r.cfg.Addr, delivered, visibleTimeout)
}

// awaitGTIDs waits on MySQL, where what is in gtid_executed is visible.
func (r *chunkReader) awaitGTIDs(ctx context.Context, set *gtid.Set, deadline time.Time) error {
	for {
		late, err := r.conn.value(ctx, fmt.Sprintf("SELECT WAIT_FOR_EXECUTED_GTID_SET('%s', 1)", set))
		switch {
		case err != nil || late == "0":
			return err
		case time.Now().After(deadline):
			return r.behind(set.String())
		}
	}
}

// awaitCommitted waits on MariaDB, whose binlog_snapshot_file and binlog_snapshot_position say, outside a view, how far the server has
// committed its binlog, with two exceptions.
//
// Behind a rotation they say that the beginning of the new file is committed, before the end of the file before is. That is true only when
// a checkpoint event in the new file names it.
//
// Several sessions that ask at once read what others were told, perhaps half of it: a place that was committed some time ago, or no place
// at all. So a place that they name counts only if a transaction ends there. Where one that will be delivered may, that is left to
// whoever reads the stream: it is returned as the low mark. At a place that the stream has passed already it is made sure here.
func (r *chunkReader) awaitCommitted(ctx context.Context, delivered cdc.Position, deadline time.Time) (*cdc.Coordinates, error) {
	target := cdc.Coordinates{Server: r.server, File: delivered.File, Offset: delivered.Offset}
	known := delivered.Server == r.server && delivered.File != ""
	if !known { // nothing of this server was delivered: everything that is in its binlog now will do
		var err error
		if target, err = r.written(ctx, delivered); err != nil {
			return nil, err
		}
	}
	for wait := time.Duration(0); ; wait = min(wait+time.Millisecond, 20*time.Millisecond) {
		place, err := r.committed(ctx)
		if err != nil {
			return nil, err
		}
		head, err := r.heads.of(ctx, r.conn, place.File)
		if err != nil {
			return nil, err
		}
		order := place.Compare(target)
		switch {
		case place.Offset <= head.end: // nothing was committed in this file
			if head.empty && head.checkpoint && order >= 0 || head.checkpoint && place.File == target.File && target.Offset <= head.end {
				return nil, nil
			}
		case order > 0 && known:
			return &place, nil
		case order == 0 && known:
			return nil, nil
		case place.File == target.File && (order >= 0 || wait > 2*time.Millisecond):
			if quiet, err := r.quiet(ctx, place, target); err != nil || quiet {
				return nil, err
			}
		case order > 0:
			if quiet, err := r.quiet(ctx, place, place); err != nil || quiet {
				return nil, err
			}
		}
		if time.Now().After(deadline) {
			return nil, r.behind(delivered.GTIDs)
		}
		if !pause.For(ctx, wait) {
			return nil, context.Cause(ctx)
		}
	}
}

// written returns the end of the binlog, once it has what was delivered.
func (r *chunkReader) written(ctx context.Context, delivered cdc.Position) (cdc.Coordinates, error) {
	executed, err := r.conn.executed(ctx)
	if err != nil {
		return cdc.Coordinates{}, err
	}
	if covered, err := executed.Covers(delivered.GTIDs); err != nil || !covered {
		if err == nil {
			err = fmt.Errorf("%w: %s has executed %q, and %q was delivered", cdc.ErrUnavailable, r.cfg.Addr, executed.GTIDs, delivered.GTIDs)
		}
		return cdc.Coordinates{}, err
	}
	// The set was asked for behind the place.
	executed, err = r.conn.executed(ctx)
	return cdc.Coordinates{Server: r.server, File: executed.File, Offset: executed.Offset}, err
}

// committed asks for the place. The session has no view.
func (r *chunkReader) committed(ctx context.Context) (cdc.Coordinates, error) {
	rows, err := r.conn.rows(ctx, "SHOW STATUS LIKE 'binlog_snapshot_%'")
	if err != nil {
		return cdc.Coordinates{}, err
	}
	p := cdc.Coordinates{Server: r.server}
	for _, row := range rows {
		switch row["variable_name"] {
		case "Binlog_snapshot_file":
			p.File = row["value"]
		case "Binlog_snapshot_position":
			p.Offset, err = strconv.ParseUint(row["value"], 10, 64)
		}
	}
	if err != nil || p.File == "" {
		return p, fmt.Errorf("SHOW STATUS at %s: binlog_snapshot_file and binlog_snapshot_position are %s:%d", r.cfg.Addr, p.File, p.Offset)
	}
	return p, nil
}

// fileHead is what stands in a binlog file in front of its transactions.
type fileHead struct {
	end        uint64
	empty      bool // there are no transactions
	checkpoint bool // everything in the files before is committed
}

// fileHeads remembers the last one, once it cannot change.
type fileHeads struct {
	file string
	head fileHead
}

func (h *fileHeads) of(ctx context.Context, c *conn, file string) (fileHead, error) {
	if h.file == file {
		return h.head, nil
	}
	events, _, err := c.binlogEvents(ctx, file, 4, 10)
	if err != nil {
		return fileHead{}, err
	}
	head := fileHead{empty: true}
	for _, e := range events {
		if !e.between {
			head.empty = false
			break
		}
		head.end = e.end
		head.checkpoint = head.checkpoint || e.kind == "Binlog_checkpoint" && e.info == file
	}
	if !head.empty {
		h.file, h.head = file, head
	}
	return head, nil
}

// quiet tells whether there is no transaction from one place up to another in the same file, and events are divided at the first one.
func (r *chunkReader) quiet(ctx context.Context, from, to cdc.Coordinates) (bool, error) {
	events, there, err := r.conn.binlogEvents(ctx, from.File, from.Offset, 10)
	if err != nil || !there {
		return false, err
	}
	for _, e := range events {
		if e.start >= to.Offset {
			return e.between || e.begins, nil
		}
		if !e.between {
			return false, nil
		}
	}
	return len(events) < 10, nil
}

// shownEvent is an event as MariaDB shows it.
type shownEvent struct {
	start, end uint64
	kind, info string
	between    bool // it is part of no transaction
	begins     bool // it begins one
}

// binlogEvents asks for the events of a file from an offset on, at most n. there is false when no event begins or ends at the offset, or
// there is no such file.
func (c *conn) binlogEvents(ctx context.Context, file string, offset uint64, n int) (events []shownEvent, there bool, err error) {
	rows, err := c.rows(ctx, fmt.Sprintf("SHOW BINLOG EVENTS IN %s FROM %d LIMIT %d", literal(file), offset, n))
	if e, ok := errors.AsType[*mysql.MyError](err); ok && e.Code == codeCommand {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	events = make([]shownEvent, len(rows))
	for i, row := range rows {
		e := shownEvent{kind: row["event_type"], info: row["info"]}
		e.start, _ = strconv.ParseUint(row["pos"], 10, 64)
		e.end, _ = strconv.ParseUint(row["end_log_pos"], 10, 64)
		switch e.kind {
		case "Format_desc", "Gtid_list", "Binlog_checkpoint", "Start_encryption", "Rotate", "Stop":
			e.between = true
		case "Gtid":
			e.begins = true
		}
		events[i] = e
	}
	return events, true, nil
}

// prepared asks MariaDB for the XA transactions that are prepared: also those whose XA COMMIT stands in the binlog and is not visible.
func (r *chunkReader) prepared(ctx context.Context) ([]string, error) {
	rows, err := r.conn.rows(ctx, "XA RECOVER")
	if err != nil {
		return nil, err
	}
	list := make([]string, len(rows))
	for i, row := range rows {
		format, err1 := strconv.ParseUint(row["formatid"], 10, 64)
		n, err2 := strconv.Atoi(row["gtrid_length"])
		data := row["data"]
		if err1 != nil || err2 != nil || n < 0 || n > len(data) {
			return nil, fmt.Errorf("XA RECOVER at %s: an id %s of %d bytes", r.cfg.Addr, hex.EncodeToString([]byte(data)), n)
		}
		list[i] = xid{format: format, global: data[:n], branch: data[n:]}.String()
	}
	return list, nil
}
