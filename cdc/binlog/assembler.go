package binlog

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/millrace-go/millrace/cdc"
	"github.com/millrace-go/millrace/eventstore"
	"github.com/millrace-go/millrace/internal/gtid"
)

// assembler makes transactions out of events:
//
//	GTID ─► BEGIN ─► TABLE_MAP, rows, … ─► XID or COMMIT     one transaction
//	GTID ─► a schema change                                  one transaction without rows
//
// It does no I/O and knows no clock: push gives it an event, pull takes the slices that can be made, until it returns none. What it
// cannot decode it refuses by name; after an error it is useless.
type assembler struct {
	flavor   string
	filter   cdc.Filter
	choice   choice
	charsets *charsets
	maxSlice int
	// partialRows accepts row images that lack columns.
	partialRows bool

	format format
	file   string
	offset uint64 // of the next event in file
	server string // uuid of a MySQL server, id of a MariaDB server
	// lowerNames: the server keeps the names of tables in lower case, whatever statements say.
	lowerNames bool

	cache    tables
	mapped   []mapping // the table maps of the statement at hand
	inflater inflater
	payload  payload
	inner    bool // the payload has events left
	rows     rows // rows left of the event at hand
	pushed   int  // bytes of the event that was pushed last, while they are in use

	spill    spill
	waiting  eventReader       // events that waited, see held.go
	header   []byte            // of an event that will wait
	prepared map[string]*spool // XA transactions, by id
	again    map[string]string // ids by GTID: those of the position, whose XA PREPARE comes again
	// MariaDB: what was executed before the transaction at hand.
	executed *gtid.Set
	// MariaDB: the last sequence number that the position has, of domains whose stream begins before that and has not come to it.
	covered map[uint32]uint64

	tx     transaction
	buf    buffer
	schema []cdc.SchemaChange // for the next slice
	// handed is how many changes of buf the last slice had.
	handed int
	slice  cdc.Slice
	// marks: slices are wanted that say where the stream is; marked: one is due.
	marks, marked bool
}

// transaction is the state of the one at hand.
type transaction struct {
	open    bool // its GTID has come
	began   bool // its rows may come
	ended   bool // its last slice is due
	emitted bool // its first slice was handed out
	gtid    gtidEvent
	time    time.Time
	rows    uint64

	held       *spool // its events wait in it
	replayed   bool   // and are being handled now
	undone     bool   // its rows were rolled back
	savepoints []savepoint
	xid        *xid
	prepared   *eventstore.Prepare
	completed  string       // id of the XA transaction that it ends
	unprepared *xaStatement // the end of one that is not prepared: endUnprepared is to be called
	again      bool         // an XA PREPARE that the position has: nothing is emitted
	passed     bool         // any other that the position has
}

// push takes an event. raw stays in use until pull returns no slice.
func (a *assembler) push(raw []byte) error {
	a.pushed = len(raw)
	if len(raw) > 4 && replication.EventType(raw[4]) == replication.FORMAT_DESCRIPTION_EVENT {
		f, err := parseFormat(raw)
		if err != nil {
			return a.fail(err)
		}
		a.format = f
		a.marked = a.marks
		return a.beginFile()
	}
	checksum := a.format.checksum
	if a.format.postHeader == nil { // the rotate event before the first format description
		checksum = len(raw) >= headerSize+checksumSize && checksumOK(raw)
	}
	e, err := parseEvent(raw, checksum)
	if err != nil {
		return a.fail(err)
	}
	switch e.kind {
	case replication.HEARTBEAT_EVENT:
		a.oldHeartbeat(e)
		return nil
	case replication.HEARTBEAT_LOG_EVENT_V2:
		a.heartbeat(e)
		return nil
	}
	a.advance(e)
	err = a.handle(e)
	a.marked = a.marks && !a.tx.open
	return err
}

// mark returns a slice that says where the stream is, between two transactions.
func (a *assembler) mark() *cdc.Slice {
	a.marked = false
	a.slice = cdc.Slice{Server: a.server, File: a.file, Offset: a.offset}
	return &a.slice
}

// pushSpilled is push for an event in a file. It takes the file over.
func (a *assembler) pushSpilled(s *spilledEvent) error {
	a.pushed = 0
	e, err := s.event(a.format.checksum)
	if err == nil {
		a.advance(e)
		err = a.handle(e)
	} else {
		err = a.fail(err)
	}
	if a.payload.spilled != s { // it was passed over
		s.close()
	}
	return err
}

// advance keeps the 64-bit offset, of which an event has the low half.
func (a *assembler) advance(e event) {
	switch {
	case e.flags&flagArtificial != 0:
	case e.end == 0: // MariaDB 11.4 and later leave it out inside a transaction
		a.offset += uint64(e.size)
	case e.end < uint32(a.offset):
		a.offset = a.offset>>32<<32 + 1<<32 + uint64(e.end)
	default:
		a.offset = a.offset>>32<<32 + uint64(e.end)
	}
}

