package binlog

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/millrace-go/millrace/internal/gtid"
)

// Some transactions can only be decoded when their end is known. Their events wait in a spool, and are handled as if they came then:
//
//   - those between XA PREPARE and XA COMMIT;
//   - those with savepoints: a server that cannot take changes out of its binlog, since a table without transactions or a temporary
//     table is concerned, writes ROLLBACK TO SAVEPOINT or ROLLBACK behind them;
//   - what of a transaction of MariaDB is more than a slice, since a ROLLBACK may stand there without a savepoint, too, and what was
//     handed out cannot be taken back. MySQL with enforce_gtid_consistency has none.
//
// Rows of tables without transactions are never concerned: they stand in transactions of their own, or in one that commits.

// savepoint is a place in the events of a transaction.
type savepoint struct {
	name string
	at   int64
}

// hold lets the events from here on wait.
func (a *assembler) hold() { a.tx.held = a.spill.spool() }

// holdBack tells that a full slice must not be handed out yet. The rest of the event at hand is decoded, those behind it wait.
func (a *assembler) holdBack() bool {
	if a.flavor != gtid.MariaDB || a.tx.replayed {
		return false
	}
	if a.tx.held == nil {
		a.hold()
	}
	return true
}

// wait takes an event of a transaction whose events wait; false says that it is to be handled at once.
func (a *assembler) wait(e event) (bool, error) {
	op, _ := rowsKind(e.kind)
	switch {
	case op != 0, e.kind == replication.TABLE_MAP_EVENT, e.kind == replication.PARTIAL_UPDATE_ROWS_EVENT:
	case e.kind == replication.QUERY_EVENT, e.kind == replication.MARIADB_QUERY_COMPRESSED_EVENT:
		_, s, err := a.statement(e)
		if err != nil {
			return false, err
		}
		switch s.kind {
		case queryBegin, queryCommit, queryRollback, querySavepoint, queryRollbackTo, queryXA:
			return false, nil
		}
	default:
		return false, nil
	}
	if a.tx.ended {
		return false, a.fail(fmt.Errorf("%s behind the end of the transaction", e.name()))
	}
	a.header = e.appendHeader(a.header[:0])
	return true, a.tx.held.write(a.header, e.body)
}

// replay ends the transaction with the events that waited.
func (a *assembler) replay() error {
	a.tx.ended, a.tx.replayed = true, true
	return a.tx.held.read(&a.waiting)
}

// replayNext handles the next event that waited; false says that there is none.
func (a *assembler) replayNext() (bool, error) {
	raw, err := a.waiting.next()
	if err != nil {
		return false, a.failRead(err)
	}
	if raw == nil {
		return false, nil
	}
	e, err := parseEvent(raw, false)
	if err != nil {
		return false, a.fail(err)
	}
	if a.tx.undone && e.kind != replication.QUERY_EVENT && e.kind != replication.MARIADB_QUERY_COMPRESSED_EVENT {
		return true, nil
	}
	return true, a.handle(e)
}

// savepoint takes SAVEPOINT and RELEASE SAVEPOINT.
func (a *assembler) savepoint(s statement) error {
	if !a.tx.began {
		return a.fail(fmt.Errorf("%s outside a transaction", s.verb))
	}
	if a.tx.held == nil {
		a.hold()
	}
	at := a.findSavepoint(s.name)
	switch {
	case s.verb == "SAVEPOINT":
		if at >= 0 { // the old one of the name is gone
			a.tx.savepoints = append(a.tx.savepoints[:at], a.tx.savepoints[at+1:]...)
		}
		a.tx.savepoints = append(a.tx.savepoints, savepoint{s.name, a.tx.held.size})
	case at >= 0:
		a.tx.savepoints = a.tx.savepoints[:at]
	}
	return nil
}

// rollBackTo forgets what was done since a savepoint.
func (a *assembler) rollBackTo(s statement) error {
	at := a.findSavepoint(s.name)
	if at < 0 {
		return a.fail(errors.New("ROLLBACK TO a savepoint that the transaction has not set"))
	}
	for _, p := range a.tx.savepoints {
		if len(a.tx.savepoints) > 1 && !isASCII(p.name+s.name) {
			return a.fail(errors.New("ROLLBACK TO a savepoint where names are not ASCII: which of them the server takes for equal is not " +
				"known here. Fix: name savepoints in ASCII, and start behind this transaction"))
		}
	}
	a.tx.savepoints = a.tx.savepoints[:at+1]
	return a.tx.held.truncate(a.tx.savepoints[at].at)
}

// findSavepoint returns the index of the newest savepoint of the name, or -1. Names are the same whatever their case.
func (a *assembler) findSavepoint(name string) int {
	for i := len(a.tx.savepoints) - 1; i >= 0; i-- {
		if strings.EqualFold(a.tx.savepoints[i].name, name) {
			return i
		}
	}
	return -1
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// rollBack ends a transaction of which nothing happened: the server could not take its changes out of the binlog. Statements in it
// were not undone by that.
func (a *assembler) rollBack(e event) error {
	if a.tx.emitted {
		return a.fail(errors.New("a transaction is rolled back in the binlog, and rows of it were delivered already: changes of tables with " +
			"and without transactions are mixed. Fix: SET PERSIST enforce_gtid_consistency = ON; this transaction's rows were never committed, " +
			"what the log has of them must be made good by hand"))
	}
	a.buf.changes, a.buf.json = a.buf.changes[:0], keep(a.buf.json)
	for i := range a.schema {
		a.schema[i].Row = uint64(i)
	}
	a.tx.rows, a.tx.undone = uint64(len(a.schema)), true
	return a.end(e)
}

// pass takes an event of a transaction that the position has already, which came only since a stream of MariaDB has to begin before a
// prepared one. False says that it is to be handled all the same.
func (a *assembler) pass(e event) (bool, error) {
	switch e.kind {
	case replication.ROTATE_EVENT, replication.MARIADB_GTID_EVENT, replication.INCIDENT_EVENT:
		return false, nil
	case replication.XID_EVENT, replication.XA_PREPARE_LOG_EVENT:
		a.tx.ended = true
	case replication.QUERY_EVENT, replication.MARIADB_QUERY_COMPRESSED_EVENT:
		_, s, err := a.statement(e)
		if err != nil {
			return false, err
		}
		a.tx.ended = !a.tx.began || s.kind == queryCommit || s.kind == queryRollback
	}
	return true, nil
}

// finish forgets the transaction at hand.
func (a *assembler) finish() error {
	if a.tx.held != nil {
		a.tx.held.close()
	}
	var err error
	if a.executed != nil {
		err = a.executed.Add(a.tx.gtid.id)
	}
	a.tx = transaction{}
	a.mapped = a.mapped[:0]
	return err
}

// close gives back what waits.
func (a *assembler) close() {
	if a.tx.held != nil {
		a.tx.held.close()
	}
	for _, held := range a.prepared {
		held.close()
	}
	a.prepared = nil
	a.payload.close()
}
