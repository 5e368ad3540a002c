package binlog

import (
	"errors"
	"fmt"

	"github.com/go-mysql-org/go-mysql/replication"
)

// statement reads and classifies a statement that stands in the binlog as its text.
func (a *assembler) statement(e event) (queryEvent, statement, error) {
	q, err := parseQuery(e.body)
	if err == nil && e.kind == replication.MARIADB_QUERY_COMPRESSED_EVENT {
		var text []byte
		text, err = a.inflater.inflate([]byte(q.text))
		q.text = string(text)
	}
	if err != nil {
		return q, statement{}, a.fail(err)
	}
	q.decode(a.charsets)
	return q, classify(q.text, q.mode), nil
}

// query takes a statement that stands in the binlog as its text.
func (a *assembler) query(e event) error {
	q, s, err := a.statement(e)
	if err != nil {
		return err
	}
	if !a.tx.open {
		return a.fail(errors.New("a statement outside a transaction"))
	}
	switch s.kind {
	case queryBegin:
		if a.tx.began {
			return a.fail(errors.New("the transaction begins twice"))
		}
		a.tx.began = true
		return nil
	case queryCommit:
		return a.end(e)
	case queryRollback:
		return a.rollBack(e)
	case querySavepoint:
		return a.savepoint(s)
	case queryRollbackTo:
		return a.rollBackTo(s)
	case queryXA:
		return a.xa(q)
	case queryErases:
		if t := a.captured(q.schema, s); t != nil {
			return a.failTable(t, errors.New("an ALTER TABLE that moves partitions or tablespaces "+
				"changes rows without row events, which is not supported yet. Fix: DELETE the rows, or exclude the table"))
		}
		fallthrough
	case querySchema:
		if err := a.define(q); err != nil {
			return a.fail(err)
		}
	case queryDML:
		return a.fail(fmt.Errorf("%s as a statement instead of rows. Fix: SET GLOBAL binlog_format = 'ROW' (sessions keep their own "+
			"setting), and start behind the statement", s.verb))
	default:
		return a.fail(fmt.Errorf("a statement that begins with %.20q: not known, and may change rows", s.verb))
	}
	if !a.tx.began { // a schema change is a transaction of its own; inside one, rows follow (CREATE TABLE … SELECT)
		a.tx.ended = true
	}
	return nil
}