// pull returns the next slice, or nil when it needs another event. The slice is valid until the next call.
func (a *assembler) pull() (*cdc.Slice, error) {
	a.letGo()
	if a.marked && a.file != "" {
		return a.mark(), nil
	}
	for {
		if full := a.full(); full > 0 && !a.holdBack() {
			return a.emit(full), nil
		}
		if len(a.rows.rest) > 0 {
			if err := a.row(); err != nil {
				return nil, err
			}
			continue
		}
		if a.inner {
			raw, err := a.payload.next()
			if err != nil {
				return nil, a.failRead(err)
			}
			if raw == nil {
				a.inner = false
				a.payload.close()
				continue
			}
			e, err := parseEvent(raw, false)
			if err == nil && (a.tx.ended || e.kind == replication.TRANSACTION_PAYLOAD_EVENT) {
				err = fmt.Errorf("%s where a compressed transaction should end", e.name())
			}
			if err != nil {
				return nil, a.fail(err)
			}
			if err := a.handle(e); err != nil {
				return nil, err
			}
			continue
		}
		if a.tx.replayed {
			if more, err := a.replayNext(); more || err != nil {
				if err != nil {
					return nil, err
				}
				continue
			}
		}
		switch {
		case !a.tx.ended:
			a.release()
			return nil, nil
		case a.tx.again && a.tx.prepared == nil:
			return nil, a.fail(errors.New("the position says that this transaction is an XA PREPARE, which it is not"))
		case a.tx.again || a.tx.passed:
			if err := a.finish(); err != nil {
				return nil, a.fail(err)
			}
			return nil, nil
		}
		return a.last()
	}
}

// changeOverhead is what a change takes beside its JSON, so that many small rows are bounded, too.
const changeOverhead = 256

// row decodes one row.
func (a *assembler) row() error {
	t := a.rows.table
	if t.public == nil {
		a.rows.skip()
	} else {
		if n := len(a.rows.rest); n > hugeRow {
			a.buf.reserve(n)
		}
		if err := a.rows.next(&a.buf, a.tx.rows); err != nil {
			return a.failTable(t, err)
		}
	}
	a.tx.rows++
	if len(a.rows.rest) == 0 {
		a.release()
	}
	return nil
}

// full returns how many changes make a full slice, or 0.
func (a *assembler) full() int {
	n := len(a.buf.changes)
	switch size := len(a.buf.json) + n*changeOverhead; {
	case size < a.maxSlice:
		return 0
	case size > a.maxSlice && n > 1:
		return n - 1
	}
	return n
}

// emit makes a slice of the first n changes.
func (a *assembler) emit(n int) *cdc.Slice {
	a.slice = cdc.Slice{ID: a.tx.gtid.id, First: !a.tx.emitted, Changes: a.buf.export(n), Time: a.tx.time}
	a.slice.Schema, a.schema = a.schema, nil
	a.tx.emitted = true
	a.handed = n
	return &a.slice
}

// last makes the transaction's last slice.
func (a *assembler) last() (*cdc.Slice, error) {
	slice := a.emit(len(a.buf.changes))
	slice.Last, slice.Server, slice.File, slice.Offset = true, a.server, a.file, a.offset
	slice.Prepared, slice.Completed = a.tx.prepared, a.tx.completed
	if err := a.finish(); err != nil {
		return nil, a.fail(err)
	}
	return slice, nil
}

