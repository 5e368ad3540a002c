package binlog

import "errors"

// partialUpdate refuses a partial JSON update of a captured table. Of others it counts the event as one row, as every pass will.
func (a *assembler) partialUpdate(e event) error {
	c := cursor{rest: e.body}
	t := a.find(c.uint(tableIDSize))
	if c.uint(2)&rowsEndOfStatement != 0 {
		a.mapped = a.mapped[:0]
	}
	if t != nil && t.public == nil && t.refused == nil && a.tx.began {
		a.tx.rows++
		return nil
	}
	return a.failTable(t, errors.New("partial JSON updates are not supported yet. Fix: SET PERSIST binlog_row_value_options = '' (sessions "+
		"keep their own setting), and start behind this transaction"))
}