// handle takes an event of the stream or of a compressed transaction. It has no silent default: an event it does not know may carry
// data.
func (a *assembler) handle(e event) error {
	if a.tx.passed {
		if passed, err := a.pass(e); passed || err != nil {
			return err
		}
	} else if a.tx.held != nil && !a.tx.replayed {
		if waits, err := a.wait(e); waits || err != nil {
			return err
		}
	}
	if op, _ := rowsKind(e.kind); op != 0 {
		return a.rowsEvent(e)
	}
	switch e.kind {
	case replication.GTID_EVENT:
		g, err := parseGTID(e.body)
		return a.begin(e, g, err)
	case replication.GTID_TAGGED_LOG_EVENT:
		g, err := parseTaggedGTID(e.body)
		return a.begin(e, g, err)
	case replication.MARIADB_GTID_EVENT:
		g, err := parseMariaDBGTID(e)
		return a.begin(e, g, err)
	case replication.ANONYMOUS_GTID_EVENT:
		return a.fail(errors.New("transaction without GTID. Fix: SET PERSIST gtid_mode = ON, and start behind the transactions that were " +
			"written before"))
	case replication.QUERY_EVENT, replication.MARIADB_QUERY_COMPRESSED_EVENT:
		return a.query(e)
	case replication.XID_EVENT:
		return a.end(e)
	case replication.TABLE_MAP_EVENT:
		return a.tableMap(e)
	case replication.TRANSACTION_PAYLOAD_EVENT:
		if !a.tx.open {
			return a.fail(fmt.Errorf("%s outside a transaction", e.name()))
		}
		var err error
		if e.spilled != nil {
			err = a.payload.openSpilled(e.spilled, a.format.checksum)
		} else {
			err = a.payload.open(e.body)
		}
		if err != nil {
			return a.fail(err)
		}
		a.inner = true
		return nil
	case replication.ROTATE_EVENT:
		c := cursor{rest: e.body}
		offset := c.uint(8)
		if c.bad {
			return a.fail(fmt.Errorf("rotate: %w", errShort))
		}
		a.file, a.offset = string(c.rest), offset
		return nil
	case replication.XA_PREPARE_LOG_EVENT:
		return a.prepare(e)
	case replication.INCIDENT_EVENT:
		return a.fail(errors.New("the server reports an incident: changes are missing in its binlog from here on. Fix: find the reason in " +
			"the server's error log, and start from a later position with what is missing made good"))
	case replication.IGNORABLE_EVENT, replication.ROWS_QUERY_EVENT,
		replication.PREVIOUS_GTIDS_EVENT, replication.STOP_EVENT, replication.TRANSACTION_CONTEXT_EVENT, replication.VIEW_CHANGE_EVENT,
		replication.MARIADB_ANNOTATE_ROWS_EVENT, replication.MARIADB_BINLOG_CHECKPOINT_EVENT, replication.MARIADB_GTID_LIST_EVENT,
		replication.MARIADB_START_ENCRYPTION_EVENT,
		// The context of a statement, which is judged itself when it comes.
		replication.INTVAR_EVENT, replication.RAND_EVENT, replication.USER_VAR_EVENT:
		return nil
	}
	if e.flags&flagIgnorable != 0 {
		return nil
	}
	return a.fail(fmt.Errorf("%s is not supported, and may carry changes", e.name()))
}

// beginFile is called at a format description: the beginning of a file or of the stream. A server that was killed while it wrote a
// transaction has rolled it back when it was started again, and leaves what it had written.
func (a *assembler) beginFile() error {
	if a.tx.open && (a.tx.emitted || !a.format.restarted) {
		return a.fail(errors.New("the binlog file ends inside the transaction"))
	}
	if a.tx.open {
		a.abandon()
	}
	a.mapped = a.mapped[:0]
	a.cache = tables{}
	return nil
}

// abandon forgets the transaction at hand, of which nothing was handed out.
func (a *assembler) abandon() {
	if a.tx.held != nil {
		a.tx.held.close()
	}
	a.tx = transaction{}
	a.buf.changes, a.buf.json = a.buf.changes[:0], keep(a.buf.json)
	a.schema = nil
}

func (a *assembler) begin(e event, g gtidEvent, err error) error {
	if err != nil {
		return a.fail(err)
	}
	if a.tx.open {
		return a.fail(fmt.Errorf("the transaction has no end before %s", g.id))
	}
	a.tx = transaction{open: true, gtid: g, time: g.time}
	if g.time.IsZero() {
		a.tx.time = time.Unix(int64(e.time), 0).UTC()
	}
	_, a.tx.again = a.again[g.id]
	if a.flavor != gtid.MariaDB {
		return nil
	}
	if last, waits := a.covered[g.domain]; waits {
		a.tx.passed = !a.tx.again && g.sequence <= last
		if g.sequence >= last {
			delete(a.covered, g.domain)
		}
	}
	if a.tx.began = !g.standalone; g.prepares && !a.tx.passed {
		a.hold()
	}
	return nil
}

func (a *assembler) end(e event) error {
	if !a.tx.open || !a.tx.began || a.tx.ended {
		return a.fail(fmt.Errorf("%s ends a transaction that has not begun", e.name()))
	}
	if a.tx.held != nil {
		return a.replay()
	}
	a.tx.ended = true
	return nil
}

// fail says where err happened.
func (a *assembler) fail(err error) error { return a.failTable(nil, err) }

// failRead says where events that waited were found to be corrupt. An error of the disk that has them is returned as it is.
func (a *assembler) failRead(err error) error {
	if errors.Is(err, errEvents) {
		return a.fail(err)
	}
	return err
}

func (a *assembler) failTable(t *table, err error) error {
	de := &cdc.DecodeError{Err: err, Position: eventstore.Position{
		Flavor: a.flavor, GTIDs: a.tx.gtid.id, Server: a.server, File: a.file, Offset: a.offset}}
	if t != nil {
		de.Table = t.schema + "." + t.name
	}
	if ce, ok := errors.AsType[*columnError](err); ok {
		de.Column, de.Err = ce.column, ce.err
	}
	return de
}
